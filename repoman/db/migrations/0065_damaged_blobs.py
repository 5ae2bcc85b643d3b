"""Which blobs are damaged or missing, and how far each blob store has been verified."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the tables; a blob without a row is not listed as damaged."""
    db.execute_sql(
        'CREATE TABLE "damaged_blob" ("store" TEXT NOT NULL, "digest" TEXT NOT NULL, '
        '"problem" TEXT NOT NULL, "found_at" REAL NOT NULL, PRIMARY KEY ("store", "digest"))'
    )
    db.execute_sql(
        'CREATE TABLE "blob_verification" ("store" TEXT NOT NULL PRIMARY KEY, '
        '"began_at" REAL NOT NULL, "ended_at" REAL, "after" TEXT NOT NULL, '
        '"blobs" INTEGER NOT NULL, "size" INTEGER NOT NULL)'
    )
    db.execute_sql(
        'CREATE TRIGGER "blob_undamaged" AFTER DELETE ON "blob" BEGIN DELETE FROM "damaged_blob" '
        "WHERE store = old.store AND digest = old.digest; END"
    )
