"""What a client downloads of an index: the first image that it lists, besides its own bytes.

It is the first that is there; images of the platform that most clients use are usually listed
first. From now on the order of the references says which it is.
"""

from typing import Any

BATCH = 1_000
# The first asset to which an asset refers as its child.
FIRST = (
    "SELECT coalesce(part.transfer_size, blob.size) FROM reference "
    "JOIN asset AS part ON part.repository_id = reference.repository_id "
    "AND part.path = reference.path JOIN blob ON blob.id = part.blob_id "
    "WHERE reference.kind = 'child' AND reference.asset_id = asset.id "
    "ORDER BY reference.id LIMIT 1"
)
# What an asset is another name of.
TARGET = (
    "SELECT target.transfer_size FROM reference JOIN asset AS target "
    "ON target.repository_id = reference.repository_id AND target.path = reference.path "
    "WHERE reference.kind = 'tag' AND reference.asset_id = asset.id "
    "AND target.blob_id = asset.blob_id LIMIT 1"
)


def up(_migrator: Any, _db: Any) -> None:
    """Change no table; what there is gets its sizes in batches."""


def fill_indexes(db: Any, after: int) -> int | None:
    """Add the first image to the size of each index."""
    size = f"(SELECT size FROM blob WHERE id = asset.blob_id) + ({FIRST})"  # noqa: S608
    return _update(db, after, f"transfer_size = {size}", f"EXISTS ({FIRST})")


def fill_tags(db: Any, after: int) -> int | None:
    """Give tags the sizes of what they name."""
    other = f"({TARGET}) IS NOT transfer_size AND ({TARGET}) IS NOT NULL"
    return _update(db, after, f"transfer_size = ({TARGET})", other)


def _update(db: Any, after: int, change: str, where: str) -> int | None:
    query = f"SELECT id FROM asset WHERE id > ? ORDER BY id LIMIT {BATCH}"  # noqa: S608
    ids: list[int] = [id_ for (id_,) in db.execute_sql(query, (after,)).fetchall()]
    if not ids:
        return None
    sql = f"UPDATE asset SET {change} WHERE id BETWEEN ? AND ? AND {where}"  # noqa: S608
    db.execute_sql(sql, (ids[0], ids[-1]))
    return ids[-1]


BACKFILL = (("asset", fill_indexes), ("asset", fill_tags))
