"""By which order the versions of repositories have been stored, and their keys, in plain SQL."""

import json
from collections.abc import Iterable
from typing import Any

from repoman.db.models import database_proxy

_KNOWN = "SELECT repository_id, fingerprint FROM version_order WHERE after IS NULL"
# What is there to be renewed begins at the first component; what began goes on.
_BEGIN = (
    "INSERT INTO version_order (repository_id, fingerprint, after) VALUES (?1, ?2, "
    "(SELECT min(id) - 1 FROM component WHERE repository_id = ?1)) "
    "ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, after = excluded.after "
    "WHERE fingerprint != excluded.fingerprint"
)
_OF = "repository_id IN (SELECT value FROM json_each(?))"
_REACHED = f"SELECT min(after) FROM version_order WHERE {_OF}"  # noqa: S608 - a constant
_HIGHEST = "SELECT coalesce(max(id), 0) FROM component"
_COMPONENTS = (
    "SELECT id, repository_id, version, version_key, is_prerelease FROM component "
    "WHERE id > ? AND id <= ? AND version != ''"
)
_RENEW = "UPDATE component SET version_key = ?, is_prerelease = ? WHERE id = ?"
_REACH = f"UPDATE version_order SET after = ? WHERE after IS NOT NULL AND {_OF}"  # noqa: S608


def known() -> dict[int, str]:
    """Return the fingerprints of the orders by which all versions of repositories are stored."""
    return dict(database_proxy.execute_sql(_KNOWN))


def begin(repository: int, fingerprint: str) -> None:
    """Note that a repository gets another order, unless that was noted before."""
    database_proxy.execute_sql(_BEGIN, (repository, fingerprint))


def reached(repositories: Iterable[int]) -> int | None:
    """Return the id of the last component that is done in all of them; None: all are."""
    [(after,)] = database_proxy.execute_sql(_REACHED, (json.dumps(list(repositories)),))
    return None if after is None else int(after)


def highest_component() -> int:
    """Return the highest id of a component."""
    [(highest,)] = database_proxy.execute_sql(_HIGHEST)
    return int(highest)


def list_versions(after: int, until: int) -> Iterable[tuple[Any, ...]]:
    """Return id, repository, version, key and whether it is a pre-release, in a range of ids."""
    return list(database_proxy.execute_sql(_COMPONENTS, (after, until)))


def renew(key: str, is_prerelease: bool, component: int) -> None:
    """Set the order of a version."""
    database_proxy.execute_sql(_RENEW, (key, is_prerelease, component))


def reach(repositories: Iterable[int], after: int | None) -> None:
    """Note up to which component they are done; None: to the end."""
    database_proxy.execute_sql(_REACH, (after, json.dumps(list(repositories))))
