"""Events of content, how far each follower of a table has come, and how often assets were pulled.

Events have no foreign key: they outlive their repository. The file of the audit log is a follower
from now on and keeps its position. The days of pulls are those since the epoch, UTC.
"""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the tables; nothing that happened before becomes an event."""
    db.execute_sql(
        'CREATE TABLE "content_event" ('
        '"id" INTEGER NOT NULL PRIMARY KEY, "repository_id" INTEGER NOT NULL, '
        '"repository" TEXT NOT NULL, "at" REAL NOT NULL, '
        '"actor" TEXT NOT NULL, "realm" TEXT NOT NULL, "address" TEXT NOT NULL, '
        '"connector" TEXT NOT NULL, "requested" TEXT NOT NULL, "source" TEXT NOT NULL, '
        '"kind" TEXT NOT NULL, "path" TEXT NOT NULL, "component" TEXT, '
        '"old_digest" TEXT, "new_digest" TEXT, '
        '"audit" TEXT, "attributes" TEXT NOT NULL)'
    )
    db.execute_sql(
        'CREATE TABLE "follower" ("name" TEXT NOT NULL PRIMARY KEY, "position" INTEGER NOT NULL)'
    )
    db.execute_sql(
        'INSERT INTO "follower" SELECT \'audit file\', "value" FROM "revision" '
        "WHERE \"name\" = 'audit-file'"
    )
    db.execute_sql('DELETE FROM "revision" WHERE "name" = \'audit-file\'')
    db.execute_sql(
        'CREATE TABLE "pull_day" ('
        '"repository_id" INTEGER NOT NULL, "path" TEXT NOT NULL, "day" INTEGER NOT NULL, '
        '"n" INTEGER NOT NULL, PRIMARY KEY ("repository_id", "path", "day")) WITHOUT ROWID'
    )
    db.execute_sql('CREATE INDEX "pull_day_day" ON "pull_day" ("day")')
