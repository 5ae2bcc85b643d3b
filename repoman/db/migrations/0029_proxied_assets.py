"""What a proxy keeps with an asset: the validators of its remote, and an order of last use.

The validators make requests conditional. By the index a full cache finds what it removes first: see
:meth:`repoman.proxy.cache_records.CacheRecords.longest_unused`.
"""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the columns and the index; what was fetched before has no validators."""
    db.execute_sql('ALTER TABLE "asset" ADD COLUMN "remote_etag" TEXT')
    db.execute_sql('ALTER TABLE "asset" ADD COLUMN "remote_modified" TEXT')
    db.execute_sql(
        'CREATE INDEX "asset_last_use" ON "asset" '
        "(repository_id, kind, max(coalesce(downloaded_at, 0), updated_at), id)"
    )
