"""Until when the remote of a proxy is blocked after failures."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the column; what is known of remotes stays."""
    db.execute_sql('ALTER TABLE "remote" ADD COLUMN "blocked_until" REAL')
