"""The rows that tell what stored things have to do with each other, for many of them at once.

Each question is one statement, whatever the number of things that it is about. Things are named by
their **keys**: the id of a repository, and the path at which they are stored.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from repoman.catalog.records import COLUMNS, Row
from repoman.content_rules import Span
from repoman.db.models import database_proxy

AssetKey = tuple[int, str]

_GIVEN = (
    "WITH given AS (SELECT json_extract(value, '$[0]') AS repository_id, "
    "json_extract(value, '$[1]') AS path FROM json_each(?)) "
)
_ASSETS = (
    f"{_GIVEN} SELECT {', '.join(f'a.{each}' for each in COLUMNS['asset'].split(', '))}, "  # noqa: S608 - constants
    "a.transfer_size, b.digest, b.size, b.store FROM given "
    "CROSS JOIN asset a ON a.repository_id = given.repository_id AND a.path = given.path "
    "JOIN blob b ON b.id = a.blob_id"
)
_REFERRERS = (
    f"{_GIVEN} SELECT r.repository_id, r.path, r.kind, r.source, a.attributes, "  # noqa: S608 - constants
    "a.media_type, b.size, a.updated_at FROM given CROSS JOIN reference r "
    "ON r.repository_id = given.repository_id AND r.path = given.path AND r.kind IN ({kinds}) "
    "JOIN asset a ON a.id = r.asset_id JOIN blob b ON b.id = a.blob_id LIMIT ?"
)
# Whether there is one is asked for each given row by itself, however many others have.
_NAMED = (
    f"{_GIVEN} SELECT given.repository_id, given.path FROM given WHERE EXISTS ("  # noqa: S608 - constants
    "SELECT 1 FROM reference r WHERE r.repository_id = given.repository_id "
    "AND r.path = given.path AND r.kind IN ({kinds}) "
    "AND r.source NOT IN (SELECT value FROM json_each(?)))"
)
_PULLS = (
    f"{_GIVEN} SELECT p.repository_id, p.path, sum(p.n) FROM given CROSS JOIN pull_day p "  # noqa: S608 - constants
    "ON p.repository_id = given.repository_id AND p.path = given.path AND p.day >= ? "
    "GROUP BY p.repository_id, p.path"
)
_DESCRIPTIONS = (
    f"{_GIVEN} SELECT c.repository_id, c.name, c.description FROM given CROSS JOIN component c "  # noqa: S608 - constants
    "ON c.repository_id = given.repository_id AND c.kind = ? AND c.namespace = '' "
    "AND c.name = given.path AND c.version = ''"
)
_BELOW = (
    f"SELECT {', '.join(f'a.{each}' for each in COLUMNS['asset'].split(', '))}, "  # noqa: S608 - constants
    "a.transfer_size, b.digest, b.size, b.store, EXISTS (SELECT 1 FROM reference r "
    "WHERE r.repository_id = a.repository_id AND r.path = a.path AND r.kind IN ({kinds})) "
    "FROM asset a JOIN blob b ON b.id = a.blob_id "
    "WHERE a.repository_id = ? AND a.kind = ? AND a.path > ? AND a.path < ? "
    "ORDER BY a.path LIMIT ?"
)
# For each digest its own list, so that something common leaves room for everything else.
_USES = (
    "SELECT given.value, (SELECT json_group_array(json_array(repository_id, user, name)) FROM ("
    "SELECT part.repository_id, part.source AS user, "
    "CASE WHEN whole.kind = ?2 THEN whole.source ELSE named.source END AS name "
    "FROM blob_store_usage store CROSS JOIN blob "
    "ON blob.store = store.store AND blob.digest = given.value "
    "CROSS JOIN asset a ON a.blob_id = blob.id CROSS JOIN reference part "
    "ON part.repository_id = a.repository_id AND part.path = a.path AND part.kind = ?1 "
    "LEFT JOIN reference whole ON whole.repository_id = part.repository_id "
    "AND whole.path = part.source AND whole.kind IN (?2, ?3) "
    "LEFT JOIN reference named ON whole.kind = ?3 AND named.repository_id = whole.repository_id "
    "AND named.path = whole.source AND named.kind = ?2 "
    "LIMIT ?4)) FROM json_each(?5) given"
)


@dataclass(frozen=True, slots=True)
class Referrer:
    """An asset that names another one by a reference; ``size`` is its own, in bytes.

    ``key`` is what it names, ``source`` where it is stored itself.
    """

    key: AssetKey
    kind: str
    source: str
    attributes: dict[str, Any]
    media_type: str
    size: int
    updated_at: float


@dataclass(frozen=True, slots=True)
class Use:
    """An asset that refers to some bytes, and one of the names that lead to it; empty: none."""

    repository_id: int
    user: str
    name: str


def find_stored(keys: Iterable[AssetKey]) -> list[Row]:
    """Return assets as the catalog has them, with transfer size, digest, size and blob store."""
    return _all(_ASSETS, (json.dumps(list(keys)),))


def list_below(
    repository: int, kind: str, span: Span, kinds: Iterable[str], limit: int
) -> list[Row]:
    """Return assets with paths in a range, as :func:`find_stored`, and whether each is named.

    That is, by a reference of one of ``kinds``. The first path of the range is not in it.
    """
    kinds = list(kinds)
    sql = _BELOW.format(kinds=", ".join("?" * len(kinds)))
    return _all(sql, (*kinds, repository, kind, *span, limit))


def list_referrers(keys: Iterable[AssetKey], kinds: Iterable[str], limit: int) -> list[Referrer]:
    """Return at most ``limit`` assets that name something at these keys, by these kinds."""
    kinds = list(kinds)
    sql = _REFERRERS.format(kinds=", ".join("?" * len(kinds)))
    rows = _all(sql, (json.dumps(list(keys)), *kinds, limit))
    return [
        Referrer((row[0], row[1]), row[2], row[3], json.loads(row[4]), *row[5:]) for row in rows
    ]


def find_named(
    keys: Iterable[AssetKey], kinds: Iterable[str], besides: Iterable[str]
) -> set[AssetKey]:
    """Return those of the keys that an asset names by these kinds, not counting some paths."""
    kinds = list(kinds)
    sql = _NAMED.format(kinds=", ".join("?" * len(kinds)))
    return {*_all(sql, (json.dumps(list(keys)), *kinds, json.dumps(list(besides))))}


def sum_pulls(keys: Iterable[AssetKey], first_day: int) -> dict[AssetKey, int]:
    """Return how often things were pulled since a day, counted from the epoch."""
    rows = _all(_PULLS, (json.dumps(list(keys)), first_day))
    return {(repository, path): int(n) for repository, path, n in rows}


def list_descriptions(names: Iterable[AssetKey], kind: str) -> dict[AssetKey, str]:
    """Return the descriptions of components without a version, by repository and name.

    What has no such component is missing.
    """
    rows = _all(_DESCRIPTIONS, (json.dumps(list(names)), kind))
    return {(repository, name): text for repository, name, text in rows}


def list_uses(
    digests: Iterable[str], kinds: tuple[str, str, str], limit: int
) -> dict[str, list[Use]]:
    """Return what refers to bytes, by their digests, at most ``limit`` of each.

    ``kinds`` are those of the references from the user to its parts, from a name to the user, and
    from a whole, which has names itself, to the user.
    """
    values = (*kinds, limit, json.dumps(list(digests)))
    return {
        digest: [Use(repository, user, name or "") for repository, user, name in json.loads(found)]
        for digest, found in _all(_USES, values)
    }


def _all(sql: str, values: tuple[Any, ...]) -> list[Row]:
    rows: list[Row] = database_proxy.execute_sql(sql, values).fetchall()
    return rows
