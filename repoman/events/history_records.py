"""The histories of single paths in content events, by indexes, however many events there are.

A **departure** is an event after which a path no longer has the bytes that it had: its asset was
deleted, or got other ones. Only assets of components have a history.
"""

import json
from collections.abc import Iterable, Sequence

from repoman.db.models import database_proxy
from repoman.db.sqlite import batches
from repoman.events.event import ContentEvent
from repoman.events.event_records import SELECTED, read_event

IS_DEPARTURE = "old_digest IS NOT NULL AND new_digest IS NOT old_digest"

_SELECT = f"SELECT id, {SELECTED} FROM content_event "  # noqa: S608 - constants
_HISTORY = (
    f"{_SELECT} WHERE repository_id = ? AND path = ? AND component IS NOT NULL AND kind = ? "
    "AND id < ? ORDER BY id DESC LIMIT ?"
)
_DEPARTURES = (
    f"{_SELECT} WHERE repository_id = ? AND kind = ? AND {IS_DEPARTURE} AND id < ? "
    "ORDER BY id DESC LIMIT ?"
)
_LAST_LEFT = (
    "SELECT old_digest FROM content_event "  # noqa: S608 - constants
    f"WHERE repository_id = ? AND path = ? AND component IS NOT NULL AND {IS_DEPARTURE} "
    "ORDER BY id DESC LIMIT 1"
)
_PATHS = (
    "SELECT DISTINCT path FROM content_event INDEXED BY content_event_departure "  # noqa: S608 - constants
    f"WHERE repository_id = ? AND kind = ? AND {IS_DEPARTURE} AND at > ? "
    "AND json_extract(component, '$[1]') = coalesce(?, json_extract(component, '$[1]')) "
    "AND path > ? ORDER BY path LIMIT ?"
)
_STATES = (
    "SELECT e.path, e.old_digest FROM json_each(?) given JOIN content_event e ON e.id = "
    "(SELECT id FROM content_event WHERE repository_id = ? AND path = given.value "
    "AND component IS NOT NULL AND at > ? ORDER BY id LIMIT 1)"
)


def list_history(
    repository_id: int, kind: str, path: str, before: int, limit: int
) -> list[ContentEvent]:
    """Return at most ``limit`` events of a path with ids below ``before``, newest first."""
    return _events(_HISTORY, (repository_id, path, kind, before, limit))


def list_departures(repository_id: int, kind: str, before: int, limit: int) -> list[ContentEvent]:
    """Return at most ``limit`` departures with ids below ``before``, newest first."""
    return _events(_DEPARTURES, (repository_id, kind, before, limit))


def _events(sql: str, values: Sequence[object]) -> list[ContentEvent]:
    return [read_event(row) for row in database_proxy.execute_sql(sql, values)]


class Histories:
    """The past of the assets of components in a repository; thread safe.

    Digests are SHA-256, in hex; times are seconds since the epoch.
    """

    def __init__(self, repository_id: int) -> None:
        self._repository = repository_id

    def last_left(self, path: str) -> str | None:
        """Return the digest that a path had before its last departure; None: there is none."""
        row = database_proxy.execute_sql(_LAST_LEFT, (self._repository, path)).fetchone()
        return None if row is None else str(row[0])

    def states_at(self, paths: Iterable[str], at: float) -> dict[str, str | None]:
        """Return the digests that paths had at a time; None: there was nothing.

        A path to which nothing happened since is missing.
        """
        found: dict[str, str | None] = {}
        for batch in batches(paths):
            values = (json.dumps(batch), self._repository, at)
            found.update(database_proxy.execute_sql(_STATES, values))
        return found

    def departed(
        self, kind: str, since: float, after: str, limit: int, name: str | None = None
    ) -> list[str]:
        """Return the paths of assets of a kind with a departure after a time, in their order.

        At most ``limit`` of those after the path ``after``; of components with this name, unless
        it is None.
        """
        values = (self._repository, kind, since, name, after, limit)
        return [path for (path,) in database_proxy.execute_sql(_PATHS, values)]
