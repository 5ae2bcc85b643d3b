"""Remember how many bytes a run of a task freed, and list packages by what only they take."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the column and the index."""
    db.execute_sql('ALTER TABLE "task_run" ADD COLUMN "freed_bytes" INTEGER NOT NULL DEFAULT 0')
    db.execute_sql(
        'CREATE INDEX "package_repository_id_own_size" ON "package" ("repository_id", "own_size")'
    )
