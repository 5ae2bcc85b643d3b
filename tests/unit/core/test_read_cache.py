"""What was read is remembered up to the next write by anybody."""

import sqlite3
from contextlib import closing

import pytest

from repoman.caching import ENTRY_BYTES, CacheBudget
from repoman.db.cache import ReadCache
from repoman.db.database import FILE
from repoman.db.models import Revision

ENTRY = ENTRY_BYTES + 700  # bytes of one that is remembered here, with some room


@pytest.fixture
def reads():
    """The keys that were really read."""
    return []


@pytest.fixture
def get(database, reads):
    """Read a revision through a small cache."""
    cache = ReadCache(database, budget=CacheBudget(2 * ENTRY))

    def get(name):
        def read():
            reads.append(name)
            return database.revision(name)

        return cache.get(name, read)

    return get


def test_the_same_is_read_once(get, reads):
    assert [get("a"), get("a"), get("b"), get("a")] == [0, 0, 0, 0]
    assert reads == ["a", "b"]


def test_a_write_ends_what_was_remembered(get, reads, database):
    get("a")
    with database.transaction():
        database.bump("a")
    assert get("a") == 1
    assert reads == ["a", "a"]


def test_a_write_that_was_taken_back_does_no_harm(get, database):
    def bump_and_fail():
        with database.transaction():
            database.bump("a")
            assert get("a") == 1
            raise ZeroDivisionError

    get("a")
    with pytest.raises(ZeroDivisionError):
        bump_and_fail()
    assert get("a") == 0


def test_a_write_while_it_is_read_ends_it_at_once(database):
    cache = ReadCache(database)

    def read():
        value = database.revision("a")
        with database.transaction():
            database.bump("a")
        return value

    assert cache.get("a", read) == 0
    assert cache.get("a", lambda: database.revision("a")) == 1


def test_what_another_process_writes_is_seen_when_it_is_looked_for(get, database, tmp_path):
    database.notice_writes()
    get("a")
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        other.execute("insert into revision (name, value) values ('a', 7)")
    assert get("a") == 0
    database.notice_writes()
    assert get("a") == 7


def test_nothing_is_forgotten_while_nobody_writes(get, reads, database):
    database.notice_writes()
    get("a")
    database.notice_writes()
    get("a")
    assert reads == ["a"]


def test_the_memory_is_bounded(get, reads):
    for name in ("a", "b", "c", "b", "a"):
        get(name)
    assert reads == ["a", "b", "c", "a"]


def test_reads_inside_a_transaction_are_not_remembered(get, reads, database):
    with database.transaction():
        Revision.insert(name="a", value=5).execute()
        assert [get("a"), get("a")] == [5, 5]
    assert reads == ["a", "a"]
