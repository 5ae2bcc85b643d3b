"""Large deletions: tombstones of repositories, and condemned blobs.

A deleted repository is a tombstone until a task has removed its content. Nothing is stored in it
any more: triggers say so in the words of a foreign key, so that nobody who stores something can
forget to look. A blob whose bytes are being removed is condemned: nothing may be stored that names
it.
"""

from typing import Any

REFUSE = (
    "WHEN (SELECT deleted_at FROM repository WHERE id = new.repository_id) IS NOT NULL "
    "BEGIN SELECT RAISE(ABORT, 'FOREIGN KEY: the repository was deleted'); END"
)


def up(_migrator: Any, db: Any) -> None:
    """Add the mark, the triggers and the table."""
    db.execute_sql("ALTER TABLE repository ADD COLUMN deleted_at REAL")
    for table in ("asset", "component", "upload"):
        db.execute_sql(f"CREATE TRIGGER {table}_alive BEFORE INSERT ON {table} {REFUSE}")
    db.execute_sql(f"CREATE TRIGGER asset_alive_still BEFORE UPDATE OF blob_id ON asset {REFUSE}")
    db.execute_sql(
        'CREATE TABLE "condemned" ("store" TEXT NOT NULL, "digest" TEXT NOT NULL, '
        'PRIMARY KEY ("store", "digest"))'
    )
