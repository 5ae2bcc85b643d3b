"""The statements that SQLite executes, for tests that count them or look at their plans."""

from collections.abc import Iterator
from contextlib import contextmanager

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
