"""What a connection has to send, without a connection."""

import threading

import pytest
from waitress.channel import ClientDisconnected

from repoman.server.send_queue import TURN_BYTES, MemoryItem, SendQueue
from repoman.server.transport import MIN_PROGRESS_BYTES, SEND_BYTES, ProgressTimer
from tests.clock import LONG_S, WAIT_S, wait_until


class Stuck:
    """A connection that takes nothing."""

    def send(self, data, more=False):
        return 0


class Greedy:
    """A connection that always takes some more."""

    def __init__(self):
        self.sent = 0

    def send(self, data, more=False):
        count = min(len(data), SEND_BYTES)
        self.sent += count
        return count


class Emptied(list):
    """A queue whose last item another thread sends right after its length was looked at."""

    def __len__(self):
        count = super().__len__()
        self.clear()
        return count


def test_queue_that_another_thread_empties_meanwhile_can_be_asked():
    queue = SendQueue(None, ProgressTimer(), bool)
    queue.items = Emptied([MemoryItem(b"x")])
    assert queue.is_sendable in (True, False)


@pytest.mark.parametrize("begin", ["write", "put"])
def test_clients_time_begins_with_the_first_thing_that_waits(begin):
    progress = ProgressTimer()
    queue = SendQueue(Stuck(), progress, bool)
    progress.since = 0.0
    queue.write(b"x") if begin == "write" else queue.put(MemoryItem(b"x"))
    assert progress.since > 0.0
    progress.since = 0.0
    queue.write(b"more")
    queue.put(MemoryItem(b"yet more"))
    assert progress.since == 0.0


def test_worker_that_writes_much_leaves_the_rest_to_the_loop():
    transport = Greedy()
    queue = SendQueue(transport, ProgressTimer(), bool)
    queue.write(bytes(4 * TURN_BYTES))
    assert TURN_BYTES <= transport.sent <= 2 * TURN_BYTES
    assert queue.is_sendable
    while queue.items:
        queue.flush(memoryview(b""))
    assert transport.sent == 4 * TURN_BYTES


def test_only_bytes_enough_begin_a_new_time():
    progress = ProgressTimer()
    progress.since = 0.0
    for _ in range(MIN_PROGRESS_BYTES - 1):
        progress.note_bytes(1)
    assert progress.since == 0.0
    progress.note_bytes(1)
    assert progress.since > 0.0


class Disk:
    """An item of a slow disk."""

    is_waiting = False
    remaining = 10

    def __init__(self):
        self.asked, self.go_on, self.closed = threading.Event(), threading.Event(), []

    def send(self, transport, limit, buffer, more):
        self.asked.set()
        assert self.go_on.wait(LONG_S)
        self.remaining -= transport.send(bytes(5))
        return 5

    def close(self):
        self.closed.append(threading.current_thread())


def test_closing_does_not_wait_for_the_disk_of_a_worker():
    transport, item = Greedy(), Disk()
    transport.close = lambda: closed.append(item.go_on.is_set())
    closed = []
    queue = SendQueue(transport, ProgressTimer(), lambda close: close())
    worker = threading.Thread(target=queue.put, args=(item, 100))
    worker.start()
    assert item.asked.wait(WAIT_S)
    queue.close()
    assert closed == []  # or the worker would write to another connection
    item.go_on.set()
    worker.join(WAIT_S)
    assert closed == [True]
    assert item.closed
    with pytest.raises(ClientDisconnected):
        queue.write(b"more")


class ClosedEarly(ProgressTimer):
    """Has another thread begin to close the queue when the first item waits."""

    queue = None

    def restart(self):
        super().restart()
        self.closing = threading.Thread(target=self.queue.close)
        self.closing.start()
        wait_until(lambda: self.queue._is_closed, what="the other thread to begin")


def test_worker_does_not_begin_to_read_for_a_connection_that_closes():
    transport, item, progress = Greedy(), Disk(), ClosedEarly()
    transport.close = lambda: None
    item.go_on.set()
    progress.queue = SendQueue(transport, progress, lambda close: close())
    progress.queue.put(item, 100)
    progress.closing.join(WAIT_S)
    assert not item.asked.is_set()
    assert item.closed


def test_file_that_left_at_once_is_closed_by_its_worker():
    item = Disk()
    item.remaining = 5
    item.go_on.set()
    queue = SendQueue(Greedy(), ProgressTimer(), None)
    queue.put(item, 100)
    assert item.closed == [threading.current_thread()]
    assert queue.items == []
