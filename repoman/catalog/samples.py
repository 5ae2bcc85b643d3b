"""Samples of the kept sums over time: one each hour for a month, one each day for two years."""

from collections.abc import Callable

from repoman.catalog import sample_records as records
from repoman.db.database import Database

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
KEPT_S = {"hour": 30 * DAY_S, "day": 730 * DAY_S}
"""How long samples of each period are kept."""


class Samples:
    """Takes and returns samples; thread safe.

    The names are ``repository ID size``, ``repository ID assets``, ``store NAME size`` and
    ``store NAME reclaimable``; sizes are in bytes.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._last_hour: float | None = None

    def take(self) -> None:
        """Take the samples of this hour and this day, if they are missing; drop the oldest ones.

        It is cheap where nothing is missing: call it often, from one thread.
        """
        now = self._clock()
        hour = now - now % HOUR_S
        if hour == self._last_hour:
            return
        with self._database.transaction(touches=()):
            records.insert_samples("hour", hour)
            records.insert_samples("day", now - now % DAY_S)
            for period, age in KEPT_S.items():
                records.delete_samples(period, now - age)
        self._last_hour = hour

    @staticmethod
    def list(name: str, period: str, since: float = 0.0) -> list[tuple[float, float]]:
        """Return times and values of a name, the oldest first; ``period`` is hour or day."""
        return records.list_samples(name, period, since)
