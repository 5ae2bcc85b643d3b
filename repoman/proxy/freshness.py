"""Ages: how long cached content is fresh; decided at each request.

So a changed setting counts at once for everything in the cache.
"""

from collections.abc import Callable
from dataclasses import dataclass

FOR_EVER = -1
SLACK = 60  # seconds; what was checked later than this from now was so by a clock that was wrong


@dataclass(frozen=True, slots=True)
class Ages:
    """Judges ages. ``max_age`` is in minutes, -1 forever; ``clock`` in seconds since the epoch.

    ``invalidated_at`` is when the whole cache was invalidated: its cache token.
    """

    clock: Callable[[], float]
    max_age: int
    invalidated_at: Callable[[], float] = lambda: 0.0

    def is_fresh(self, checked_at: float | None) -> bool:
        """Return whether what was checked then need not be checked again."""
        if checked_at is None or checked_at < self.invalidated_at():
            return False
        if self.max_age == FOR_EVER:
            return True
        return -SLACK < self.clock() - checked_at < self.max_age * 60

    def age(self, checked_at: float | None) -> int:
        """Return the seconds since the check, for the header Age."""
        return 0 if checked_at is None else max(0, int(self.clock() - checked_at))
