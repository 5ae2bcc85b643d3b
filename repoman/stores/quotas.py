"""Warnings about soft quotas in the log of the server."""

import logging
import time
from collections.abc import Callable

from repoman.stores.service import BlobStores

INTERVAL_S = 60.0  # How often the quotas are looked at.
REMINDER_S = 3600.0  # How often the log tells again of a quota that is exceeded.

_log = logging.getLogger(__name__)


class QuotaWatch:
    """Logs which soft quotas are exceeded; for one thread.

    Args:
        ticks: seconds that never run backwards.
    """

    def __init__(self, stores: BlobStores, ticks: Callable[[], float] = time.monotonic) -> None:
        self._stores = stores
        self._ticks = ticks
        self._next_at = float("-inf")
        self._told_at: dict[str, float] = {}

    def look(self) -> None:
        """Look at the quotas if the last look was a while ago; call it repeatedly."""
        now = self._ticks()
        if now < self._next_at:
            return
        self._next_at = now + INTERVAL_S
        if any(info.quota is not None for info in self._stores.all()):
            self._warn(now)
        else:
            self._told_at.clear()

    def _warn(self, now: float) -> None:
        for state in self._stores.states():
            name = state.info.name
            if not state.violation:
                self._told_at.pop(name, None)
            elif now - self._told_at.get(name, float("-inf")) >= REMINDER_S:
                self._told_at[name] = now
                _log.warning("%s", state.violation)
