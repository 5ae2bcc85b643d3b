"""The index for search: what components without a version are called and described as.

Its rows have the numbers that ``repoman.search`` tells; triggers keep it, so that nobody who
changes components can forget it.
"""

from typing import Any

COLUMNS = "rowid, namespace, name, description"
VALUES = "{0}.repository_id << 40 | {0}.id, {0}.namespace, {0}.name, {0}.description"
ADD = f"INSERT INTO component_index ({COLUMNS}) SELECT {VALUES}"
REMOVE = f"INSERT INTO component_index (component_index, {COLUMNS}) SELECT 'delete', {VALUES}"
CHANGED = "repository_id, namespace, name, version, description"


def up(_migrator: Any, db: Any) -> None:
    """Make the index of all components that are there."""
    db.execute_sql("ALTER TABLE component ADD COLUMN description TEXT NOT NULL DEFAULT ''")
    db.execute_sql(
        "CREATE VIRTUAL TABLE component_index USING fts5(namespace, name, description, "
        "content = '', columnsize = 0, tokenize = 'trigram')"
    )
    db.execute_sql(f"{ADD.format('component')} FROM component WHERE version = ''")
    is_old, is_new = "WHERE old.version = ''", "WHERE new.version = ''"
    remove, add = f"{REMOVE.format('old')} {is_old};", f"{ADD.format('new')} {is_new};"
    _create_trigger(db, "added", "INSERT", add)
    _create_trigger(db, "removed", "DELETE", remove)
    _create_trigger(db, "changed", f"UPDATE OF {CHANGED}", remove + add)


def _create_trigger(db: Any, name: str, event: str, steps: str) -> None:
    db.execute_sql(f"CREATE TRIGGER component_{name} AFTER {event} ON component BEGIN {steps} END")
