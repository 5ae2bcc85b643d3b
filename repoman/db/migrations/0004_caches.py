"""What a proxy remembers of its cache: when content was checked, downloaded, invalidated."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the times; nothing is known of content that is there already."""
    db.execute_sql('ALTER TABLE "asset" ADD COLUMN "checked_at" REAL')
    db.execute_sql('ALTER TABLE "asset" ADD COLUMN "downloaded_at" REAL')
    db.execute_sql('ALTER TABLE "repository" ADD COLUMN "invalidated_at" REAL')
