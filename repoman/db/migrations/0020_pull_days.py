"""How often an asset was pulled on each day."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table; days are those since the epoch, UTC."""
    db.execute_sql(
        'CREATE TABLE "pull_day" ('
        '"repository_id" INTEGER NOT NULL, "path" TEXT NOT NULL, "day" INTEGER NOT NULL, '
        '"n" INTEGER NOT NULL, PRIMARY KEY ("repository_id", "path", "day")) WITHOUT ROWID'
    )
    db.execute_sql('CREATE INDEX "pull_day_day" ON "pull_day" ("day")')
