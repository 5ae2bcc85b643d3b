"""The not-found cache: remembers for a while what the remote does not have."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from repoman.proxy.freshness import FOR_EVER, SLACK

CAPACITY = 10_000  # entries; the oldest goes first


class NegativeCache:
    """Remembers keys for a time; thread safe, in memory only.

    Args:
        clock: seconds since the epoch.
        time_to_live: minutes for which an entry is valid; -1: forever, 0: not at all.
        renewals: a number that moves when all entries are to be forgotten.
        capacity: most entries.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        time_to_live: int,
        renewals: Callable[[], int] = lambda: 0,
        capacity: int = CAPACITY,
    ) -> None:
        self._clock = clock
        self._time_to_live = time_to_live
        self._renewals = renewals
        self._capacity = capacity
        self._entries: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        """Return whether the remote said lately that it has nothing at ``key``."""
        entry = self._entries.get(key)
        if entry is None:
            return False
        added_at, renewals = entry
        if renewals == self._renewals() and self._is_young(added_at):
            return True
        self.discard(key)
        return False

    def add(self, key: str) -> None:
        """Remember that there is nothing; do not call it while the remote is blocked."""
        entry = self._clock(), self._renewals()
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def discard(self, key: str) -> None:
        """Forget one key: it was found after all."""
        with self._lock:
            self._entries.pop(key, None)

    def _is_young(self, added_at: float) -> bool:
        if self._time_to_live == FOR_EVER:
            return True
        return -SLACK < self._clock() - added_at < self._time_to_live * 60
