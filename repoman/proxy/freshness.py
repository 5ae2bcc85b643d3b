"""How long cached content is fresh, and how long it counts that the remote does not have it.

Both are decided at each request, so a changed setting counts at once for everything in the cache.
"""

from collections.abc import Callable
from dataclasses import dataclass

from repoman.caching import BUDGET, CacheBudget, LruCache

FOREVER = -1  # The setting of an age that has no end, in minutes.
CLOCK_SKEW_S = 60  # A check that seems to be further in the future was noted by a wrong clock.


@dataclass(frozen=True, slots=True)
class Ages:
    """Judges ages. ``max_age`` is in minutes, -1 forever; ``clock`` in seconds since the epoch.

    ``invalidated_at`` is when the whole cache was invalidated: its cache token.
    """

    clock: Callable[[], float]
    max_age: int
    invalidated_at: Callable[[], float] = lambda: 0.0

    def is_fresh(self, checked_at: float | None, ahead: float = 0.0) -> bool:
        """Return whether what was checked then need not be checked again.

        That is now and, with ``ahead``, also so many seconds from now.
        """
        if checked_at is None or checked_at < self.invalidated_at():
            return False
        if self.max_age == FOREVER:
            return True
        age = self.clock() - checked_at
        return -CLOCK_SKEW_S < age < self.max_age * 60 - ahead

    def age(self, checked_at: float | None) -> int:
        """Return the seconds since the check, for the header Age."""
        return 0 if checked_at is None else max(0, int(self.clock() - checked_at))


class NegativeCache:
    """Remembers keys for a time; thread safe, in memory only.

    Args:
        clock: seconds since the epoch.
        time_to_live: minutes for which an entry is valid; -1: forever, 0: not at all.
        renewals: a number that moves when all entries are to be forgotten.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        time_to_live: int,
        renewals: Callable[[], int] = lambda: 0,
        budget: CacheBudget = BUDGET,
    ) -> None:
        self._clock = clock
        self._time_to_live = time_to_live
        self._renewals = renewals
        self._entries: LruCache[tuple[float, int]] = LruCache(budget=budget)

    def __contains__(self, key: str) -> bool:
        """Return whether the remote said lately that it has nothing at ``key``."""
        entry = self._entries.find(key)
        if entry is None:
            return False
        added_at, renewals = entry
        if renewals == self._renewals() and self._is_young(added_at):
            return True
        self.discard(key)
        return False

    def add(self, key: str) -> None:
        """Remember that there is nothing; do not call it while the remote is blocked."""
        self._entries.save(key, (self._clock(), self._renewals()))

    def discard(self, key: str) -> None:
        """Forget one key: it was found after all."""
        self._entries.discard(key)

    def _is_young(self, added_at: float) -> bool:
        if self._time_to_live == FOREVER:
            return True
        return -CLOCK_SKEW_S < self._clock() - added_at < self._time_to_live * 60
