"""What SQLite executes, for tests that count it or look at its plans."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from repoman.db.database import Database
from repoman.db.models import database_proxy


@contextmanager
def executed_statements() -> Iterator[list[str]]:
    """Collect what this thread executes in the block, with the values in each statement."""
    statements: list[str] = []
    connections = (database_proxy.connection(), database_proxy.writer)
    for each in connections:
        each.set_trace_callback(statements.append)
    try:
        yield statements
    finally:
        for each in connections:
            each.set_trace_callback(None)


@contextmanager
def changed_rows(database: Database) -> Iterator[list[int]]:
    """Collect how many rows each transaction of the block changes, those of triggers too."""
    found: list[int] = []
    transaction = database.transaction

    @contextmanager
    def counted(**options: Any) -> Iterator[None]:
        writer = database_proxy.writer
        is_outer, before = not database.in_transaction(), writer.total_changes
        with transaction(**options):
            yield
        if is_outer:
            found.append(writer.total_changes - before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "transaction", counted)
        yield found
