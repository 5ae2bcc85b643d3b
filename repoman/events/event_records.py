"""The rows of content events, and the positions of followers.

In plain SQL: each change of an asset writes a row, within the transaction of the change.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from repoman.db.models import database_proxy
from repoman.events.event import AuditEntry, ContentEvent, Coordinate
from repoman.events.origin import Origin, current_origin

MAX_ID = 2**63 - 1  # No row has a higher id.
SELECTED = (  # The columns of an event, besides its id.
    "repository_id, repository, at, actor, realm, address, connector, requested, source, "
    "attributes, kind, path, component, old_digest, new_digest, audit"
)
_SELECT = f"SELECT id, {SELECTED} FROM content_event WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - constants
_INSERT = (
    f"INSERT INTO content_event ({SELECTED}) "  # noqa: S608 - constants
    "SELECT id, name, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM repository WHERE id = ?"
)
_GONE = (
    f"INSERT INTO content_event ({SELECTED}) "
    "SELECT r.id, r.name, ?, ?, ?, ?, ?, ?, ?, ?, a.kind, a.path, "
    "CASE WHEN c.id IS NOT NULL THEN json_array(c.kind, c.name, c.version, c.namespace) END, "
    "b.digest, NULL, "
)
# What goes is listed as [path, audit entry].
_INSERT_DELETED = _GONE + (
    "json_extract(gone.value, '$[1]') FROM json_each(?) gone CROSS JOIN repository r "
    "JOIN asset a ON a.repository_id = r.id AND a.path = json_extract(gone.value, '$[0]') "
    "JOIN blob b ON b.id = a.blob_id LEFT JOIN component c ON c.id = a.component_id "
    "WHERE r.id = ?"
)
_INSERT_DELETED_COMPONENT = _GONE + (
    "NULL FROM component c JOIN repository r ON r.id = c.repository_id "
    "JOIN asset a ON a.component_id = c.id JOIN blob b ON b.id = a.blob_id WHERE c.id = ?"
)


def insert_saved(
    repository_id: int,
    at: float,
    kind: str,
    path: str,
    component: Coordinate | None,
    digests: tuple[str | None, str],
    audit: AuditEntry | None,
) -> None:
    """Record that an asset was stored; ``digests`` are the old and the new one."""
    place = None if component is None else json.dumps(_listed(component))
    about = (kind, path, place, *digests, _render(audit))
    database_proxy.obj.execute_sql(_INSERT, (*_origin(at), *about, repository_id))


def insert_deleted(
    repository_id: int, at: float, paths: Sequence[str], audit: Mapping[str, AuditEntry]
) -> None:
    """Record the deletion of assets; call it before they are deleted, with at most 1,000 paths."""
    gone = json.dumps([[path, _render(audit.get(path))] for path in paths])
    database_proxy.execute_sql(_INSERT_DELETED, (*_origin(at), gone, repository_id))


def insert_deleted_component(component_id: int, at: float) -> None:
    """Record the deletion of the assets of a component; call it before they are deleted."""
    database_proxy.execute_sql(_INSERT_DELETED_COMPONENT, (*_origin(at), component_id))


def insert_buried(repository_id: int, at: float) -> None:
    """Record the deletion of a repository; call it before the row loses its name."""
    about = ("", "", None, None, None, None)
    database_proxy.execute_sql(_INSERT, (*_origin(at), *about, repository_id))


def list_events(after: int, limit: int) -> list[ContentEvent]:
    """Return at most ``limit`` events with ids after ``after``, in their order."""
    rows = database_proxy.execute_sql(_SELECT, (after, limit))
    return [read_event(row) for row in rows]


FILTERS = ("repository", "actor", "source", "kind", "path")  # Columns to compare with a value.


def search_events(
    filters: Mapping[str, str],
    since: float,
    ids: tuple[int, int],
    limit: int,
    *,
    is_descending: bool,
) -> list[ContentEvent]:
    """Return at most ``limit`` events whose columns equal the filters.

    Only those at or after a time, with ids in a range that includes both of its ends.
    """
    given = {name: filters[name] for name in FILTERS if filters.get(name)}
    terms = ["id BETWEEN ? AND ?", "at >= ?", *(f"{name} = ?" for name in given)]
    order = "DESC" if is_descending else "ASC"
    rows = database_proxy.execute_sql(
        f"SELECT id, {SELECTED} FROM content_event "  # noqa: S608 - names of our own
        f"WHERE {' AND '.join(terms)} ORDER BY id {order} LIMIT ?",
        (*ids, since, *given.values(), limit),
    )
    return [read_event(row) for row in rows]


def find_distant(start: int, distance: int, *, is_descending: bool) -> int | None:
    """Return the id of the event that is so many events away from an id, itself included.

    None if there are not so many.
    """
    compared, order = ("<=", "DESC") if is_descending else (">=", "ASC")
    row = database_proxy.execute_sql(
        f"SELECT id FROM content_event WHERE id {compared} ? "  # noqa: S608 - names of our own
        f"ORDER BY id {order} LIMIT 1 OFFSET ?",
        (start, distance - 1),
    ).fetchone()
    return None if row is None else int(row[0])


def delete_events(before: float, handled: int, limit: int) -> int:
    """Remove at most ``limit`` of the oldest events, and return how many those were.

    Only those that happened before a time, with ids up to ``handled``, which all followers have
    seen. The newest row stays whatever its age, so that ids only go up.
    """
    return int(
        database_proxy.execute_sql(
            "DELETE FROM content_event WHERE id IN "
            "(SELECT id FROM content_event ORDER BY id LIMIT ?) "
            "AND at < ? AND id <= ? AND id < (SELECT max(id) FROM content_event)",
            (limit, before, handled),
        ).rowcount
    )


def find_newest() -> tuple[int, float] | None:
    """Return id and time of the event that was written last; None if there is none."""
    row: tuple[int, float] | None = database_proxy.execute_sql(
        "SELECT id, at FROM content_event ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return row


def find_oldest() -> float | None:
    """Return when the event with the lowest id happened; None if there is none."""
    row = database_proxy.execute_sql("SELECT at FROM content_event ORDER BY id LIMIT 1").fetchone()
    return None if row is None else float(row[0])


def read_event(row: Sequence[Any]) -> ContentEvent:
    """Return the event of a row with its id and the columns ``SELECTED``."""
    values = dict(zip(("id", *SELECTED.split(", ")), row, strict=True))
    component, audit = values["component"], values["audit"]
    values["component"] = None if component is None else Coordinate(*json.loads(component))
    values["audit"] = None if audit is None else AuditEntry(*json.loads(audit))
    values["attributes"] = json.loads(values["attributes"])
    return ContentEvent(**values)


# Followers --------------------------------------------------------------------------------------


def find_position(name: str) -> int | None:
    """Return the id of the last row that a follower has handled; None if it is unknown."""
    row = database_proxy.execute_sql(
        "SELECT position FROM follower WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else int(row[0])


def save_position(name: str, position: int) -> None:
    """Remember the id of the last row that a follower has handled; within a transaction."""
    database_proxy.execute_sql(
        "INSERT INTO follower (name, position) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        (name, position),
    )


# Inside -----------------------------------------------------------------------------------------


def _origin(at: float) -> tuple[Any, ...]:
    """Return the values of the columns that say when, who and from where."""
    origin: Origin = current_origin()
    return (
        at,
        origin.actor,
        origin.realm,
        origin.address,
        origin.connector,
        origin.repository,
        origin.source,
        json.dumps(dict(origin.attributes)),
    )


def _listed(component: Coordinate) -> list[str]:
    return [component.kind, component.name, component.version, component.namespace]


def _render(audit: AuditEntry | None) -> str | None:
    if audit is None:
        return None
    return json.dumps([audit.type, audit.target, dict(audit.attributes)])
