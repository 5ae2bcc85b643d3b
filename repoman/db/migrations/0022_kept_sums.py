"""Triggers that keep the sums of packages, repositories and blob stores, and indexes to sort by.

Each change costs some updates of single rows, however much there is, and is right at once. Nobody
who changes content can forget it, deletions that cascade included. Bytes that several paths share
count once per owner; they are an owner's *own* where nobody else uses them. What belongs to no
package is used by ``-repository_id``, so that it is not taken for a package's own.

Each index takes a transaction of its own where there is content to read for it.
"""

from collections.abc import Callable, Iterator
from typing import Any

OWNERS = (
    ("blob_repository", "repository_id", "repository_usage", "repository_id", "{0}.repository_id"),
    ("blob_package", "package_id", "package", "id", "coalesce({0}.package_id, -{0}.repository_id)"),
)
SIZE = "(SELECT size FROM blob WHERE id = {0}.blob_id)"
TRANSFER = f"coalesce({{0}}.transfer_size, {SIZE})"
DROP_EMPTY = "DELETE FROM package WHERE id = old.package_id AND assets = 0 AND versions = 0;"
MOVED = " OR ".join(
    f"old.{each} IS NOT new.{each}"
    for each in ("blob_id", "package_id", "component_id", "transfer_size")
)
INDEXES = {
    "component": (
        "repository_id kind",
        "repository_id kind name namespace version",
        "repository_id kind version_key",
        "repository_id kind updated_at",
        "repository_id kind downloaded_at",
        "repository_id kind size",
        "package_id updated_at",
        "package_id version_key",
    ),
    "asset": (
        "repository_id kind path",
        "repository_id downloaded_at",
        "package_id",
    ),
    "package": (
        "repository_id name",
        "repository_id updated_at",
        "repository_id downloaded_at",
        "repository_id size",
    ),
}


UPLOADERS = "asset_repository_id_uploader ON asset (repository_id, uploader) WHERE uploader != ''"


def up(_migrator: Any, db: Any) -> None:
    """Create the triggers, and the indexes in a database without content, which is not filled."""
    is_filled = "SELECT EXISTS (SELECT 1 FROM component) OR EXISTS (SELECT 1 FROM asset)"
    if not db.execute_sql(is_filled).fetchone()[0]:
        for _, create in BACKFILL:
            create(db, 0)
    _keep_uses(db)
    _keep_counts(db)
    _keep_times(db)


def _list_indexes() -> Iterator[tuple[str, str]]:
    """Yield the table of each index, and the index as SQL."""
    for table, indexes in INDEXES.items():
        for columns in map(str.split, indexes):
            name = "_".join((table, *columns))
            listed = ", ".join(f'"{each}"' for each in columns)
            yield table, f'"{name}" ON "{table}" ({listed})'
    yield "asset", UPLOADERS


def _creating(index: str) -> Callable[[Any, int], None]:
    def create(db: Any, _after: int) -> None:
        db.execute_sql(f"CREATE INDEX IF NOT EXISTS {index}")

    return create


BACKFILL = tuple((table, _creating(index)) for table, index in _list_indexes())


def _trigger(db: Any, name: str, event: str, *steps: str, when: str = "") -> None:
    condition = f"WHEN {when} " if when else ""
    db.execute_sql(f"CREATE TRIGGER {name} AFTER {event} {condition}BEGIN {' '.join(steps)} END")


def _keep_uses(db: Any) -> None:
    """Count the assets by which an owner uses a blob, and sum up the blobs."""
    added = [_add_use(*each) for each in OWNERS]
    added.append(_add_to_component("new", "+"))
    removed = [_remove_use(*each) for each in OWNERS]
    removed.append(_add_to_component("old", "-"))
    _trigger(db, "asset_used", "INSERT ON asset", *added)
    _trigger(db, "asset_unused", "DELETE ON asset", *removed)
    columns = "blob_id, package_id, component_id, transfer_size"
    # First what is new, so that nothing is taken for empty in between.
    _trigger(db, "asset_moved", f"UPDATE OF {columns} ON asset", *added, *removed, when=MOVED)
    for table, column, owners, key, _ in OWNERS:
        _sum_uses(db, table, column, owners, key)


def _add_use(table: str, column: str, _owners: str, _key: str, owner: str) -> str:
    return (
        f"INSERT INTO {table} (blob_id, {column}, assets) "  # noqa: S608 - constants
        f"VALUES (new.blob_id, {owner.format('new')}, 1) "
        "ON CONFLICT DO UPDATE SET assets = assets + 1;"
    )


def _remove_use(table: str, column: str, _owners: str, _key: str, owner: str) -> str:
    mine = f"WHERE blob_id = old.blob_id AND {column} = {owner.format('old')}"
    return (
        f"UPDATE {table} SET assets = assets - 1 {mine}; "  # noqa: S608 - constants
        f"DELETE FROM {table} {mine} AND assets = 0;"
    )


def _add_to_component(row: str, sign: str) -> str:
    return (
        f"UPDATE component SET size = size {sign} {TRANSFER.format(row)} "  # noqa: S608
        f"WHERE id = {row}.component_id;"
    )


def _sum_uses(db: Any, table: str, column: str, owners: str, key: str) -> None:
    def users(row: str, most: int) -> str:
        some = f"SELECT 1 FROM {table} WHERE blob_id = {row}.blob_id LIMIT {most}"  # noqa: S608
        return f"(SELECT count(*) FROM ({some}))"  # noqa: S608 - constants

    def change(row: str, sums: str, where: str) -> str:
        return f"UPDATE {owners} SET {sums.format(SIZE.format(row))} WHERE {where};"  # noqa: S608

    other = (
        f"{key} = (SELECT {column} FROM {table} "  # noqa: S608 - constants
        f"WHERE blob_id = {{0}}.blob_id AND {column} != {{0}}.{column} LIMIT 1)"
    )
    added, removed = f"{key} = new.{column}", f"{key} = old.{column}"
    _trigger(
        db,
        f"{table}_added",
        f"INSERT ON {table}",
        change("new", "size = size + {0}", added),
        change("new", "own_size = own_size + {0}", f"{added} AND {users('new', 2)} = 1"),
        change(
            "new", "own_size = own_size - {0}", f"{users('new', 3)} = 2 AND {other.format('new')}"
        ),
    )
    _trigger(
        db,
        f"{table}_removed",
        f"DELETE ON {table}",
        change("old", "size = size - {0}", removed),
        change("old", "own_size = own_size - {0}", f"{removed} AND {users('old', 1)} = 0"),
        change(
            "old", "own_size = own_size + {0}", f"{users('old', 2)} = 1 AND {other.format('old')}"
        ),
    )


def _count(row: str, sign: str, column: str, by: str = "1") -> str:
    return (
        f"UPDATE repository_usage SET {column} = {column} {sign} {by} "  # noqa: S608 - constants
        f"WHERE repository_id = {row}.repository_id;"
    )


def _count_in_package(row: str, sign: str, column: str) -> str:
    is_version = f" AND {row}.version != ''" if column == "versions" else ""
    return (
        f"UPDATE package SET {column} = {column} {sign} 1 "  # noqa: S608 - constants
        f"WHERE id = {row}.package_id{is_version};"
    )


def _keep_counts(db: Any) -> None:
    for event, row, sign, end in (("INSERT", "new", "+", ""), ("DELETE", "old", "-", DROP_EMPTY)):
        done = {"INSERT": "counted", "DELETE": "uncounted"}[event]
        assets = (_count(row, sign, "assets"), _count_in_package(row, sign, "assets"), end)
        _trigger(db, f"asset_{done}", f"{event} ON asset", *assets)
        versions = _count(row, sign, "versions", f"({row}.version != '')")
        components = (_count(row, sign, "components"), versions)
        of_package = (_count_in_package(row, sign, "versions"), end)
        _trigger(db, f"component_{done}", f"{event} ON component", *components, *of_package)
        _trigger(db, f"package_{done}", f"{event} ON package", _count(row, sign, "packages"))
    for table, column in (("asset", "assets"), ("component", "versions")):
        moved = (_count_in_package("new", "+", column), _count_in_package("old", "-", column))
        event = f"UPDATE OF package_id ON {table}"
        is_moved = "old.package_id IS NOT new.package_id"
        _trigger(db, f"{table}_repackaged", event, *moved, DROP_EMPTY, when=is_moved)
    usage = "INSERT INTO repository_usage (repository_id) VALUES (new.id);"
    _trigger(db, "repository_added", "INSERT ON repository", usage)
    _keep_stores(db)


def _keep_stores(db: Any) -> None:
    """Count blobs, and sum up what compaction may remove."""

    def change(row: str, sums: str) -> str:
        return f"UPDATE blob_store_usage SET {sums} WHERE store = {row}.store;"  # noqa: S608

    def reclaimable(row: str) -> str:
        return f"{row}.size * ({row}.released_at IS NOT NULL)"

    _trigger(
        db,
        "blob_added",
        "INSERT ON blob",
        "INSERT INTO blob_store_usage (store) VALUES (new.store) ON CONFLICT DO NOTHING;",
        change(
            "new",
            "blobs = blobs + 1, size = size + new.size, "
            f"reclaimable = reclaimable + {reclaimable('new')}",
        ),
    )
    _trigger(
        db,
        "blob_removed",
        "DELETE ON blob",
        change(
            "old",
            "blobs = blobs - 1, size = size - old.size, "
            f"reclaimable = reclaimable - {reclaimable('old')}",
        ),
    )
    _trigger(
        db,
        "blob_released",
        "UPDATE OF released_at ON blob",
        change("new", f"reclaimable = reclaimable + {reclaimable('new')} - {reclaimable('old')}"),
        when="(old.released_at IS NULL) != (new.released_at IS NULL)",
    )


def _keep_times(db: Any) -> None:
    """Carry the times of assets to what they belong to; they never go back."""
    pushed = (
        "UPDATE package SET updated_at = new.updated_at "
        "WHERE id = new.package_id AND updated_at < new.updated_at;"
    )
    _trigger(db, "asset_stored", "INSERT ON asset", pushed)
    _trigger(db, "asset_updated", "UPDATE OF updated_at, package_id ON asset", pushed)
    pulled = [
        f"UPDATE {table} SET downloaded_at = new.downloaded_at "  # noqa: S608 - constants
        f"WHERE id = new.{table}_id AND downloaded_at < new.downloaded_at;"
        for table in ("component", "package")
    ]
    _trigger(db, "asset_downloaded", "UPDATE OF downloaded_at ON asset", *pulled)
