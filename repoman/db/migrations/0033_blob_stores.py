"""Blob stores that are created while the server runs, and soft quotas."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the columns; all stores of before are in the settings file."""
    db.execute_sql('ALTER TABLE "blob_store" ADD COLUMN "settings" TEXT')
    db.execute_sql('ALTER TABLE "blob_store" ADD COLUMN "quota" TEXT')
    db.execute_sql('ALTER TABLE "blob_store" ADD COLUMN "deleted_at" REAL')
