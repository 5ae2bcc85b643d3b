"""Which connectors the server has opened, and why others are not open."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table; the next server fills it."""
    db.execute_sql(
        'CREATE TABLE "connector_state" ('
        '"key" TEXT NOT NULL PRIMARY KEY, "repository" TEXT NOT NULL, "url" TEXT NOT NULL, '
        '"problem" TEXT NOT NULL)'
    )
