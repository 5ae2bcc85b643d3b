"""How the remote of a proxy was when the server last wrote it down."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table; nothing is known yet."""
    db.execute_sql(
        'CREATE TABLE "remote" ('
        '"repository_id" INTEGER NOT NULL PRIMARY KEY '
        'REFERENCES "repository" ("id") ON DELETE CASCADE, '
        '"condition" TEXT NOT NULL, "reason" TEXT NOT NULL, "budget" TEXT, "at" REAL NOT NULL)'
    )
