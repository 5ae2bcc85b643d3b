"""The rows behind a report of space; each question is one statement, whatever there is."""

import json
from collections.abc import Iterable
from typing import Any

from repoman.db.models import database_proxy

_FREED = (
    "SELECT given.value, "
    "(SELECT total(value) FROM sample WHERE name = ?2 || given.value AND period = 'hour' "
    "AND at > ?3), "
    "(SELECT total(value) FROM sample WHERE name = ?2 || given.value AND period = 'day' "
    "AND at > ?4) FROM json_each(?1) AS given"
)
_GROWTH = (
    "SELECT whole.at, whole.value, coalesce(part.value, 0) FROM sample AS whole "
    "LEFT JOIN sample AS part ON part.name = ?2 AND part.period = 'day' AND part.at = whole.at "
    "WHERE whole.name = ?1 AND whole.period = 'day' AND whole.at >= ?3 ORDER BY whole.at"
)


def sum_freed(
    types: Iterable[str], prefix: str, day_since: float, week_since: float
) -> dict[str, tuple[int, int]]:
    """Return what tasks of these types freed since two times, by type, in bytes.

    ``prefix`` is what the names of these samples begin with.
    """
    rows = _all(_FREED, json.dumps(list(types)), prefix, day_since, week_since)
    return {type_: (int(day), int(week)) for type_, day, week in rows}


def list_growth(whole: str, part: str, since: float) -> list[tuple[float, int, int]]:
    """Return days, and what two samples were on each, the oldest first."""
    return [(at, int(one), int(other)) for at, one, other in _all(_GROWTH, whole, part, since)]


def _all(sql: str, *values: Any) -> list[Any]:
    return list(database_proxy.execute_sql(sql, values).fetchall())
