"""The certificates that an administrator trusts, beside those of public authorities."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the table."""
    db.execute_sql(
        'CREATE TABLE "certificate" ("id" TEXT NOT NULL PRIMARY KEY, "pem" TEXT NOT NULL, '
        '"added_at" REAL NOT NULL)'
    )
