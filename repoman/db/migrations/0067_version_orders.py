"""By which order the versions of each repository have been stored."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the table; a repository without a row may have keys of an earlier build."""
    db.execute_sql(
        'CREATE TABLE "version_order" ("repository_id" INTEGER NOT NULL PRIMARY KEY '
        'REFERENCES "repository" ("id") ON DELETE CASCADE, "fingerprint" TEXT NOT NULL, '
        '"after" INTEGER)'
    )
