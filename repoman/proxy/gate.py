"""A gate before each remote: a slow one holds up no more than a number of requests.

Where a remote answers quickly, every request waits for a place. Where one has been waiting for long
already, the next one that finds no place is sent away at once. What many ask for at a time never
takes all places, so that one thing that hangs leaves some for the others.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from repoman.errors import UpstreamBusy
from repoman.waiting import waiting

PLACES = 32
PLACES_OF_ONE = 24  # Most places for those who wait for one and the same thing.
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
        # By thread, since when and for what it waits; the longest wait first.
        self._inside: dict[int, tuple[float, str]] = {}

    @contextmanager
    def passed(self, what: str = "") -> Iterator[None]:
        """Wait for the remote inside of this; a thread that is inside may enter again.

        Args:
            what: is asked for, if others may wait for the same.

        Raises:
            UpstreamBusy: too many wait for it already, and for too long.
        """
        me = threading.get_ident()
        if me in self._inside:
            yield
            return
        with waiting():
            self._enter(me, what)
            try:
                yield
            finally:
                with self._changed:
                    del self._inside[me]
                    self._changed.notify_all()

    def _enter(self, me: int, what: str) -> None:
        with self._changed:
            while before := self._before(what):
                longest = self._ticks() - before[0]
                if longest >= PATIENCE:
                    raise UpstreamBusy(
                        f"The remote {self._remote} is slow, and {len(before)} requests are "
                        "already waiting for "
                        f"{'the same content' if len(before) < PLACES else 'it'}.",
                        RETRY_AFTER,
                    )
                self._changed.wait(PATIENCE - longest)
            self._inside[me] = self._ticks(), what

    def _before(self, what: str) -> list[float]:
        """Return since when those wait who leave no place; none if there is one."""
        same = [since for since, asked in self._inside.values() if asked == what]
        if what and len(same) >= PLACES_OF_ONE:
            return same
        every = [since for since, _ in self._inside.values()]
        return every if len(every) >= PLACES else []
