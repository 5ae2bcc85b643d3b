"""Disk space: how much of a disk must stay free, and what was refused because of that."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from repoman.errors import StorageFull
from repoman.printable import render_size

REFUSALS_PAUSE_S = 60.0  # How long further refusals are counted before the log tells of them.

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MinFree:
    """How much of a disk must stay free: the smaller one of a size and a part of the disk.

    So a full disk is noticed while there is still space for deletions, logs and other programs.

    Attributes:
        size: in bytes; 0: nothing must stay free.
        percent: of the size of the file system; 0: nothing must stay free.
    """

    size: int = 0
    percent: float = 0.0

    def least(self, state: os.statvfs_result) -> int:
        """Return how many bytes must stay free on a file system."""
        if not self.size or not self.percent:
            return 0
        return min(self.size, int(state.f_blocks * state.f_frsize * self.percent / 100))

    def check(self, state: os.statvfs_result, what: str, size: int = 0) -> None:
        """Return if ``size`` more bytes may be written to the file system of ``what``.

        Raises:
            StorageFull: less than must stay free would be left.
        """
        free, least = state.f_bavail * state.f_frsize, self.least(state)
        if size <= free - least:
            return
        if free >= least:
            raise StorageFull(f"Not enough disk space in the {what}.")
        raise StorageFull(
            f"The disk of the {what} has {render_size(free)} free, less than the "
            f"{render_size(least)} that must stay free. Nothing new is stored until space is "
            "freed: delete something."
        )


NOTHING_FREE = MinFree()
"""All of a disk may be used."""


class RefusalLog:
    """Logs what is refused for lack of space: once a minute, with a count; thread safe.

    Args:
        ticks: seconds that never run backwards.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._lock = threading.Lock()
        self._untold = 0
        self._next_at = float("-inf")

    def note(self, what: str, error: StorageFull) -> None:
        """Tell that something was refused, or count it."""
        with self._lock:
            now = self._ticks()
            if now < self._next_at:
                self._untold += 1
                return
            self._next_at = now + REFUSALS_PAUSE_S
            untold, self._untold = self._untold, 0
        others = f" (and {untold} more since the last such message)" if untold else ""
        _log.warning("%s was refused because there is not enough space: %s%s", what, error, others)
