"""An index to find what has not been used for longest, which a full cache removes first."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the index; see :meth:`repoman.proxy.cache_records.CacheRecords.longest_unused`."""
    db.execute_sql(
        'CREATE INDEX "asset_last_use" ON "asset" '
        "(repository_id, kind, max(coalesce(downloaded_at, 0), updated_at), id)"
    )
