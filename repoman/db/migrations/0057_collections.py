"""How far the collection of unneeded content has come in each repository."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the table."""
    db.execute_sql(
        'CREATE TABLE "collection" ("repository_id" INTEGER NOT NULL PRIMARY KEY '
        'REFERENCES "repository" ("id") ON DELETE CASCADE, '
        '"position" TEXT NOT NULL, "count" INTEGER NOT NULL, "size" INTEGER NOT NULL, '
        '"reclaimable_count" INTEGER, "reclaimable_size" INTEGER, "ended_at" REAL)'
    )
