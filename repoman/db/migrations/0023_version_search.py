"""The index for search among versions: their names and versions.

Its rows have the numbers of ``component_index``, which has what has no version; triggers keep it.
"""

from typing import Any

BATCH = 500  # rows of a transaction
COLUMNS = "rowid, namespace, name, version"
VALUES = "{0}.repository_id << 40 | {0}.id, {0}.namespace, {0}.name, {0}.version"
ADD = f"INSERT INTO version_index ({COLUMNS}) SELECT {VALUES}"
REMOVE = f"INSERT INTO version_index (version_index, {COLUMNS}) SELECT 'delete', {VALUES}"
CHANGED = "repository_id, namespace, name, version"


def up(_migrator: Any, db: Any) -> None:
    """Make the index, still empty, and what keeps it."""
    db.execute_sql(
        "CREATE VIRTUAL TABLE version_index USING fts5(namespace, name, version, "
        "content = '', columnsize = 0, tokenize = 'trigram')"
    )
    is_old, is_new = "WHERE old.version != ''", "WHERE new.version != ''"
    remove, add = f"{REMOVE.format('old')} {is_old};", f"{ADD.format('new')} {is_new};"
    for name, event, steps in (
        ("indexed", "INSERT", add),
        ("unindexed", "DELETE", remove),
        ("reindexed", f"UPDATE OF {CHANGED}", remove + add),
    ):
        db.execute_sql(
            f"CREATE TRIGGER version_{name} AFTER {event} ON component BEGIN {steps} END"
        )


def fill_index(db: Any, after: int) -> int | None:
    """Add the versions that are there."""
    query = f"SELECT id FROM component WHERE id > ? ORDER BY id LIMIT {BATCH}"  # noqa: S608
    ids: list[int] = [id_ for (id_,) in db.execute_sql(query, (after,)).fetchall()]
    if not ids:
        return None
    db.execute_sql(
        f"{ADD.format('component')} FROM component WHERE id BETWEEN ? AND ? AND version != ''",
        (ids[0], ids[-1]),
    )
    return ids[-1]


BACKFILL = (("component", fill_index),)
