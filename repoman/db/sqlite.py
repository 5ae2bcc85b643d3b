"""SQLite as the database uses it: its errors in the core's words, its statements noted.

Every statement goes by :class:`Sqlite`, so that whatever it reads or writes is known to the topics
of caches.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, NoReturn, Protocol, TypeVar

from peewee import DatabaseError, SqliteDatabase
from peewee import __exception_wrapper__ as wrapped_errors

from repoman.db.read_only import MESSAGE, REFUSAL
from repoman.db.topics import READER, Topics, written_table
from repoman.errors import Conflict, Frozen, RepomanError, StorageFull, Unavailable
from repoman.keyring import Keyring
from repoman.waiting import Wait, waiting

LAST_CHARACTER = "\U0010ffff"  # Sorts last: with it, a prefix is the end of what begins so.
BATCH_VALUES = 500  # The values of one list in a statement; SQLite allows 32,766 in all of it.
RETRY_AFTER_S = 5  # What a client is told when another program holds the database.

T = TypeVar("T")


class Owner(Protocol):
    """What the connections of a database belong to."""

    topics: Topics

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context that is one write transaction."""

    def in_transaction(self) -> bool:
        """Return whether the calling thread is in one."""

    def note_write(self, table: str) -> None:
        """Note that the transaction writes to a table."""


class Sqlite(SqliteDatabase):
    """SQLite whose disk failures are raised as errors of the core.

    Each thread has a connection that reads. All transactions that write share one: its pages stay
    in memory, while what others read before is outdated by each commit.
    """

    owner: Owner
    keyring: Keyring  # for migrations, and for fields that seal what they store
    _writer: sqlite3.Connection | None = None

    @property
    def writer(self) -> sqlite3.Connection:
        """The connection that writes; only for the holder of the write lock."""
        if self._writer is None:
            with translated_errors(), wrapped_errors:
                self._writer = self._connect()
            _set_busy_timeout(self._writer, 0.0)
        return self._writer

    def close_writer(self) -> None:
        """Close the connection that writes, which opens again when it is needed."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Execute a statement, and note what it reads or writes."""
        table = written_table(sql)
        if table is None:
            if READER.get() is not None:
                self.owner.topics.note_statement(sql)
        elif not self.owner.in_transaction():
            with self.owner.transaction():
                return self.execute_sql(sql, params)
        else:
            self.owner.note_write(table)
        return self.execute_plain(sql, params)

    def execute_plain(self, sql: str, params: Any = None) -> Any:
        """Execute a statement that neither reads nor writes what caches depend on."""
        state = self._state
        try:  # no context manager, and not by peewee: they take longer than SQLite
            connection = self.connection() if state.closed else state.conn
            return connection.execute(sql, params or ())
        except (sqlite3.Error, DatabaseError) as error:
            with translated_errors(), wrapped_errors:
                raise error

    @contextmanager
    def writing(self, deadline: float) -> Iterator[sqlite3.Connection]:
        """Run the block as a transaction of the connection that writes.

        It waits for other programs until ``deadline``, in monotonic seconds.

        Raises:
            Locked, StorageFull, Unavailable: it cannot begin or end; nothing was written.
        """
        writer, state = self.writer, self._state
        own = state.conn, state.closed
        self._begin(writer, deadline)
        state.conn, state.closed = writer, False
        self.push_transaction(writer)
        try:
            yield writer
            self.execute_plain("COMMIT")
        except BaseException:
            if not self._has_ended():
                self.execute_plain("ROLLBACK")
            raise
        finally:
            self.pop_transaction()
            state.conn, state.closed = own

    def _begin(self, writer: sqlite3.Connection, deadline: float) -> None:
        try:
            _begin(writer)
        except Locked:
            with waiting(Wait.DATABASE):
                _set_busy_timeout(writer, deadline - time.monotonic())
                try:
                    _begin(writer)
                finally:
                    _set_busy_timeout(writer, 0.0)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Return a context in which this thread reads the database as it is at the first look.

        Nobody waits for it, but the log of the database grows meanwhile: keep it to seconds.
        """
        self.execute_plain("BEGIN")
        try:
            yield
        finally:
            self.execute_plain("COMMIT")

    @contextmanager
    def savepoint_named(self, name: str) -> Iterator[None]:
        """Return a context whose changes are taken back if it fails."""
        self.execute_plain(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            if not self._has_ended():
                self.execute_plain(f"ROLLBACK TO SAVEPOINT {name}")
            raise
        self.execute_plain(f"RELEASE SAVEPOINT {name}")

    def _has_ended(self) -> bool:
        """Return whether SQLite ended the transaction itself, as it does on a full disk."""
        return not self.connection().in_transaction


class Locked(Unavailable):
    """Another program or thread holds the write lock of the database for too long."""

    retry_after = RETRY_AFTER_S


def batches(items: Iterable[T], size: int = BATCH_VALUES) -> Iterator[list[T]]:
    """Yield the items in lists; the usual ones fit in a statement."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _begin(writer: sqlite3.Connection) -> None:
    try:  # no context manager: see execute_plain
        writer.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        with translated_errors(), wrapped_errors:
            raise error


def _set_busy_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {max(0, round(seconds * 1000))}")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn SQLite errors that are not bugs into errors of the core."""
    try:
        yield
    except DatabaseError as error:
        _translate(error)


def _translate(error: DatabaseError) -> NoReturn:
    for mark, kind, message in _TROUBLES:
        if mark in str(error):
            raise kind(message.format(error)) from error
    if type(error) is DatabaseError:  # SQLite's word for a file that is damaged
        raise Unavailable(UNUSABLE.format(error)) from error
    raise error


BUSY = "The database is busy. Try again."
UNUSABLE = "The database cannot be used: {}."
# What SQLite's message contains, and what it means here.
_TROUBLES: tuple[tuple[str, type[RepomanError], str], ...] = (
    (REFUSAL, Frozen, MESSAGE),
    ("disk is full", StorageFull, "The disk that holds the database is full."),
    ("is locked", Locked, BUSY),
    ("readonly", Unavailable, UNUSABLE),
    ("disk I/O", Unavailable, UNUSABLE),
    ("unable to open", Unavailable, UNUSABLE),
    ("not a database", Unavailable, UNUSABLE),
    ("malformed", Unavailable, UNUSABLE),
    ("FOREIGN KEY", Conflict, "The object that this belongs to was deleted at the same time."),
)
