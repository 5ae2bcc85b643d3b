"""The rows of samples; values in, values out."""

from repoman.db.models import database_proxy

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


def insert_samples(period: str, at: float) -> None:
    """Store what the kept sums are now, unless there is a sample of that time."""
    database_proxy.execute_sql(_INSERT, (period, at))


def delete_samples(period: str, before: float) -> None:
    """Remove old samples, a bounded number."""
    database_proxy.execute_sql(_DELETE, (period, before, DELETED_MAX))


def list_samples(name: str, period: str, since: float) -> list[tuple[float, float]]:
    """Return times and values, the oldest first."""
    rows: list[tuple[float, float]] = database_proxy.execute_sql(
        _LIST, (name, period, since)
    ).fetchall()
    return rows
