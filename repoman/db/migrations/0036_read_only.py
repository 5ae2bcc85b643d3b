"""The state of read-only mode, and what clients of the REST API know of tasks.

``uid`` is the id of a task there, which is never given to another one; ``kept`` is what a client
set and this version makes no use of.
"""

from typing import Any

_HEX = "lower(hex(randomblob({})))"
UID = " || '-' || ".join(_HEX.format(size) for size in (4, 2, 2, 2, 6))
STATEMENTS = (
    'CREATE TABLE "read_only" ("id" INTEGER NOT NULL PRIMARY KEY CHECK ("id" = 1), '
    '"at" REAL NOT NULL, "actor" TEXT NOT NULL)',
    'ALTER TABLE "task" ADD COLUMN "uid" TEXT NOT NULL DEFAULT \'\'',
    'ALTER TABLE "task" ADD COLUMN "kept" TEXT NOT NULL DEFAULT \'{}\'',
    f'UPDATE "task" SET "uid" = {UID}',  # noqa: S608 - constants
    'CREATE UNIQUE INDEX "task_uid" ON "task" ("uid")',
)


def up(_migrator: Any, db: Any) -> None:
    """Create the table and the columns; there are few tasks."""
    for statement in STATEMENTS:
        db.execute_sql(statement)
