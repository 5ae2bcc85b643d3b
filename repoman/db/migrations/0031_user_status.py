"""Users have a status in place of a switch, and are found by how their names begin in any case."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Turn the switch into a status, and add the index."""
    db.execute_sql('ALTER TABLE "user" ADD COLUMN "status" TEXT NOT NULL DEFAULT \'active\'')
    db.execute_sql('UPDATE "user" SET "status" = \'disabled\' WHERE NOT "is_active"')
    db.execute_sql('ALTER TABLE "user" DROP COLUMN "is_active"')
    db.execute_sql('CREATE INDEX "user_lower_name" ON "user" (lower("name"))')
