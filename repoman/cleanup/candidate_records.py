"""The rows that cleanup policies judge, package by package, newest first; values in, values out."""

import json
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import NamedTuple

from repoman.db.models import database_proxy

BY_VERSION, BY_DATE = "version_key", "updated_at"
"""What the versions of a package are ordered by."""
NO_LIMIT = -1


class Candidate(NamedTuple):
    """A component that a policy judges; times in seconds since the epoch.

    Attributes:
        package: the id of what it is a version of; None: it is no version of anything.
        downloaded_at: 0: it was never pulled.
        version_key: sorts as the versions do.
        assets: kind and stored path of each asset, as JSON; empty if they were not asked for.
    """

    id: int
    package: int | None
    kind: str
    namespace: str
    name: str
    version: str
    is_prerelease: bool
    size: int
    updated_at: float
    downloaded_at: float
    version_key: str
    assets: str


_COLUMNS = (
    "c.id, c.package_id, c.kind, c.namespace, c.name, c.version, c.is_prerelease, c.size, "
    "c.updated_at, c.downloaded_at, c.version_key, {assets}"
)
_ASSETS = (
    "(SELECT json_group_array(json_array(a.kind, a.path)) FROM asset AS a "
    "INDEXED BY asset_component_id WHERE a.component_id = c.id)"
)
_KINDS = "c.kind IN (SELECT value FROM json_each(?))"
_VERSIONS = (
    "FROM package AS p INDEXED BY package_repository_id_kind_namespace_name "
    'CROSS JOIN component AS c INDEXED BY "component_package_id_{order}" ON c.package_id = p.id '
    f"WHERE p.repository_id = ? AND {_KINDS} "
    'ORDER BY p.kind, p.namespace, p.name, p.id, c."{order}" DESC, c.id DESC'
)
_SINGLES = (
    "FROM component AS c INDEXED BY component_repository_id_kind_name_namespace_version "
    f"WHERE c.repository_id = ? AND {_KINDS} AND c.package_id IS NULL"
)
_OF_PACKAGE = (
    'FROM component AS c INDEXED BY "component_package_id_{order}" '
    'WHERE c.package_id = ? AND c.kind = ? ORDER BY c."{order}" DESC, c.id DESC'
)
_WITH_IDS = "FROM json_each(?) AS given CROSS JOIN component AS c ON c.id = given.value"


def read_candidates(
    repository: int, kinds: Iterable[str], order: str, *, with_assets: bool
) -> Generator[Candidate]:
    """Yield the versions of each package, newest first, and what is no version of anything.

    No statement sorts, and only the row at hand is in memory.
    """
    values = (repository, json.dumps([*kinds]))
    for source in (_VERSIONS, _SINGLES):
        yield from _read(source, values, order, with_assets=with_assets)


def read_package(package: int, kind: str, order: str, *, with_assets: bool) -> Generator[Candidate]:
    """Yield the versions of a package, newest first; close it to end the statement."""
    return _read(_OF_PACKAGE, (package, kind), order, with_assets=with_assets)


def list_candidates(ids: Iterable[int], *, with_assets: bool) -> list[Candidate]:
    """Return the components with these ids that are still there."""
    return list(_read(_WITH_IDS, (json.dumps([*ids]),), "", with_assets=with_assets))


def _read(
    source: str, values: tuple[object, ...], order: str, *, with_assets: bool
) -> Generator[Candidate]:
    columns = _COLUMNS.format(assets=_ASSETS if with_assets else "''")
    query = f"SELECT {columns} {source.format(order=order)}"
    with closing(database_proxy.execute_sql(query, values)) as cursor:
        yield from map(Candidate._make, cursor)


def has_asset(repository: int, path: str) -> bool:
    """Return whether there is an asset at a path."""
    query = "SELECT 1 FROM asset WHERE repository_id = ? AND path = ?"
    return database_proxy.execute_sql(query, (repository, path)).fetchone() is not None


def count_assets(components: Iterable[int]) -> dict[int, int]:
    """Return how many assets each of the components has; those without are left out."""
    query = (
        "SELECT component_id, count(*) FROM asset INDEXED BY asset_component_id "
        "WHERE component_id IN (SELECT value FROM json_each(?)) GROUP BY component_id"
    )
    return dict(database_proxy.execute_sql(query, (json.dumps([*components]),)))


def list_blobs(components: Iterable[int]) -> list[int]:
    """Return the ids of the blobs of the assets of components."""
    query = (
        "SELECT DISTINCT blob_id FROM asset INDEXED BY asset_component_id "
        "WHERE component_id IN (SELECT value FROM json_each(?))"
    )
    return [id_ for (id_,) in database_proxy.execute_sql(query, (json.dumps([*components]),))]


def sum_released(blobs: Iterable[int]) -> int:
    """Return the bytes of those of the blobs that no asset names."""
    query = (
        "SELECT coalesce(sum(blob.size), 0) FROM json_each(?) AS given "
        "CROSS JOIN blob ON blob.id = given.value WHERE NOT EXISTS "
        "(SELECT 1 FROM asset INDEXED BY asset_blob_id WHERE asset.blob_id = blob.id)"
    )
    return int(database_proxy.execute_sql(query, (json.dumps([*blobs]),)).fetchone()[0])


def list_paths(components: Iterable[int]) -> list[str]:
    """Return the paths of the assets of components."""
    query = (
        "SELECT path FROM asset INDEXED BY asset_component_id "
        "WHERE component_id IN (SELECT value FROM json_each(?))"
    )
    return [path for (path,) in database_proxy.execute_sql(query, (json.dumps([*components]),))]


_TARGETS = (
    "SELECT r.path FROM json_each(?1) AS given "
    "CROSS JOIN asset AS a ON a.repository_id = ?2 AND a.path = given.value "
    "CROSS JOIN reference AS r ON r.asset_id = a.id "
    "WHERE r.kind NOT IN (SELECT value FROM json_each(?3)) "
    "UNION SELECT r.source FROM json_each(?1) AS given "
    "CROSS JOIN reference AS r ON r.repository_id = ?2 AND r.path = given.value "
    "AND r.kind IN (SELECT value FROM json_each(?3))"
)
_SOURCES = (
    "SELECT r.path, r.source FROM json_each(?) AS given CROSS JOIN reference AS r ON r.id IN "
    "(SELECT id FROM reference WHERE repository_id = ? AND path = given.value "
    "AND kind NOT IN (SELECT value FROM json_each(?)) LIMIT ?)"
)


def list_targets(repository: int, paths: Iterable[str], attached_kinds: Iterable[str]) -> list[str]:
    """Return the paths to which assets refer, and those of what is attached to the assets.

    ``attached_kinds`` are the kinds of references by which attached things refer.
    """
    values = (json.dumps([*paths]), repository, json.dumps([*attached_kinds]))
    return [path for (path,) in database_proxy.execute_sql(_TARGETS, values)]


def read_sources(
    repository: int, paths: Iterable[str], attached_kinds: Iterable[str], limit: int = NO_LIMIT
) -> Generator[tuple[str, str]]:
    """Yield path and source of the references to these paths, but for those of attached things.

    There are at most so many of each path.
    """
    values = (json.dumps([*paths]), repository, json.dumps([*attached_kinds]), limit)
    with closing(database_proxy.execute_sql(_SOURCES, values)) as cursor:
        yield from cursor
