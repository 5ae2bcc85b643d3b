"""The index that has the referrers of a path in their order, however many there are."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Keep the path of the asset that refers beside the path it names."""
    db.execute_sql('ALTER TABLE "reference" ADD COLUMN "source" TEXT NOT NULL DEFAULT \'\'')
    db.execute_sql(
        'UPDATE "reference" SET "source" = '
        '(SELECT "path" FROM "asset" WHERE "asset"."id" = "reference"."asset_id")'
    )
    db.execute_sql('DROP INDEX "reference_repository_id_path_kind"')
    db.execute_sql(
        'CREATE INDEX "reference_repository_id_path_kind_source" '
        'ON "reference" ("repository_id", "path", "kind", "source")'
    )
