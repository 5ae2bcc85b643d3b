"""Cleanup policies."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table."""
    db.execute_sql(
        'CREATE TABLE "cleanup_policy" ("key" TEXT NOT NULL PRIMARY KEY, "name" TEXT NOT NULL, '
        '"format" TEXT NOT NULL, "notes" TEXT, "last_updated_days" INTEGER, '
        '"last_downloaded_days" INTEGER, "release_type" TEXT, "asset_regex" TEXT, '
        '"retain" INTEGER, "sort_by" TEXT)'
    )
