"""The rows of kept sums beside what they should be, a range of ids at a time.

Each statement reads what is kept and what it is kept of at one moment. So the **drift** that it
finds, the right value minus the kept one, stays the same while others change content: triggers add
to sums and take from them, whether these are right or not. It is mended by adding it.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from repoman.db.models import database_proxy

Row = tuple[Any, ...]

_OWNERS = {
    "blob_repository": ("repository_id", "repository_id"),
    "blob_package": ("package_id", "coalesce(package_id, -repository_id)"),
}
# What is left of a blob without a row would have no size.
_LINKS = (
    "SELECT blob_id, owner, sum(counted) - sum(kept) AS drift FROM ("
    "SELECT blob_id, {column} AS owner, assets AS kept, 0 AS counted FROM {table} "
    "WHERE blob_id > ?1 AND blob_id <= ?2 UNION ALL "
    "SELECT blob_id, {owner}, 0, 1 FROM asset INDEXED BY asset_blob_id "
    "WHERE blob_id > ?1 AND blob_id <= ?2) "
    "WHERE EXISTS (SELECT 1 FROM blob WHERE id = blob_id) "
    "GROUP BY blob_id, owner HAVING drift != 0"
)
_MEND_LINK = (
    "INSERT INTO {table} (blob_id, {column}, assets) SELECT ?1, ?2, ?3 "
    "WHERE EXISTS (SELECT 1 FROM blob WHERE id = ?1) "
    "ON CONFLICT DO UPDATE SET assets = assets + excluded.assets"
)
_DROP_LINK = "DELETE FROM {table} WHERE blob_id = ?1 AND {column} = ?2 AND assets <= 0"
_COMPONENTS = (
    "SELECT id, drift FROM (SELECT c.id, (SELECT coalesce(sum(coalesce(a.transfer_size, b.size)), "
    "0) FROM asset a JOIN blob b ON b.id = a.blob_id WHERE a.component_id = c.id) - size AS drift "
    "FROM component c WHERE c.id > ?1 AND c.id <= ?2) WHERE drift != 0"
)
_OF_PACKAGE = (
    "SELECT DISTINCT a.blob_id, b.size FROM asset a JOIN blob b ON b.id = a.blob_id "
    "WHERE a.package_id = p.id"
)
_PACKAGES = (
    "SELECT p.id, (SELECT count(*) FROM asset WHERE package_id = p.id) - p.assets, "  # noqa: S608
    "(SELECT count(*) FROM component WHERE package_id = p.id AND version != '') - p.versions, "
    f"(SELECT coalesce(sum(size), 0) FROM ({_OF_PACKAGE})) - p.size, "
    f"(SELECT coalesce(sum(size), 0) FROM ({_OF_PACKAGE}) AS mine WHERE NOT EXISTS ("
    "SELECT 1 FROM blob_package x WHERE x.blob_id = mine.blob_id AND x.package_id != p.id)) "
    "- p.own_size FROM package p WHERE p.id > ?1 AND p.id <= ?2"
)
_BYTES = (
    "SELECT r.repository_id, sum(b.size), total(b.size) FILTER (WHERE NOT EXISTS ("
    "SELECT 1 FROM blob_repository x WHERE x.blob_id = r.blob_id "
    "AND x.repository_id != r.repository_id)) "
    "FROM blob b CROSS JOIN blob_repository r ON r.blob_id = b.id "
    "WHERE b.id > ?1 AND b.id <= ?2 GROUP BY r.repository_id"
)
_STORES = (
    "SELECT store, count(*), sum(size), total(size) FILTER (WHERE released_at IS NOT NULL) "
    "FROM blob WHERE id > ?1 AND id <= ?2 GROUP BY store"
)
_COUNTS = (
    "SELECT (SELECT count(*) FROM asset WHERE repository_id = ?1), "
    "(SELECT count(*) FROM component WHERE repository_id = ?1), "
    "(SELECT count(*) FROM component WHERE repository_id = ?1 AND version != ''), "
    "(SELECT count(*) FROM package WHERE repository_id = ?1)"
)
REPOSITORY_SUMS = ("assets", "components", "versions", "packages", "size", "own_size")
PACKAGE_SUMS = ("assets", "versions", "size", "own_size")
STORE_SUMS = ("blobs", "size", "reclaimable")


def snapshot() -> AbstractContextManager[None]:
    """Return a context in which the database is read as of one moment; keep it to seconds."""
    found: AbstractContextManager[None] = database_proxy.snapshot()
    return found


def highest_id(table: str) -> int:
    """Return the highest id of a table; 0: it is empty."""
    [(found,)] = _all(f'SELECT max(id) FROM "{table}"')  # noqa: S608 - names of our own
    return found or 0


def list_link_drifts(table: str, after: int, last: int) -> list[tuple[int, int, int]]:
    """Return blob, owner and drift of wrong rows, for blobs after one id up to another.

    ``table`` is ``blob_repository`` or ``blob_package``: by how many assets an owner uses a blob.
    """
    column, owner = _OWNERS[table]
    return _all(_LINKS.format(table=table, column=column, owner=owner), after, last)


def mend_link(table: str, blob: int, owner: int, drift: int) -> None:
    """Add a drift to a row, which begins or ends with it; triggers change the sums with it."""
    column, _ = _OWNERS[table]
    names = {"table": table, "column": column}
    database_proxy.execute_sql(_MEND_LINK.format(**names), (blob, owner, drift))
    database_proxy.execute_sql(_DROP_LINK.format(**names), (blob, owner))


def list_component_drifts(after: int, last: int) -> list[Row]:
    """Return component and drift of its size, for wrong ones after one id up to another."""
    return _all(_COMPONENTS, after, last)


def list_package_drifts(after: int, last: int) -> list[Row]:
    """Return package and the drifts of its sums, as of PACKAGE_SUMS, for wrong ones; as above."""
    return [row for row in _all(_PACKAGES, after, last) if any(row[1:])]


def list_kept(table: str, key: str, columns: Sequence[str]) -> dict[Any, list[int]]:
    """Return what is kept of all repositories, or of all blob stores, by their key."""
    listed = ", ".join(columns)
    rows = _all(f'SELECT {key}, {listed} FROM "{table}"')  # noqa: S608 - names of our own
    return {row[0]: list(row[1:]) for row in rows}


def count_rows(repository: int) -> list[int]:
    """Return how many assets, components, versions and packages a repository has."""
    return list(_all(_COUNTS, repository)[0])


def sum_bytes(after: int, last: int) -> list[Row]:
    """Return repository, bytes and bytes of its own, for the blobs in a range of ids."""
    return _all(_BYTES, after, last)


def sum_stores(after: int, last: int) -> list[Row]:
    """Return blob store, blobs, bytes and reclaimable bytes, for the blobs in a range of ids."""
    return _all(_STORES, after, last)


def add(table: str, key: str, id_: Any, drifts: Iterable[tuple[str, int]]) -> None:
    """Add drifts to the kept sums of one row, given as names of columns and numbers."""
    drifts = [each for each in drifts if each[1]]
    changes = ", ".join(f"{column} = {column} + ?" for column, _ in drifts)
    values = [*(drift for _, drift in drifts), id_]
    sql = f'UPDATE "{table}" SET {changes} WHERE {key} = ?'  # noqa: S608 - names of our own
    database_proxy.execute_sql(sql, values)


def name_packages(ids: Iterable[int]) -> dict[int, str]:
    """Return the namespaces and names of packages by id."""
    sql = (
        "SELECT id, CASE WHEN namespace = '' THEN name ELSE namespace || '/' || name END "
        "FROM package WHERE id IN (SELECT value FROM json_each(?))"
    )
    return dict(_all(sql, json.dumps(list(ids))))


def name_repositories() -> dict[int, str]:
    """Return the names of repositories by id."""
    return dict(_all("SELECT id, name FROM repository"))


def _all(sql: str, *values: Any) -> list[Any]:
    return list(database_proxy.execute_sql(sql, values).fetchall())
