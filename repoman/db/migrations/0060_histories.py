"""Indexes of content events, for the histories of single paths and for what was left.

Most events store something new, so the index of departures holds few rows. A path whose assets
belong to no component, such as a part of something, has no history of its own.
"""

from typing import Any

IS_DEPARTURE = '"old_digest" IS NOT NULL AND "new_digest" IS NOT "old_digest"'


def up(_migrator: Any, db: Any) -> None:
    """Create the indexes."""
    for name, columns, condition in (
        ("path", '"repository_id", "path"', '"component" IS NOT NULL'),
        ("departure", '"repository_id", "kind"', IS_DEPARTURE),
    ):
        db.execute_sql(
            f'CREATE INDEX "content_event_{name}" ON "content_event" ({columns}) WHERE {condition}'
        )
