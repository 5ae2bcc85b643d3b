"""A gate before each remote: a slow one holds up no more than a number of requests.

Where a remote answers quickly, whoever comes waits for a place. Where one has been waiting for long
already, the next one that finds no place is sent away at once.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from repoman.errors import UpstreamBusy
from repoman.waiting import waiting

PLACES = 32
PATIENCE = 3.0  # seconds; who has waited for longer shows that the remote is slow
RETRY_AFTER = 10  # seconds


class Gate:
    """Counts the threads that wait for one remote; thread safe.

    Args:
        remote: its address, for the text.
        ticks: seconds that never run backwards.
    """

    def __init__(self, remote: str, ticks: Callable[[], float] = time.monotonic) -> None:
        self._remote = remote
        self._ticks = ticks
        self._changed = threading.Condition()
        self._since: dict[int, float] = {}  # by thread, the longest wait first

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Wait for the remote inside of this; a thread that is inside may enter again.

        Raises:
            UpstreamBusy: too many wait for it already, and for too long.
        """
        me = threading.get_ident()
        if me in self._since:
            yield
            return
        with waiting():
            self._enter(me)
            try:
                yield
            finally:
                with self._changed:
                    del self._since[me]
                    self._changed.notify()

    def _enter(self, me: int) -> None:
        with self._changed:
            while len(self._since) >= PLACES:
                longest = self._ticks() - next(iter(self._since.values()))
                if longest >= PATIENCE:
                    raise UpstreamBusy(
                        f"The remote {self._remote} is slow, and {PLACES} requests wait for it.",
                        RETRY_AFTER,
                    )
                self._changed.wait(PATIENCE - longest)
            self._since[me] = self._ticks()
