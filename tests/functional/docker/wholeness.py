"""What holds for a server at any time, and what is left of it once all that can go is gone."""

import hashlib
import time
from itertools import count
from pathlib import Path

from repoman.clocks import DAY_S
from repoman.collection import CollectionOptions, collect, list_unneeded
from repoman.compaction import Compactor, Unwatched
from repoman.core import Repoman
from repoman.db.models import database_proxy
from repoman.stores.moves import Moves
from tests.functional.docker.test_collection import Watcher
from tests.recount import counted, kept

FUTURE = 1e10  # seconds since the epoch: every time of grace is over
later = count(FUTURE, 3600.0).__next__  # What was put off is due, each time that one looks.
LATER_S = 30 * DAY_S  # More than anything is kept that was deleted, or promised to a client.
FAST = 1 << 40  # bytes in a second
DANGLING = """
    SELECT kind, path FROM reference r WHERE kind IN ('blob', 'tag', 'child') AND NOT EXISTS
    (SELECT 1 FROM asset a WHERE a.repository_id = r.repository_id AND a.path = r.path)
"""
EMPTY = """
    SELECT name, version FROM component
    WHERE id NOT IN (SELECT component_id FROM asset WHERE component_id IS NOT NULL)
"""
NAMED = "SELECT store, digest FROM blob WHERE id IN (SELECT blob_id FROM asset)"
UNNAMED = "SELECT store, digest FROM blob WHERE id NOT IN (SELECT blob_id FROM asset)"


def rows(sql: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    found: list[tuple[object, ...]] = database_proxy.execute_sql(sql).fetchall()
    return found


def blob_files(repoman: Repoman) -> set[tuple[str, str]]:
    """The blob stores and digests of all files of blobs."""
    return {
        (name, file.name)
        for name in repoman.blob_stores.names()
        for file in _directory(repoman, name).glob("sha256/*/*")
    }


def check_whole(repoman: Repoman) -> None:
    """Fail unless all that rows name is there, with the right bytes, and the sums are right."""
    for store, digest in rows(NAMED):
        file = _directory(repoman, str(store)) / "sha256" / str(digest)[:2] / str(digest)
        assert file.exists(), f"{file} is lost"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest, f"{file} is damaged"
    for sql in (DANGLING, EMPTY, "PRAGMA foreign_key_check"):
        found = rows(sql)
        assert found == [], f"{sql}: {found[:5]}"
    connection = database_proxy.connection()
    assert kept(connection) == counted(connection)


def empty(repoman: Repoman) -> None:
    """Let everything go that can, as in a month."""
    repoman.sweep()
    for uploads in repoman.repositories._builder._uploads.values():
        uploads.end_idle(FUTURE, bool)
    moves = Moves(repoman.database, repoman.repositories, repoman.blob_stores, later)
    moves.run(Unwatched(), bool, FAST)
    for repository in repoman.repositories.all():
        collector = repository.capabilities.collector
        if collector is not None:
            work = [(repository.name, collector)]
            options = CollectionOptions(time.time() + LATER_S, DAY_S)
            assert collect(work, options, Watcher(), 60.0).is_complete
            assert list(list_unneeded(collector, options)) == []
    compactor = Compactor(repoman.database, repoman.blob_stores, lambda: FUTURE)
    compactor.compact()
    for prefix in range(256):
        compactor.sweep(f"{prefix:02x}")


def check_nothing_left(repoman: Repoman) -> None:
    """Fail unless exactly what is needed is left, once all that can go is gone."""
    empty(repoman)
    check_whole(repoman)
    assert rows(UNNAMED) == []
    assert blob_files(repoman) == set(rows("SELECT store, digest FROM blob"))
    assert rows("SELECT id FROM upload") == []
    for name in repoman.blob_stores.names():
        assert list((_directory(repoman, name) / "uploads").iterdir()) == []


def _directory(repoman: Repoman, store: str) -> Path:
    directory: Path = repoman.blob_stores.get(store).directory  # type: ignore[attr-defined]
    return directory
