"""What a channel has to send, without a connection."""

import pytest

from repoman.server.outbox import Outbox, Pieces


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
    outbox = Outbox(None, bool, bool)
    outbox._queue = Emptied([Pieces(b"x")])
    assert outbox.is_sendable in (True, False)


@pytest.mark.parametrize("begin", ["write", "put"])
def test_clients_time_begins_with_the_first_thing_that_waits(begin):
    begun = []
    outbox = Outbox(Stuck(), lambda: begun.append(1), bool)
    outbox.write(b"x") if begin == "write" else outbox.put(Pieces(b"x"))
    assert begun == [1]
    outbox.write(b"more")
    outbox.put(Pieces(b"yet more"))
    assert begun == [1]
