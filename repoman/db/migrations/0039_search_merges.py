"""Merges the search indexes in small steps only.

By default FTS5 merges all segments of a level, in the transaction that happens to write the next
one, when 16 have piled up: with 300,000 components that takes a fifth of a second, during which
nobody else can write. The steps of ``automerge`` are bounded, and keep up.
"""

from typing import Any

# By the name of the index; so many segments of one level never pile up.
STATEMENT = "INSERT INTO {0} ({0}, rank) VALUES ('crisismerge', 1000)"
INDEXES = ("component_index", "version_index")


def up(_migrator: Any, db: Any) -> None:
    """Have merges of whole levels begin where they are never reached."""
    for name in INDEXES:
        db.execute_sql(STATEMENT.format(name))
