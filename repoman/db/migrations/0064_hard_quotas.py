"""Hard quotas of blob stores."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the column; no store has one yet."""
    db.execute_sql('ALTER TABLE "blob_store" ADD COLUMN "hard_quota" INTEGER')
