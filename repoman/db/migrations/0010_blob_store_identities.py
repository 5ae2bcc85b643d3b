"""Which blob stores belong to this database."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table; the next start of the server fills it."""
    db.execute_sql(
        'CREATE TABLE "blob_store" ("name" TEXT NOT NULL PRIMARY KEY, "identity" TEXT NOT NULL)'
    )
