"""Limits how many bytes a second long work reads or writes; the disk has others to serve."""

import time
from collections.abc import Callable

PAUSE_MIN_S = 0.02  # Shorter pauses are saved up.
BURST_S = 1.0  # Time that was not used counts for at most so long.


class RateLimit:
    """Pauses whoever takes bytes faster than it says; for one thread.

    Args:
        bytes_per_second: the limit.
        pause: waits so many seconds; what it raises ends the work.
        ticks: seconds that never run backwards.
    """

    def __init__(
        self,
        bytes_per_second: int,
        pause: Callable[[float], object],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = bytes_per_second
        self._pause = pause
        self._ticks = ticks
        self._free_at = ticks()

    def take(self, count: int) -> None:
        """Count bytes that were read or written, and wait until the next ones may be."""
        now = self._ticks()
        self._free_at = max(self._free_at, now - BURST_S) + count / self._rate
        if self._free_at - now >= PAUSE_MIN_S:
            self._pause(self._free_at - now)
