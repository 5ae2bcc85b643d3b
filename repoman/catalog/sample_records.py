"""Samples of the kept sums over time: one each hour for a month, one each day for two years."""

from collections.abc import Callable

from repoman.db.database import Database
from repoman.db.models import database_proxy

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
KEPT_S = {"hour": 30 * DAY_S, "day": 730 * DAY_S}
"""How long samples of each period are kept."""
DELETED_MAX = 1000
"""Rows that are deleted at a time."""

_SUMS = (
    "SELECT 'repository ' || repository_id || ' size', size FROM repository_usage UNION ALL "
    "SELECT 'repository ' || repository_id || ' assets', assets FROM repository_usage UNION ALL "
    "SELECT 'store ' || store || ' size', size FROM blob_store_usage UNION ALL "
    "SELECT 'store ' || store || ' reclaimable', reclaimable FROM blob_store_usage"
)
_INSERT = (
    "INSERT INTO sample (name, period, at, value) "  # noqa: S608 - constants
    f"SELECT name, ?, ?, value FROM (SELECT '' AS name, 0 AS value WHERE FALSE UNION ALL {_SUMS}) "
    "WHERE TRUE ON CONFLICT (name, period, at) DO NOTHING"
)
_DELETE = (
    "DELETE FROM sample WHERE (name, period, at) IN "
    "(SELECT name, period, at FROM sample WHERE period = ? AND at < ? LIMIT ?)"
)
_LIST = "SELECT at, value FROM sample WHERE name = ? AND period = ? AND at >= ? ORDER BY at"


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
        with self._database.transaction(touches=(), is_brief=True):
            _insert_samples("hour", hour)
            _insert_samples("day", now - now % DAY_S)
            for period, age in KEPT_S.items():
                _delete_samples(period, now - age)
        self._last_hour = hour

    @staticmethod
    def list(name: str, period: str, since: float = 0.0) -> list[tuple[float, float]]:
        """Return times and values of a name, the oldest first; ``period`` is hour or day."""
        return _list_samples(name, period, since)


def _insert_samples(period: str, at: float) -> None:
    """Store what the kept sums are now, unless there is a sample of that time."""
    database_proxy.execute_sql(_INSERT, (period, at))


def _delete_samples(period: str, before: float) -> None:
    """Remove old samples, a bounded number."""
    database_proxy.execute_sql(_DELETE, (period, before, DELETED_MAX))


def _list_samples(name: str, period: str, since: float) -> list[tuple[float, float]]:
    """Return times and values, the oldest first."""
    rows: list[tuple[float, float]] = database_proxy.execute_sql(
        _LIST, (name, period, since)
    ).fetchall()
    return rows
