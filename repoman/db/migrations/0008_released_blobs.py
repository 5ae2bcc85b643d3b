"""Blobs that no asset names any more are marked, so that compaction need not look for them.

Triggers set the mark, so that nobody who removes assets can forget it.
"""

from typing import Any

RELEASE = (  # the time is exact to the millisecond, so that no blob looks older than its file
    "UPDATE blob SET released_at = (julianday('now') - 2440587.5) * 86400 WHERE id = old.blob_id "
    "AND NOT EXISTS (SELECT 1 FROM asset WHERE blob_id = old.blob_id);"
)


def up(_migrator: Any, db: Any) -> None:
    """Add the mark; what nothing names today is marked as of long ago."""
    db.execute_sql("ALTER TABLE blob ADD COLUMN released_at REAL")
    db.execute_sql(
        "CREATE INDEX blob_released ON blob (store, released_at) WHERE released_at IS NOT NULL"
    )
    db.execute_sql(
        "UPDATE blob SET released_at = 0 "
        "WHERE NOT EXISTS (SELECT 1 FROM asset WHERE blob_id = blob.id)"
    )
    db.execute_sql(f"CREATE TRIGGER asset_removed AFTER DELETE ON asset BEGIN {RELEASE} END")
    db.execute_sql(
        "CREATE TRIGGER asset_replaced AFTER UPDATE OF blob_id ON asset "
        f"WHEN old.blob_id != new.blob_id BEGIN {RELEASE} END"
    )
