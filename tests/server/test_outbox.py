"""What a channel has to send, without a connection."""

import pytest

from repoman.server.outbox import TURN, Outbox, Pieces
from repoman.server.pace import ENOUGH, Pace
from repoman.server.transport import SEND_SIZE


class Stuck:
    """A connection that takes nothing."""

    def send(self, data, more=False):
        return 0


class Greedy:
    """A connection that always takes some more."""

    def __init__(self):
        self.sent = 0

    def send(self, data, more=False):
        count = min(len(data), SEND_SIZE)
        self.sent += count
        return count


class Emptied(list):
    """A queue whose last item another thread sends right after its length was looked at."""

    def __len__(self):
        count = super().__len__()
        self.clear()
        return count


def test_queue_that_another_thread_empties_meanwhile_can_be_asked():
    outbox = Outbox(None, Pace(), bool)
    outbox._queue = Emptied([Pieces(b"x")])
    assert outbox.is_sendable in (True, False)


@pytest.mark.parametrize("begin", ["write", "put"])
def test_clients_time_begins_with_the_first_thing_that_waits(begin):
    pace = Pace()
    outbox = Outbox(Stuck(), pace, bool)
    pace.since = 0.0
    outbox.write(b"x") if begin == "write" else outbox.put(Pieces(b"x"))
    assert pace.since > 0.0
    pace.since = 0.0
    outbox.write(b"more")
    outbox.put(Pieces(b"yet more"))
    assert pace.since == 0.0


def test_worker_that_writes_much_leaves_the_rest_to_the_loop():
    transport = Greedy()
    outbox = Outbox(transport, Pace(), bool)
    outbox.write(bytes(4 * TURN))
    assert TURN <= transport.sent <= 2 * TURN
    assert outbox.is_sendable
    while not outbox.is_empty:
        outbox.flush(memoryview(b""))
    assert transport.sent == 4 * TURN


def test_only_bytes_enough_begin_a_new_time():
    pace = Pace()
    pace.since = 0.0
    for _ in range(ENOUGH - 1):
        pace.move(1)
    assert pace.since == 0.0
    pace.move(1)
    assert pace.since > 0.0
