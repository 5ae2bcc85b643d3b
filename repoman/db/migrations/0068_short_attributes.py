"""Takes very long annotations out of the rows of assets: lists read many rows at once.

They are read from the bytes of the asset, as those that were stored since are.
"""

from typing import Any

BATCH = 1_000
MOST_CHARS = 16_384


def up(_migrator: Any, _db: Any) -> None:
    """Change no table; the rows are changed in batches."""


def shorten(db: Any, after: int) -> int | None:
    """Leave out annotations that are too long, and say so."""
    query = f"SELECT id FROM asset WHERE id > ? ORDER BY id LIMIT {BATCH}"  # noqa: S608
    ids: list[int] = [id_ for (id_,) in db.execute_sql(query, (after,)).fetchall()]
    if not ids:
        return None
    db.execute_sql(
        "UPDATE asset SET attributes = json_set(attributes, '$.annotations', json('{}'), "
        "'$.is_abridged', json('true')) WHERE id BETWEEN ? AND ? "
        "AND length(attributes) > ? AND json_type(attributes, '$.annotations') = 'object'",
        (ids[0], ids[-1], MOST_CHARS),
    )
    return ids[-1]


BACKFILL = (("asset", shorten),)
