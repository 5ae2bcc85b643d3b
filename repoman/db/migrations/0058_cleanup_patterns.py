"""Patterns of cleanup policies, as JSON lists."""

from typing import Any

COLUMNS = ("name_patterns", "version_patterns", "keep_names", "keep_versions")


def up(_migrator: Any, db: Any) -> None:
    """Add the columns; the policies there are have none."""
    for column in COLUMNS:
        db.execute_sql(
            f'ALTER TABLE "cleanup_policy" ADD COLUMN "{column}" TEXT NOT NULL DEFAULT \'[]\''
        )
