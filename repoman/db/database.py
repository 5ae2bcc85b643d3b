"""The embedded database: SQLite in WAL mode, one writer at a time, errors in the core's words."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from repoman.config import DatabaseSettings
from repoman.db import sealing
from repoman.db.migrating import Migrator
from repoman.db.models import Revision, database_proxy
from repoman.db.read_only import ReadOnlyMode
from repoman.db.reserve import FILE as RESERVE_FILE
from repoman.db.reserve import Reserve
from repoman.db.sqlite import BUSY, UNUSABLE, Locked, Sqlite, translated_errors
from repoman.db.topics import CONTENT, NONE, Topics, content_topic, topic_of
from repoman.db.transactions import Scope, ThreadState, Transaction
from repoman.db.write_ahead_log import WriteAheadLog
from repoman.durable import PRIVATE_FILE_MODE, make_directory
from repoman.errors import RepomanError, Unavailable
from repoman.keyring import Keyring
from repoman.waiting import Wait, blocking, waiting

FILE = "repoman.db"
KEY_FILE = "keys/secrets.key"  # below the data directory, unless the settings say otherwise
BRIEF_WAIT_S = 0.5  # The longest wait of a write that is only a side effect of a read.
UNREPORTED_WAIT_S = 0.05  # A wait up to this length does not need another worker in its place.
LOG_FRAMES_MAX = 8_192  # A longer log (of 4 KiB each) is copied while no other thread writes.
SEALING = "0006_sealed_secrets"  # the migration before which nothing was sealed
PLAIN_TEXT = "plain text"  # the revision that says that free pages may have secrets in plain text

_log = logging.getLogger(__name__)

_MOVE = (
    'INSERT INTO "revision" ("name", "value") VALUES {} '
    'ON CONFLICT ("name") DO UPDATE SET "value" = "value" + 1 RETURNING "name", "value"'
)


class Database:
    """The one database of the process; usable from every thread.

    Each thread keeps a connection of its own, open until the thread ends. Reads run side by side;
    writes of this process queue on a lock instead of SQLite's sleeping busy handler.

    Args:
        directory: where it lies.
        key_file: holds the keys of what is secret in it.

    Attributes:
        topics: what caches of reads depend on, and what has moved of it.
        caches: what caches of one name share.
        thread: the state of the calling thread; for caches, which look for its transaction.
        keyring: seals and opens what is secret in it.
        reserve: room that is kept back for deletions.
        read_only: whether nothing may be changed; see :meth:`freeze`.
        on_change: is told of changes of configuration; see :meth:`note_change`.
    """

    def __init__(
        self, directory: Path, settings: DatabaseSettings, key_file: Path | None = None
    ) -> None:
        self._path = directory / FILE
        self.reserve = Reserve(directory / RESERVE_FILE, settings.reserve_size)
        self.keyring = Keyring(key_file or directory / KEY_FILE)
        self._busy_timeout = settings.busy_timeout
        self._write_lock = threading.RLock()
        self._is_stalled = False  # Whether the last writer that waited did so in vain.
        self._last_wait_ends = float("inf")
        self.thread = ThreadState()
        self._wal = WriteAheadLog(self._path.with_name(self._path.name + "-wal"))
        self.topics = Topics()
        self.caches: dict[str, Any] = {}
        self._data_version = 0
        self._sqlite = Sqlite(
            str(self._path),
            pragmas={
                "journal_mode": "wal",
                "synchronous": "normal",  # commits are synced together: repoman.db.write_ahead_log
                "wal_autocheckpoint": 0,  # as are checkpoints made: outside of the write lock
                "foreign_keys": 1,
                "cache_size": -8192,  # KiB per connection
                "temp_store": "memory",
            },
            timeout=settings.busy_timeout,
            check_same_thread=False,  # of the one that writes: one thread has it at a time
        )
        self._sqlite.owner = self
        self._sqlite.keyring = self.keyring
        self.read_only = ReadOnlyMode(self._sqlite, self.transaction)
        self.on_change: Callable[[str, str, Mapping[str, str]], None] | None = None

    def open(self, *, forget: bool = False) -> int:
        """Create or migrate the database and bind the models to it.

        ``forget`` empties the secrets that no key opens; the number of these is returned.

        Raises:
            Invalid: the database was written by a newer version of the program.
            Unavailable, StorageFull: the file cannot be used, or the keys of its secrets.
        """
        database_proxy.initialize(self._sqlite)
        _make_private(self._path)
        self.reserve.open()
        self._last_wait_ends = float("inf")
        with translated_errors():
            self._sqlite.connect(reuse_if_open=True)
        migrator = Migrator(self._sqlite, partial(self.transaction, touches=(), is_durable=True))
        with self.transaction():
            applied = migrator.applied()
            is_sealed = SEALING in applied
            self._open_keyring(is_sealed=is_sealed, forget=forget)
            if not applied:
                migrator.run()  # In this transaction: there is nothing yet that takes long.
            elif not is_sealed:
                self.bump(PLAIN_TEXT)
        if applied and migrator.has_work():
            self.read_only.lift()
            migrator.run()
        self._compact()
        self.read_only.refresh()
        self.read_topics()
        self.read_only.restore()
        return self._forget_sealed() if forget and is_sealed else 0

    def rotate_keys(self) -> int:
        """Seal everything that is secret by a new key, and return how much that was.

        Whenever this ends, what is in the database is opened by what is in the key file: the new
        key is on disk before the first use of it, and the old ones leave after the last. Other
        processes continue; none encrypts anything at this time, since that takes a transaction.
        """
        self.read_only.check()
        with self.transaction():
            key = self.keyring.add_key()
            count = sealing.renew_sealed(self._sqlite, self.keyring)
        with self.transaction():
            self.keyring.drop_others(key)
            self.note_change("secret.rotate", "", count=str(count))
        return count

    def _open_keyring(self, *, is_sealed: bool, forget: bool) -> None:
        """Read the keys; make the first one only where nothing needs another."""
        tokens = sealing.list_sealed(self._sqlite) if is_sealed else []
        self.keyring.open(may_make=forget or not tokens)
        if not forget:
            sealing.check_sealed(tokens, self.keyring)

    def _forget_sealed(self) -> int:
        with self.transaction():
            count = sealing.forget_sealed(self._sqlite, self.keyring)
            if count:
                self.note_change("secret.forget", "", count=str(count))
        return count

    def _compact(self) -> None:
        """Remove plain text from free pages after it was encrypted, unless that is done."""
        if self.revision(PLAIN_TEXT):
            self._sqlite.execute_sql("VACUUM")
            self._sqlite.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            with self.transaction():
                Revision.delete().where(Revision.name == PLAIN_TEXT).execute()

    def close(self) -> None:
        """Close the connection of the calling thread, and the one that writes unless it is in use.

        Those of other threads close when these end.
        """
        self._sqlite.close()
        if self._write_lock.acquire(timeout=UNREPORTED_WAIT_S):
            try:
                self._sqlite.close_writer()
            finally:
                self._write_lock.release()

    @contextmanager
    def transaction(
        self,
        *,
        touches: Iterable[str] | None = None,
        repository: int | None = None,
        is_durable: bool | None = None,
        is_brief: bool = False,
        can_fail_alone: bool = True,
    ) -> Iterator[None]:
        """Run the block as one write transaction; nested blocks join the outer one.

        Its statements say which topics of :mod:`repoman.db.topics` it changes. It returns when it
        is on the disk.

        Args:
            touches: the topics that the block changes, in place of what its statements say; none,
                ``()``, for what no cache depends on.
            repository: the id of the one whose content the block changes; else it counts for all.
            is_durable: whether to wait for the disk; if it is not said, only ``touches=()`` does
                not, and a power cut may take what was written.
            is_brief: whether to wait for other writers briefly, in a thread that has more to do.
            can_fail_alone: whether an outer block may continue after an error in this one, which
                costs a savepoint; if not, it must not.

        Raises:
            Unavailable: other writers took longer than ``database.busy_timeout``, all in all; or
                the disk failed, and what was committed may be lost.
        """
        scope = (None if touches is None else tuple(touches), repository)
        waits = scope[0] != () if is_durable is None else is_durable
        outer = self.thread.transaction
        if outer is None:
            yield from self._outermost(Transaction(scope, is_durable=waits), is_brief=is_brief)
        else:
            outer.is_durable |= waits
            yield from self._inner(outer, scope, can_fail_alone=can_fail_alone)

    # No contexts themselves: each would take as long as a statement.

    def _inner(self, outer: Transaction, scope: Scope, *, can_fail_alone: bool) -> Iterator[None]:
        """Run the block as a part of a transaction."""
        outer.scopes.append(scope)
        outer.topics.update(scope[0] or ())
        had_failed = outer.has_failed
        try:
            if not can_fail_alone:
                yield
                return
            with self._sqlite.savepoint_named(outer.next_name()):
                yield
        except BaseException:
            outer.has_failed = had_failed or not can_fail_alone
            raise
        finally:
            outer.scopes.pop()

    def _outermost(self, current: Transaction, *, is_brief: bool) -> Iterator[None]:
        """Run the block as a transaction that joins no other one."""
        deadline = self._take_write_lock(is_brief=is_brief or self.thread.waits_briefly)
        try:
            self._prepare()
            with self._sqlite.writing(deadline) as writer:
                before = writer.total_changes
                self._is_stalled = False
                self.thread.transaction = current
                try:
                    yield
                    current.check()
                    self._move_topics(current)
                finally:
                    self.thread.transaction = None
            self.topics.publish(current.numbers)
            commit = self._wal.note_commit(writer.total_changes - before)
        except Locked:
            self._is_stalled = True
            raise
        finally:
            self._write_lock.release()
        if current.is_durable:
            self._wal.wait_until_durable(commit)
        if self._wal.take_checkpoint():
            self._checkpoint()

    def note_write(self, table: str) -> None:
        """Note that the transaction of this thread writes to a table (LookupError: unknown)."""
        current = self.thread.transaction
        if current is None:
            return
        touches, repository = current.scopes[-1]
        if touches is not None:
            return
        topic = topic_of(table)
        if topic == CONTENT and repository is not None:
            topic = content_topic(repository)
        if topic != NONE:
            current.topics.add(topic)

    def _move_topics(self, current: Transaction) -> None:
        """Count the transaction in the numbers of its topics."""
        current.numbers = {name: self.revision(name) for name in current.bumped}
        topics = list(current.topics)  # Also bumped ones: an inner block may have taken that back.
        if topics:
            sql = _MOVE.format(", ".join(["(?, 1)"] * len(topics)))
            current.numbers.update(self._sqlite.execute_plain(sql, topics).fetchall())

    def checkpoint(self) -> None:
        """Copy the log into the database and empty it, as far as nobody else uses it.

        What a killed process had written, but not on the disk, is there now.

        Raises:
            Unavailable: the disk failed.
        """
        is_busy, *_ = self._sqlite.execute_plain("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not is_busy:
            self._wal.note_emptied()

    def _checkpoint(self) -> None:
        """Copy the log into the database while others write; what fails is tried again later."""
        try:
            _, frames, copied = self._copy_log()
            if frames > LOG_FRAMES_MAX and copied < frames:
                # The log begins anew only after a moment in which all of it was copied.
                self._take_write_lock(is_brief=False)
                try:
                    self._prepare()
                    self._copy_log()
                finally:
                    self._write_lock.release()
        except RepomanError as error:
            _log.warning("The log of the database could not be copied into it: %s", error)

    def _copy_log(self) -> tuple[int, int, int]:
        with blocking():
            row = self._sqlite.execute_plain("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    @contextmanager
    def brief_waits(self) -> Iterator[None]:
        """Return a context in which this thread's writes wait for other writers briefly.

        It is for what a read writes on the side: a read must not wait for the write lock.
        """
        before, self.thread.waits_briefly = self.thread.waits_briefly, True
        try:
            yield
        finally:
            self.thread.waits_briefly = before

    def end_waits(self, seconds: float) -> None:
        """Let no writer wait for longer than ``seconds`` from now on: the process ends."""
        self._last_wait_ends = time.monotonic() + seconds

    def _take_write_lock(self, *, is_brief: bool) -> float:
        """Take the lock of writers; return the deadline for it and for SQLite's own lock."""
        wait = self._busy_timeout
        if is_brief:
            wait = 0.0 if self._is_stalled else BRIEF_WAIT_S
        deadline = min(time.monotonic() + wait, self._last_wait_ends)
        unreported = 0.0 if self._is_stalled else min(UNREPORTED_WAIT_S, wait)
        if not self._write_lock.acquire(blocking=False):
            self._wait_for_write_lock(unreported, deadline)
        return deadline

    def _prepare(self) -> None:
        """See that the disk takes what is written; with the lock of writers."""
        self.reserve.release_if_full()
        if self._wal.has_failed:
            self._recover()

    def _recover(self) -> None:
        """Go on after a failed fsync, once everything is durable by other means."""
        self.checkpoint()
        if self._wal.has_failed:
            raise Unavailable(UNUSABLE.format("its disk failed"))
        _log.warning("The disk of the database works again.")

    def _wait_for_write_lock(self, unreported: float, deadline: float) -> None:
        with blocking():
            if self._write_lock.acquire(timeout=unreported):
                return
        with waiting(Wait.DATABASE):
            if not self._write_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise Locked(BUSY)

    def check_readable(self) -> str:
        """Read something, whatever another process writes; return nothing.

        Raises:
            Unavailable: the database cannot be used.
        """
        self.revision("health")
        return ""

    def check_writable(self) -> str:
        """Begin to write, and write nothing; return nothing.

        Raises:
            Unavailable, StorageFull: nothing can be written at the moment.
        """
        with self.transaction(touches=(), is_brief=True):
            self.reserve.check()
        return ""

    def find_damage(self) -> str:
        """Return what SQLite finds wrong in the file; empty: nothing. It reads all of it."""
        (found,) = self._sqlite.execute_plain("PRAGMA quick_check(1)").fetchone()
        return "" if found == "ok" else str(found)

    def sizes(self) -> dict[str, int]:
        """Return the sizes of its files, in bytes, by what they are: database and log."""
        files = {"database": self._path, "log": self._path.with_name(f"{self._path.name}-wal")}
        return {name: path.stat().st_size for name, path in files.items() if path.exists()}

    def admit(self) -> None:
        """Return if something new may be stored; cheap, for any thread.

        Raises:
            Frozen: the server is in read-only mode.
            StorageFull: the disk is full, or less of it is free than must stay free.
        """
        if self.read_only.state is not None:
            self.read_only.check()
        self.reserve.check_free()

    def freeze(self, actor: str) -> None:
        """Begin read-only mode: nothing of content or configuration changes from now on.

        Raises:
            Conflict: it has begun already.
        """
        self.read_only.enter(actor, partial(self.note_change, "server.freeze", ""))

    def release(self) -> None:
        """End read-only mode.

        Raises:
            Conflict: the server is not in read-only mode.
        """
        self.read_only.leave(partial(self.note_change, "server.release", ""))

    def note_change(self, kind: str, target: str, **attributes: str) -> None:
        """Record a change of configuration in the audit log, within its transaction.

        ``kind`` is what was done to what (``role.create``); ``attributes`` hold no secrets.
        """
        if self.on_change is not None:
            self.on_change(kind, target, attributes)

    def in_transaction(self) -> bool:
        """Return whether the calling thread is inside :meth:`transaction`."""
        return self.thread.transaction is not None

    def notice_writes(self) -> None:
        """Notice what other processes have written since the last call.

        Call it from one thread, repeatedly: what is remembered of the database is as old as
        the time between two calls, where other processes are concerned.
        """
        version = self._sqlite.data_version
        if version != self._data_version:
            self._data_version = version
            self.read_only.refresh()
            self.read_topics()

    def read_topics(self) -> None:
        """Forget at once what other processes have changed; for any thread, in no transaction."""
        rows = self._sqlite.execute_plain('SELECT "name", "value" FROM "revision"').fetchall()
        self.topics.publish(dict(rows))

    def bump(self, name: str) -> None:
        """Tell every process that ``name`` has changed; call it inside the transaction."""
        with self.transaction():
            current = self.thread.transaction
            self._sqlite.execute_plain(_MOVE.format("(?, 1)"), (name,)).fetchall()
            if current is not None:
                current.bumped.add(name)

    def revision(self, name: str) -> int:
        """Return how often ``name`` has changed so far."""
        self.topics.note(name)
        sql = 'SELECT "value" FROM "revision" WHERE "name" = ?'
        row = self._sqlite.execute_plain(sql, (name,)).fetchone()
        return 0 if row is None else int(row[0])


def _make_private(path: Path) -> None:
    """Make an empty file for the owner alone: it will hold hashes of passwords and keys."""
    try:
        make_directory(path.parent)
        path.touch(mode=PRIVATE_FILE_MODE)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"The database {path} cannot be used: {reason}.") from error
