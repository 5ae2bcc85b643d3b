"""The validators that remotes send with their content, for conditional requests."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the columns; what was fetched before has no validators."""
    db.execute_sql('ALTER TABLE "asset" ADD COLUMN "remote_etag" TEXT')
    db.execute_sql('ALTER TABLE "asset" ADD COLUMN "remote_modified" TEXT')
