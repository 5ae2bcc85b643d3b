"""Tasks, their runs with the lines of their logs, and which first tasks were created."""

from typing import Any

STATEMENTS = (
    'CREATE TABLE "task" ("id" INTEGER NOT NULL PRIMARY KEY, '
    '"type" TEXT NOT NULL, "name" TEXT NOT NULL, "settings" TEXT NOT NULL, '
    '"schedule" TEXT NOT NULL, "is_enabled" INTEGER NOT NULL, "next_at" REAL)',
    'CREATE TABLE "task_run" ("id" INTEGER NOT NULL PRIMARY KEY, '
    '"task_id" INTEGER NOT NULL REFERENCES "task" ("id") ON DELETE CASCADE, '
    '"type" TEXT NOT NULL, "state" TEXT NOT NULL, '
    '"done" INTEGER NOT NULL DEFAULT 0, "total" INTEGER, "message" TEXT NOT NULL DEFAULT \'\', '
    '"owner" TEXT NOT NULL DEFAULT \'\', "lease_until" REAL, '
    '"is_stop_requested" INTEGER NOT NULL DEFAULT 0, "attempt" INTEGER NOT NULL DEFAULT 0, '
    '"queued_at" REAL NOT NULL, "started_at" REAL, "ended_at" REAL, '
    "\"result\" TEXT NOT NULL DEFAULT '')",
    'CREATE INDEX "task_run_task" ON "task_run" ("task_id", "id")',
    # A task waits once, and of a type one runs at a time: whoever claims a run relies on it.
    'CREATE UNIQUE INDEX "task_run_queued" ON "task_run" ("task_id") WHERE "state" = \'queued\'',
    'CREATE UNIQUE INDEX "task_run_running" ON "task_run" ("type") WHERE "state" = \'running\'',
    'CREATE TABLE "task_line" ("run_id" INTEGER NOT NULL '
    'REFERENCES "task_run" ("id") ON DELETE CASCADE, "number" INTEGER NOT NULL, '
    '"at" REAL NOT NULL, "text" TEXT NOT NULL, PRIMARY KEY ("run_id", "number"))',
    'CREATE TABLE "first_task" ("type" TEXT NOT NULL PRIMARY KEY)',
)


def up(_migrator: Any, db: Any) -> None:
    """Create the tables; the next start creates the first tasks."""
    for statement in STATEMENTS:
        db.execute_sql(statement)
