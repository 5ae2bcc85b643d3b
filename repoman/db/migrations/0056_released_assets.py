"""When something last let go of an asset, and when it was last promised to a client.

A path is *released* when an asset that refers to it goes or changes. What had a name before this
migration gets the time from the events that are still there.
"""

import json
from typing import Any

BATCH = 500  # Events of a transaction.


def up(_migrator: Any, db: Any) -> None:
    """Add the columns."""
    for column in ('"promised_at" REAL', '"released_at" REAL', '"released_by" TEXT'):
        db.execute_sql(f'ALTER TABLE "asset" ADD COLUMN {column}')


# The content without a version that has the bytes which a version had before.
RELEASE = (
    "UPDATE asset SET released_at = ?1, released_by = ?2 WHERE id IN (SELECT a.id FROM blob b "
    "JOIN asset a ON a.blob_id = b.id JOIN component c ON c.id = a.component_id "
    "WHERE b.store IN (SELECT store FROM blob_store_usage) AND b.digest = ?3 "
    "AND a.repository_id = ?4 AND c.name = ?5 AND c.version = '') "
    "AND coalesce(released_at, 0) <= ?1"
)


def fill_releases(db: Any, after: int) -> int | None:
    """Note when the last version left the content that it led to."""
    rows = db.execute_sql(
        "SELECT id, at, source, old_digest, new_digest, repository_id, component "
        "FROM content_event WHERE id > ? ORDER BY id LIMIT ?",
        (after, BATCH),
    ).fetchall()
    for _, at, source, old, new, repository, component in rows:
        if component is None or old in (None, new):
            continue
        _, name, version, _ = json.loads(component)
        if version:
            db.execute_sql(RELEASE, (at, source, old, repository, name))
    return int(rows[-1][0]) if rows else None


BACKFILL = (("content_event", fill_releases),)
