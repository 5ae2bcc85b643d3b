"""What a channel has to send, without a connection."""

from repoman.server.outbox import Outbox, Pieces


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
