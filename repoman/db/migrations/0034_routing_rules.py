"""Routing rules with names, which several repositories can use."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table; rules in the settings of repositories stay there."""
    db.execute_sql(
        'CREATE TABLE "routing_rule" ("key" TEXT NOT NULL PRIMARY KEY, "name" TEXT NOT NULL, '
        '"description" TEXT NOT NULL, "mode" TEXT NOT NULL, "matchers" TEXT NOT NULL)'
    )
