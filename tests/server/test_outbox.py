"""What a channel has to send, without a connection."""

import pytest

from repoman.server.outbox import Outbox, Pieces
from repoman.server.pace import ENOUGH, Pace


class Stuck:
    """A connection that takes nothing."""

    def send(self, data, more=False):
        return 0


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


def test_only_bytes_enough_begin_a_new_time():
    pace = Pace()
    pace.since = 0.0
    for _ in range(ENOUGH - 1):
        pace.move(1)
    assert pace.since == 0.0
    pace.move(1)
    assert pace.since > 0.0
