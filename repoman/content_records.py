"""The rows that a change of content writes; values in, values out.

All statements are plain SQL: each push runs them under the write lock, and the query builder takes
ten times as long as the database. Times are seconds since the epoch, sizes are in bytes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repoman.blobs.store import StoredBlob
from repoman.db.models import database_proxy
from repoman.db.sqlite import batches
from repoman.events.event import Coordinate

_CHECKSUMS = (
    'SELECT c.algorithm, c.value FROM "asset" a JOIN "blob_checksum" c ON c.blob_id = a.blob_id '
    "WHERE a.id = ?"
)
_FIND_PACKAGE = (
    'SELECT id FROM "package" WHERE repository_id = ? AND kind = ? AND namespace = ? AND name = ?'
)
_INSERT_PACKAGE = (
    'INSERT INTO "package" (repository_id, kind, namespace, name) VALUES (?, ?, ?, ?) RETURNING id'
)
_SAVE_COMPONENT = (
    'INSERT INTO "component" (repository_id, kind, namespace, name, version, description, '
    "package_id, version_key, is_prerelease, size, created_at, updated_at, downloaded_at) "
    "VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, 0, ?, ?, 0) "
    "ON CONFLICT (repository_id, kind, namespace, name, version) "
    "DO UPDATE SET updated_at = excluded.updated_at, version_key = excluded.version_key, "
    "is_prerelease = excluded.is_prerelease, "
    "package_id = coalesce(excluded.package_id, component.package_id) RETURNING id"
)
_DROP_EMPTY = (
    'DELETE FROM "component" WHERE id IN ({}) '
    "AND NOT EXISTS (SELECT 1 FROM asset WHERE component_id = component.id)"
)
_INSERT_BLOB = (
    'INSERT INTO "blob" (store, digest, size, created_at) VALUES (?, ?, ?, ?) RETURNING id'
)
_KEEP_BLOB = 'UPDATE "blob" SET released_at = NULL WHERE id = ?'
_NOTE_MISPLACED = (
    'INSERT INTO "repository_move" (repository_id, store, began_at, again) VALUES (?, ?, ?, 1) '
    "ON CONFLICT DO UPDATE SET again = 1, ended_at = NULL"
)
_LIST_HOLDERS = (
    'SELECT b.store FROM "blob" b JOIN "blob_repository" u ON u.blob_id = b.id '
    "AND u.repository_id = ? WHERE b.digest = ? AND b.store IN ({})"
)
_FIND_BLOB = (
    "SELECT (SELECT id FROM blob WHERE store = ?1 AND digest = ?2), "
    "EXISTS (SELECT 1 FROM condemned WHERE store = ?1 AND digest = ?2)"
)
_HAS_CONDEMNED = (
    "SELECT 1 FROM json_each(?2) given CROSS JOIN condemned "
    "ON store = ?1 AND digest = given.value LIMIT 1"
)
_IS_KEPT = 'SELECT 1 FROM "blob_store" WHERE name = ? AND deleted_at IS NULL'
_NOTE_WHOLE = 'DELETE FROM "damaged_blob" WHERE store = ? AND digest = ?'
_SAVE_CHECKSUM = (
    'INSERT INTO "blob_checksum" (blob_id, algorithm, value) VALUES (?, ?, ?) '
    "ON CONFLICT DO NOTHING"
)
# All in one statement: what is at a path now, and what of the new asset is there already.
_FIND_PRESENT = (
    "SELECT 'package', id, NULL, NULL FROM package "
    "WHERE repository_id = ?1 AND kind = ?5 AND namespace = ?6 AND name = ?7 "
    "UNION ALL SELECT 'blob', id, released_at, NULL FROM blob WHERE store = ?3 AND digest = ?4 "
    "UNION ALL SELECT 'condemned', 1, NULL, NULL FROM condemned WHERE store = ?3 AND digest = ?4 "
    "UNION ALL SELECT 'damaged', 1, NULL, NULL FROM damaged_blob WHERE store = ?3 AND digest = ?4 "
    "UNION ALL SELECT 'repository', json_extract(settings, '$.storage.blob_store'), NULL, NULL "
    "FROM repository WHERE id = ?1 "
    "UNION ALL SELECT 'asset', asset.id, component_id, blob.digest FROM asset "
    "JOIN blob ON blob.id = blob_id WHERE repository_id = ?1 AND path = ?2"
)
_COLUMNS = (
    "component_id, kind, blob_id, media_type, attributes, updated_at, checked_at, remote_etag, "
    "remote_modified, package_id, transfer_size, uploader, uploader_address"
)
_INSERT_ASSET = (
    f'INSERT INTO "asset" ({_COLUMNS}, repository_id, path, created_at) '  # noqa: S608 - constants
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
)
_UPDATE_ASSET = (
    f'UPDATE "asset" SET ({_COLUMNS}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) '  # noqa: S608
    "WHERE id = ?"
)
_SELECT_ASSETS = (
    "SELECT a.id, a.path, a.kind, b.digest, b.size, a.media_type, a.updated_at, a.attributes, "
    "a.checked_at, a.transfer_size, a.remote_etag, a.remote_modified "
    'FROM "asset" a JOIN "blob" b ON b.id = a.blob_id '
)
_ASSETS = f"{_SELECT_ASSETS} WHERE a.repository_id = ? AND "
_PACKAGE = (
    _SELECT_ASSETS.replace(
        "a.remote_modified ", "a.remote_modified, c.version, length(a.attributes) "
    )
    + 'JOIN "component" c ON c.id = a.component_id '
    "WHERE c.repository_id = ? AND c.kind = ? AND c.namespace = ? AND c.name = ? ORDER BY a.path"
)
_OUTLINE = _PACKAGE.replace("a.attributes, a", "'{}', a")
_REFERRING = (
    f'{_SELECT_ASSETS} JOIN "reference" r ON r.asset_id = a.id '
    "WHERE r.repository_id = ? AND r.path = ? AND r.kind = ? AND r.source > ? "
    "ORDER BY r.source LIMIT ?"
)
_ADD_TRANSFER = (
    "UPDATE asset SET transfer_size = (SELECT size FROM blob WHERE id = asset.blob_id) + "
    "coalesce(part.transfer_size, part.size) FROM (SELECT a.transfer_size, b.size "
    "FROM reference r JOIN asset a ON a.repository_id = r.repository_id AND a.path = r.path "
    "JOIN blob b ON b.id = a.blob_id WHERE r.kind = ? AND r.asset_id = "
    "(SELECT id FROM asset WHERE repository_id = ? AND path = ?) ORDER BY r.id LIMIT 1) AS part "
    "WHERE asset.id IN (SELECT id FROM asset WHERE repository_id = ? AND path = ? UNION ALL "
    "SELECT asset_id FROM reference WHERE repository_id = ? AND path = ? AND kind = ?)"
)
# What assets let go of when they go or change; parts without a component need no times.
_RELEASE = (
    "UPDATE asset SET released_at = ?, released_by = ? WHERE id IN (SELECT target.id "
    "FROM asset a CROSS JOIN reference r ON r.asset_id = a.id CROSS JOIN asset target "
    "ON target.repository_id = r.repository_id AND target.path = r.path "
    "WHERE a.repository_id = ? AND a.path IN ({}) AND target.component_id IS NOT NULL)"
)
_PATHS_OF_COMPONENT = "SELECT path FROM asset WHERE component_id = ?"
_PROMISED = (
    "SELECT max(updated_at, coalesce(promised_at, 0)) FROM asset "
    "WHERE repository_id = ? AND path = ?"
)
_PROMISE = "UPDATE asset SET promised_at = ? WHERE repository_id = ? AND path = ?"
# What is in the trash keeps its row, and what it refers to, under names that nobody asks for.
TRASH = "trash/"
TRASHED = "trashed-"
_FORGET_TRASH = (
    'DELETE FROM "asset" WHERE repository_id = ? '  # noqa: S608 - constants
    f"AND path IN (SELECT '{TRASH}' || value FROM json_each(?))"
)
_THESE = "repository_id = ? AND path IN (SELECT value FROM json_each(?))"
_TRASH_REFERENCES = (
    f"UPDATE \"reference\" SET kind = '{TRASHED}' || kind, source = '{TRASH}' || source "  # noqa: S608
    f'WHERE asset_id IN (SELECT id FROM "asset" WHERE {_THESE})'
)
_TRASH_ASSETS = (
    f"UPDATE \"asset\" SET kind = '{TRASHED}' || kind, path = '{TRASH}' || path, "  # noqa: S608
    f"component_id = NULL, released_at = ?, released_by = ? WHERE {_THESE}"
)
_DELETE_REFERENCES = 'DELETE FROM "reference" WHERE asset_id = ?'
_INSERT_REFERENCES = (
    'INSERT INTO "reference" (repository_id, asset_id, source, kind, path, size) '
    "SELECT ?, ?, ?, json_extract(value, '$[0]'), json_extract(value, '$[1]'), "
    "json_extract(value, '$[2]') FROM json_each(?)"
)
_DELETE_LABELS = 'DELETE FROM "label" WHERE component_id = ?'
_INSERT_LABEL = 'INSERT INTO "label" (component_id, name, value) VALUES (?, ?, ?)'


@dataclass(frozen=True, slots=True)
class AssetValues:
    """The columns of an asset that a change of it writes, in their order."""

    component: int | None
    kind: str
    blob: int
    media_type: str
    attributes: Mapping[str, Any]
    updated_at: float
    checked_at: float | None
    remote_etag: str | None
    remote_modified: str | None
    package: int | None
    transfer_size: int | None
    uploader: str
    uploader_address: str


_ABSENT = (None, None, None)


@dataclass(frozen=True, slots=True)
class Present:
    """What the database has of an asset that is to be stored: ids, and None for what is missing.

    Attributes:
        released_at: since when no asset names the blob; None: one does.
        is_condemned: whether compaction is removing the bytes of the blob.
        is_damaged: whether verification has found the bytes damaged or missing.
        store: the blob store of the repository, as it is now.
        asset: what is at the path now.
        digest: that of its bytes.
    """

    package: int | None
    blob: int | None
    released_at: float | None
    is_condemned: bool
    is_damaged: bool
    store: str | None
    asset: int | None
    component: int | None
    digest: str | None


def find_present(
    repository: int, path: str, store: str, digest: str, package: Coordinate | None
) -> Present:
    """Return what is there of an asset with such a path, such bytes and such a package."""
    key: tuple[str | None, ...] = (None, None, None)
    if package is not None:
        key = (package.kind, package.namespace, package.name)
    rows = _execute(_FIND_PRESENT, (repository, path, store, digest, *key)).fetchall()
    found = {table: values for table, *values in rows}
    package_id, *_ = found.get("package", _ABSENT)
    blob, released_at, _ = found.get("blob", _ABSENT)
    return Present(
        package_id,
        blob,
        released_at,
        "condemned" in found,
        "damaged" in found,
        found.get("repository", _ABSENT)[0],
        *found.get("asset", _ABSENT),
    )


def insert_package(repository: int, package: Coordinate) -> int:
    """Make a package and return its id."""
    values = (repository, package.kind, package.namespace, package.name)
    return int(_execute(_INSERT_PACKAGE, values).fetchone()[0])


def save_package(repository: int, package: Coordinate) -> int:
    """Return the id of a package, which is made where it is missing."""
    values = (repository, package.kind, package.namespace, package.name)
    found = _execute(_FIND_PACKAGE, values).fetchone()
    return insert_package(repository, package) if found is None else int(found[0])


def save_component(
    repository: int,
    coordinate: Coordinate,
    package: int | None,
    order: tuple[str, bool],
    now: float,
) -> int:
    """Return the id of a component, which is made where it is missing.

    ``order`` is the key of its version, and whether that is a pre-release.
    """
    key = (coordinate.kind, coordinate.namespace, coordinate.name, coordinate.version)
    values = (repository, *key, package, *order, now, now)
    return int(_execute(_SAVE_COMPONENT, values).fetchone()[0])


def drop_empty_components(components: Iterable[int]) -> None:
    """Remove those of the components that have no asset."""
    for batch in batches(components):
        _execute(_DROP_EMPTY.format(", ".join("?" * len(batch))), tuple(batch))


def insert_blob(store: str, blob: StoredBlob, now: float) -> int:
    """Make the row of a blob and return its id."""
    return int(_execute(_INSERT_BLOB, (store, blob.digest, blob.size, now)).fetchone()[0])


def keep_blob(blob_id: int) -> None:
    """Note that a blob is in use again."""
    _execute(_KEEP_BLOB, (blob_id,))


def list_holders(repository: int, digest: str, stores: Sequence[str]) -> list[str]:
    """Return those of the blob stores in which a repository has a blob."""
    sql = _LIST_HOLDERS.format(", ".join("?" * len(stores)))
    return [store for (store,) in _execute(sql, (repository, digest, *stores))]


def find_blob(store: str, digest: str) -> tuple[int | None, bool]:
    """Return the id of a blob, if it has a row, and whether compaction is removing its bytes."""
    blob_id, is_condemned = _execute(_FIND_BLOB, (store, digest)).fetchone()
    return blob_id, bool(is_condemned)


def has_condemned(store: str, digests: Iterable[str]) -> bool:
    """Return whether compaction is removing the bytes of any of these blobs."""
    return _execute(_HAS_CONDEMNED, (store, json.dumps(list(digests)))).fetchone() is not None


def is_store_kept(store: str) -> bool:
    """Return whether nobody has deleted a blob store."""
    return _execute(_IS_KEPT, (store,)).fetchone() is not None


def note_misplaced(repository: int, store: str, now: float) -> None:
    """Note that a repository has a blob in another store than its own, which is ``store``."""
    _execute(_NOTE_MISPLACED, (repository, store, now))


def note_whole(store: str, digest: str) -> None:
    """Note that the bytes of a damaged blob are there again."""
    _execute(_NOTE_WHOLE, (store, digest))


def save_checksums(blob_id: int, checksums: Mapping[str, str]) -> None:
    """Store digests of a blob by other algorithms, in hex."""
    for algorithm, value in checksums.items():
        _execute(_SAVE_CHECKSUM, (blob_id, algorithm, value))


def list_checksums(asset: int) -> Iterator[tuple[str, str]]:
    """Yield algorithm and value of the stored digests of an asset's bytes, in hex."""
    yield from _execute(_CHECKSUMS, (asset,))


def save_asset(repository: int, path: str, new: AssetValues, former: int | None) -> int:
    """Store an asset at a path, in place of the ``former`` one; return its id."""
    values = (
        new.component,
        new.kind,
        new.blob,
        new.media_type,
        json.dumps(dict(new.attributes)),
        new.updated_at,
        new.checked_at,
        new.remote_etag,
        new.remote_modified,
        new.package,
        new.transfer_size,
        new.uploader,
        new.uploader_address,
    )
    if former is None:
        made = _execute(_INSERT_ASSET, (*values, repository, path, new.updated_at))
        return int(made.fetchone()[0])
    _execute(_UPDATE_ASSET, (*values, former))
    return former


def find_asset(repository: int, path: str) -> tuple[Any, ...] | None:
    """Return the columns of the asset at a path, in the order of ``Asset``; None: there is none."""
    return next(_select(f"{_ASSETS} a.path = ?", (repository, path)), None)


def find_assets(repository: int, paths: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of the assets at these paths."""
    for batch in batches(paths):
        marks = ", ".join("?" * len(batch))
        yield from _select(f"{_ASSETS} a.path IN ({marks})", (repository, *batch))


def find_referenced(repository: int, paths: Iterable[str], kinds: Sequence[str] = ()) -> set[str]:
    """Return those of the paths that an asset of the repository names by a reference.

    ``kinds`` are those of the references that count; none given: all do.
    """
    found: set[str] = set()
    counted = f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    for batch in batches(paths):
        marks = ", ".join("?" * len(batch))
        sql = f"SELECT path FROM reference WHERE repository_id = ? AND path IN ({marks})"  # noqa: S608
        found.update(path for (path,) in _execute(sql + counted, (repository, *batch, *kinds)))
    return found


def find_referenced_size(repository: int, path: str, kind: str) -> int | None:
    """Return the size of what is at a path, as a reference of a kind tells; None: none does."""
    sql = (
        "SELECT size FROM reference WHERE repository_id = ? AND path = ? AND kind = ?"
        " AND size IS NOT NULL LIMIT 1"
    )
    found = _execute(sql, (repository, path, kind)).fetchone()
    return None if found is None else int(found[0])


def list_assets(
    repository: int, kind: str, after: str, limit: int, span: tuple[str, str] | None
) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of at most ``limit`` assets of a kind, in the order of their paths.

    Those have paths after ``after``; from ``span[0]`` on and before ``span[1]``, if it is given.
    """
    conditions, values = "a.path > ?", [after]
    if span is not None:
        conditions, values = "a.path >= ? AND a.path < ?", list(span)
        if after >= span[0]:
            conditions, values = "a.path > ? AND a.path < ?", [after, span[1]]
    sql = f"{_ASSETS} a.kind = ? AND {conditions} ORDER BY a.path LIMIT ?"
    return _select(sql, (repository, kind, *values, limit))


def list_package(
    repository: int, package: Coordinate, *, outline: bool
) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of the assets of all versions of a package, by path.

    The version follows, and of how many characters the attributes are; an outline lacks these.
    """
    key = (repository, package.kind, package.namespace, package.name)
    return _select(_OUTLINE if outline else _PACKAGE, key)


def list_referring(
    repository: int, path: str, kind: str, after: str, limit: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of the assets that name a path, in the order of their own paths."""
    return _select(_REFERRING, (repository, path, kind, after, limit))


def add_transfer(repository: int, path: str, part: str, alias: str) -> None:
    """Count the first asset to which an asset refers; see ``ContentStore.add_transfer``."""
    here = (repository, path)
    _execute(_ADD_TRANSFER, (part, *here, *here, *here, alias))


def trash_path(path: str) -> str:
    """Return the path of an asset that is in the trash, given the one that it had."""
    return f"{TRASH}{path}"


def trashed_kind(kind: str) -> str:
    """Return the kind of such an asset, or of a reference from it, given the one that it had."""
    return f"{TRASHED}{kind}"


def trash_assets(repository: int, paths: Sequence[str], now: float, source: str) -> None:
    """Move assets to the trash; see ``ContentStore.trash_assets``."""
    these = (repository, json.dumps(paths))
    _execute(_FORGET_TRASH, these)
    _execute(_TRASH_REFERENCES, these)
    _execute(_TRASH_ASSETS, (now, source, *these))


def list_values(sql: str, values: Sequence[Any]) -> list[str]:
    """Return the only column of the rows of a SELECT."""
    wrapped = f"WITH found(value) AS ({sql}) SELECT json_group_array(value) FROM found"  # noqa: S608
    listed: list[str] = json.loads(_execute(wrapped, tuple(values)).fetchone()[0])
    return listed


def release_targets(repository: int, paths: Iterable[str], at: float, source: str) -> None:
    """Note that the assets at these paths let go of what they refer to; before they do."""
    for batch in batches(paths):
        marks = ", ".join("?" * len(batch))
        _execute(_RELEASE.format(marks), (at, source, repository, *batch))


def list_component_paths(component: int) -> list[str]:
    """Return the paths of the assets of a component."""
    return list_values(_PATHS_OF_COMPONENT, (component,))


def find_promised(repository: int, path: str) -> float | None:
    """Return when an asset was last stored, or promised to a client; None: it is not there."""
    row = _execute(_PROMISED, (repository, path)).fetchone()
    return None if row is None else float(row[0])


def save_promised(repository: int, path: str, at: float) -> bool:
    """Note that an asset is promised to a client; return whether it is there."""
    return bool(_execute(_PROMISE, (at, repository, path)).rowcount)


def delete_references(asset_id: int) -> None:
    """Remove what an asset refers to."""
    _execute(_DELETE_REFERENCES, (asset_id,))


def insert_references(
    repository: int, asset_id: int, source: str, named: Iterable[tuple[str, str, int | None]]
) -> None:
    """Store what an asset refers to: kinds, paths and sizes."""
    for batch in batches(named):
        _execute(_INSERT_REFERENCES, (repository, asset_id, source, json.dumps(batch)))


def replace_labels(component: int, labels: Mapping[str, str]) -> None:
    """Give a component exactly these labels."""
    _execute(_DELETE_LABELS, (component,))
    for name, value in labels.items():
        _execute(_INSERT_LABEL, (component, name, value))


def _select(sql: str, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of assets, with their attributes as a dictionary."""
    for row in _execute(sql, values):
        yield (*row[:7], json.loads(row[7]), *row[8:])


def _execute(sql: str, values: tuple[Any, ...]) -> Any:
    return database_proxy.obj.execute_sql(sql, values)
