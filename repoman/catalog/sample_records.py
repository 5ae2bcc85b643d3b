"""Samples of the kept sums over time: one each hour for a month, one each day for years."""

from collections.abc import Callable, Mapping

from repoman.db.database import Database
from repoman.db.models import database_proxy

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
HOURLY_DAYS = 30  # For so many days samples of hours are kept.
STEP_ROWS = 500
"""Samples that one transaction stores or removes at most."""

_SUMS = (
    "SELECT 'repository ' || repository_id || ' size' AS name, size AS value "
    "FROM repository_usage UNION ALL "
    "SELECT 'repository ' || repository_id || ' own', own_size FROM repository_usage UNION ALL "
    "SELECT 'repository ' || repository_id || ' assets', assets FROM repository_usage UNION ALL "
    "SELECT 'store ' || store || ' size', size FROM blob_store_usage UNION ALL "
    "SELECT 'store ' || store || ' reclaimable', reclaimable FROM blob_store_usage"
)
_INSERT = (
    "INSERT INTO sample (name, period, at, value) "  # noqa: S608 - constants
    f"SELECT name, ?1, ?2, value FROM ({_SUMS}) AS kept WHERE NOT EXISTS ("
    "SELECT 1 FROM sample WHERE sample.name = kept.name AND period = ?1 AND at = ?2) LIMIT ?3"
)
# From one name to the next, since the index begins with the name.
_DELETE = """
DELETE FROM sample WHERE (name, period, at) IN (
    WITH RECURSIVE known(name) AS (
        SELECT min(name) FROM sample
        UNION ALL
        SELECT (SELECT min(name) FROM sample WHERE name > known.name) FROM known
        WHERE known.name IS NOT NULL
    )
    SELECT old.name, old.period, old.at FROM known CROSS JOIN sample AS old ON old.name = known.name
    WHERE old.period = ?1 AND old.at < ?2 LIMIT ?3
)
"""
_ADD = (
    "INSERT INTO sample (name, period, at, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (name, period, at) DO UPDATE SET value = value + excluded.value"
)
_LIST = "SELECT at, value FROM sample WHERE name = ? AND period = ? AND at >= ? ORDER BY at"


def add_to_samples(counts: Mapping[str, int], now: float) -> None:
    """Add numbers to the samples of this hour and this day, by name; within a transaction."""
    for period, at in (("hour", now - now % HOUR_S), ("day", now - now % DAY_S)):
        for name, n in counts.items():
            database_proxy.execute_sql(_ADD, (name, period, at, n))


class Samples:
    """Takes and returns samples; thread safe.

    The names are ``repository ID size``, ``repository ID own``, ``repository ID assets``, ``store
    NAME size`` and ``store NAME reclaimable``; sizes are in bytes.

    Args:
        clock: seconds since the epoch.
        days: for how many days samples of days are kept.
    """

    def __init__(self, database: Database, clock: Callable[[], float], days: int = 730) -> None:
        self._database = database
        self._clock = clock
        self._days_kept = {"hour": HOURLY_DAYS, "day": days}
        self._last_hour: float | None = None

    def take(self) -> None:
        """Take the samples of this hour and this day, if they are missing; drop the oldest ones.

        It is cheap where nothing is missing: call it often, from one thread.
        """
        now = self._clock()
        hour = now - now % HOUR_S
        if hour == self._last_hour:
            return
        for period, begin in (("hour", hour), ("day", now - now % DAY_S)):
            self._repeat(_INSERT, period, begin)
            self._repeat(_DELETE, period, now - self._days_kept[period] * DAY_S)
        self._last_hour = hour

    def _repeat(self, statement: str, period: str, at: float) -> None:
        """Execute a statement, each time in a transaction, until it changes fewer rows than it may.

        What a crash leaves undone is done at the next start.
        """
        count = STEP_ROWS
        while count == STEP_ROWS:
            with self._database.transaction(touches=(), is_brief=True):
                count = database_proxy.execute_sql(statement, (period, at, STEP_ROWS)).rowcount

    @staticmethod
    def list(name: str, period: str, since: float = 0.0) -> list[tuple[float, float]]:
        """Return times and values of a name, the oldest first; ``period`` is hour or day."""
        rows: list[tuple[float, float]] = database_proxy.execute_sql(
            _LIST, (name, period, since)
        ).fetchall()
        return rows
