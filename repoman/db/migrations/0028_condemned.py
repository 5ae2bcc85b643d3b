"""Blobs whose bytes are being removed: nothing may be stored that names them."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table."""
    db.execute_sql(
        'CREATE TABLE "condemned" ("store" TEXT NOT NULL, "digest" TEXT NOT NULL, '
        'PRIMARY KEY ("store", "digest"))'
    )
