"""The rows of an overview; each question is one statement, whatever there is."""

import json
from collections.abc import Iterable
from typing import Any

from repoman.db.models import database_proxy

EVENTS_EXAMINED = 200  # Events of a domain that are looked through for those to show.

_SAMPLES = (
    "SELECT name, period, at, sample.value FROM json_each(?1) AS given CROSS JOIN sample "
    "WHERE name = given.value AND period = 'hour' AND at >= ?2 UNION ALL "
    "SELECT name, period, at, sample.value FROM json_each(?1) AS given CROSS JOIN sample "
    "WHERE name = given.value AND period = 'day' AND at >= ?3"
)
_STORED = (
    "SELECT at, total(sample.value) FILTER (WHERE given.value ->> 1 = 'size'), "
    "total(sample.value) FILTER (WHERE given.value ->> 1 = 'reclaimable') "
    "FROM json_each(?1) AS given CROSS JOIN sample "
    "ON name = 'store ' || (given.value ->> 0) || ' ' || (given.value ->> 1) "
    "AND period = 'day' AND at >= ?2 GROUP BY at ORDER BY at"
)
_EVENT = "at, domain, type, actor, address, repository, target, is_success, attributes"
_EVENTS = (
    f"SELECT * FROM (SELECT * FROM (SELECT {_EVENT} FROM audit WHERE domain = 'content' "  # noqa: S608 - constants
    "ORDER BY at DESC LIMIT ?1) WHERE type NOT LIKE 'pull%') UNION ALL "
    f"SELECT * FROM (SELECT {_EVENT} FROM audit WHERE domain = 'access' "
    "ORDER BY at DESC LIMIT ?2) UNION ALL "
    f"SELECT * FROM (SELECT * FROM (SELECT {_EVENT} FROM audit WHERE domain = 'repository' "
    "ORDER BY at DESC LIMIT ?1) WHERE type = 'delete') UNION ALL "
    f"SELECT * FROM (SELECT * FROM (SELECT {_EVENT} FROM audit WHERE domain = 'login' "
    "ORDER BY at DESC LIMIT ?1) WHERE NOT is_success) ORDER BY at DESC LIMIT ?2"
)
_RUNNING = (
    "SELECT run.task_id, task.name, run.type, run.done, run.total, run.message, run.started_at "
    "FROM task_run AS run JOIN task ON task.id = run.task_id "
    "WHERE run.state = 'running' ORDER BY +run.id LIMIT ?"
)


def list_samples(
    names: Iterable[str], hours_since: float, days_since: float
) -> list[tuple[str, str, float, float]]:
    """Return name, period, time and value of samples of hours and days."""
    return _all(_SAMPLES, json.dumps(list(names)), hours_since, days_since)


def list_stored(stores: Iterable[str], since: float) -> list[tuple[float, float, float]]:
    """Return day, stored and reclaimable bytes of all these blob stores together."""
    names = [[store, what] for store in stores for what in ("size", "reclaimable")]
    return _all(_STORED, json.dumps(names), since)


def list_events(limit: int) -> list[dict[str, Any]]:
    """Return the newest changes of content, deleted repositories, refusals and failed logins."""
    rows = _all(_EVENTS, EVENTS_EXAMINED, limit)
    names = _EVENT.split(", ")
    events = [dict(zip(names, row, strict=True)) for row in rows]
    return [{**each, "attributes": json.loads(each["attributes"])} for each in events]


def list_running(limit: int) -> list[tuple[int, str, str, int, int | None, str, float]]:
    """Return task, its name and type, done, total, message and start of runs that run."""
    return _all(_RUNNING, limit)


def _all(sql: str, *values: Any) -> list[Any]:
    return list(database_proxy.execute_sql(sql, values).fetchall())
