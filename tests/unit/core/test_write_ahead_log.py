"""Commits are durable before anybody is told, many by one fsync, and no failure is forgotten."""

import errno
import os
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from repoman.config import DatabaseSettings
from repoman.db import write_ahead_log as module
from repoman.db.database import FILE, Database
from repoman.db.models import Revision, database_proxy
from repoman.errors import Unavailable
from tests.clock import wait_until

WRITERS = 8
COMMITS = 15  # of each writer


def insert(name):
    Revision.insert(name=name, value=1).execute()


class Disk:
    """A disk that has of the log only what was synced; a power cut leaves that.

    Attributes:
        syncs: how many there were.
        problem: the error number of the next fsync; 0: none.
    """

    def __init__(self, directory, monkeypatch):
        self._directory = directory
        self.syncs = 0
        self.problem = 0
        self.before_sync = lambda: None
        self._synced = b""
        self._real = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def _sync(self, fd):
        self.syncs += 1
        # What is written while the sync runs may be on the disk afterwards, or not.
        data = (self._directory / f"{FILE}-wal").read_bytes()
        self.before_sync()
        if self.problem:
            problem, self.problem = self.problem, 0
            raise OSError(problem, os.strerror(problem))
        self._real(fd)
        self._synced = data

    def names_after_power_cut(self, directory):
        """What a database has that is started on the disk as it is now."""
        directory.mkdir()
        shutil.copyfile(self._directory / FILE, directory / FILE)
        (directory / f"{FILE}-wal").write_bytes(self._synced)
        with closing(sqlite3.connect(directory / FILE)) as connection:
            return {name for (name,) in connection.execute("select name from revision")}


@pytest.fixture
def disk(database, tmp_path, monkeypatch):
    """The disk of the database."""
    database.checkpoint()
    return Disk(tmp_path, monkeypatch)


def test_what_was_acknowledged_survives_a_power_cut_at_any_time(database, disk, tmp_path):
    acknowledged = []

    def write(writer):
        for number in range(COMMITS):
            name = f"{writer}-{number}"
            with database.transaction():
                insert(name)
            acknowledged.append(name)
        database.close()

    cuts = []

    def cut():
        known = set(acknowledged[:])
        cuts.append(known - disk.names_after_power_cut(tmp_path / f"cut{len(cuts)}"))

    disk.before_sync = cut
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    cut()
    assert cuts == [set()] * len(cuts)
    assert len(acknowledged) == WRITERS * COMMITS
    assert disk.syncs < WRITERS * COMMITS


def test_who_commits_during_an_fsync_waits_for_the_next_one_together(database, disk):
    entered, go_on = threading.Event(), threading.Event()

    def hold():
        entered.set()
        go_on.wait()

    def write(name):
        with database.transaction():
            insert(name)
        database.close()

    disk.before_sync = hold
    with ThreadPoolExecutor(WRITERS) as pool:
        first = pool.submit(write, "first")
        entered.wait()
        others = [pool.submit(write, f"other{number}") for number in range(WRITERS - 1)]
        wait_until(lambda: Revision.select().count() == WRITERS, what="the other commits")
        assert not any(each.done() for each in (first, *others))
        go_on.set()
        for each in (first, *others):
            each.result()
    # Who committed but has not begun to wait when the second one begins takes a third.
    assert 2 <= disk.syncs <= 3


def test_what_nobody_waits_for_takes_no_fsync(database, disk):
    with database.transaction(touches=()):
        insert("a")
    with database.transaction(is_durable=False):
        insert("b")
    assert disk.syncs == 0
    with database.transaction(is_durable=False), database.transaction():
        insert("c")
    assert disk.syncs == 1


def test_a_failed_fsync_is_told_and_never_counts_as_done(database, disk, tmp_path):
    disk.problem = errno.EIO
    with pytest.raises(Unavailable), database.transaction():
        insert("doubtful")
    # The next fsync would succeed, without the pages that the first one lost.
    synced = disk.syncs
    with database.transaction():
        insert("later")
    assert disk.syncs == synced + 1
    # All of the log went into the database before it: it survives without the log.
    assert disk.names_after_power_cut(tmp_path / "cut") == {"doubtful", "later"}


def test_nothing_is_written_while_the_log_cannot_be_copied(database, disk, tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from revision").fetchall()
        disk.problem = errno.EIO
        with pytest.raises(Unavailable), database.transaction():
            insert("doubtful")
        database_proxy.execute_sql("PRAGMA busy_timeout = 0")
        with pytest.raises(Unavailable, match="its disk failed"), database.transaction():
            insert("refused")
        assert [name for (name,) in Revision.select(Revision.name).tuples()] == ["doubtful"]
    with database.transaction():
        insert("later")
    assert disk.names_after_power_cut(tmp_path / "cut") == {"doubtful", "later"}


def test_everybody_who_waited_for_the_fsync_that_failed_is_told(database, disk):
    entered, go_on = threading.Event(), threading.Event()

    def hold():
        entered.set()
        go_on.wait()

    def write(name):
        try:
            with database.transaction():
                insert(name)
        except Unavailable:
            return "refused"
        finally:
            database.close()
        return "acknowledged"

    disk.before_sync = hold
    disk.problem = errno.EIO
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(write, "first")
        entered.wait()
        second = pool.submit(write, "second")
        wait_until(lambda: Revision.select().count() == 2, what="the other commit")
        go_on.set()
        assert (first.result(), second.result()) == ("refused", "refused")


def test_the_log_is_copied_into_the_database_now_and_then(database, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "CHECKPOINT_ROWS", 10)
    for number in range(300):
        with database.transaction(touches=()):
            insert(f"{number:0500}")
    assert (tmp_path / f"{FILE}-wal").stat().st_size < 1_000_000


def test_a_log_that_was_replaced_is_the_one_that_is_synced(tmp_path, disk, database):
    with database.transaction():
        insert("a")
    database.close()  # The last connection removes the log.
    assert not (tmp_path / f"{FILE}-wal").exists()
    with database.transaction():
        insert("b")
    assert disk.names_after_power_cut(tmp_path / "cut") >= {"a", "b"}


def test_a_start_makes_durable_what_a_killed_process_left(tmp_path, disk, database):
    with database.transaction(touches=()):
        insert("a")
    again = Database(tmp_path, DatabaseSettings())
    again.checkpoint()
    assert "a" in disk.names_after_power_cut(tmp_path / "cut")
    again.close()
