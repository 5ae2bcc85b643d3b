"""Repositories that move, or have moved, to another blob store."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the table; a repository without a row has all its blobs in its blob store."""
    db.execute_sql(
        'CREATE TABLE "repository_move" ("repository_id" INTEGER NOT NULL PRIMARY KEY '
        'REFERENCES "repository" ("id") ON DELETE CASCADE, "store" TEXT NOT NULL, '
        '"began_at" REAL NOT NULL, '
        '"ended_at" REAL, "is_paused" INTEGER NOT NULL DEFAULT 0, '
        '"again" INTEGER NOT NULL DEFAULT 0, "after" TEXT NOT NULL DEFAULT \'\', '
        '"done" INTEGER NOT NULL DEFAULT 0, "blobs" INTEGER NOT NULL DEFAULT 0, '
        '"size" INTEGER NOT NULL DEFAULT 0, "problem" TEXT NOT NULL DEFAULT \'\', '
        '"retry_at" REAL NOT NULL DEFAULT 0)'
    )
