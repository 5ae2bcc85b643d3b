"""The embedded database: SQLite in WAL mode, one writer at a time, errors in the core's words."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peewee import DatabaseError, SqliteDatabase

from repoman.config import DatabaseSettings
from repoman.db import sealing
from repoman.db.migrating import Migrator
from repoman.db.models import Revision, database_proxy
from repoman.db.reserve import FILE as RESERVE_FILE
from repoman.db.reserve import Reserve
from repoman.errors import Conflict, RepomanError, StorageFull, Unavailable
from repoman.files import PRIVATE_FILE_MODE, make_directory
from repoman.keyring import Keyring
from repoman.waiting import Wait, waiting

FILE = "repoman.db"
KEY_FILE = "keys/secrets.key"  # below the data directory, unless the settings say otherwise
BRIEF_S = 0.5  # The longest wait of a write that only goes along with a read.
PROMPT_S = 0.05  # A wait up to this length does not need another thread in this one's place.
RETRY_AFTER_S = 5  # What a client is told when another program holds the database.
SEALING = "0006_sealed_secrets"  # the migration before which nothing was sealed
PLAIN_TEXT = "plain text"  # the revision that says that free pages may have secrets in plain text


class _Sqlite(SqliteDatabase):
    """SQLite whose disk failures are raised as errors of the core."""

    keyring: Keyring  # for migrations, and for fields that seal what they store
    deadline = 0.0  # Until when the next BEGIN waits, in monotonic seconds; set by the writer.

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        if sql.startswith("ROLLBACK TO") and self._has_ended():
            return None
        with translated_errors():
            return super().execute_sql(sql, params)

    def begin(self, lock_type: str | None = None) -> None:
        try:
            self._begin_within(0.0, lock_type)
        except Locked:
            with waiting(Wait.DATABASE):
                self._begin_within(self.deadline - time.monotonic(), lock_type)

    def _begin_within(self, seconds: float, lock_type: str | None) -> None:
        self._set_patience(seconds)
        try:
            with translated_errors():
                super().begin(lock_type)
        finally:
            self._set_patience(self._timeout)  # Reads meet a lock for moments only.

    def _set_patience(self, seconds: float) -> None:
        self.connection().execute(f"PRAGMA busy_timeout = {max(0, round(seconds * 1000))}")

    def commit(self) -> None:
        with translated_errors():
            super().commit()

    def rollback(self) -> None:
        if not self._has_ended():
            super().rollback()

    def _has_ended(self) -> bool:
        """Return whether SQLite ended the transaction itself, as it does on a full disk."""
        return not self.connection().in_transaction


class Locked(Unavailable):
    """Another program or thread holds the write lock of the database for too long."""

    retry_after = RETRY_AFTER_S


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn SQLite errors that are not bugs into errors of the core."""
    try:
        yield
    except DatabaseError as error:
        for mark, kind, message in _TROUBLES:
            if mark in str(error):
                raise kind(message.format(error)) from error
        if type(error) is DatabaseError:  # SQLite's word for a file that is damaged
            raise Unavailable(_UNUSABLE.format(error)) from error
        raise


_BUSY = "The database is busy. Try again."
_UNUSABLE = "The database cannot be used: {}."
# What SQLite's message contains, and what it means here.
_TROUBLES: tuple[tuple[str, type[RepomanError], str], ...] = (
    ("disk is full", StorageFull, "The disk that holds the database is full."),
    ("is locked", Locked, _BUSY),
    ("readonly", Unavailable, _UNUSABLE),
    ("disk I/O", Unavailable, _UNUSABLE),
    ("unable to open", Unavailable, _UNUSABLE),
    ("not a database", Unavailable, _UNUSABLE),
    ("malformed", Unavailable, _UNUSABLE),
    ("FOREIGN KEY", Conflict, "The object that this belongs to was deleted at the same time."),
)


class Database:
    """The one database of the process; usable from every thread.

    Each thread keeps a connection of its own, open until the thread ends. Reads run side by side;
    writes of this process queue on a lock instead of SQLite's sleeping busy handler.

    Args:
        directory: where it lies.
        key_file: holds the keys of what is secret in it.

    Attributes:
        generation: moves with every write; what was read under the present one is still true.
        keyring: seals and opens what is secret in it.
        reserve: room that is kept back for deletions.
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
        self._own = threading.local()  # ``patience``: how long the thread's writes wait.
        self.generation = 0
        self._generation_lock = threading.Lock()
        self._data_version = 0
        self._sqlite = _Sqlite(
            str(self._path),
            pragmas={
                "journal_mode": "wal",
                "synchronous": "full",  # an answered push survives a power cut
                "foreign_keys": 1,
                "cache_size": -8192,  # KiB per connection
                "temp_store": "memory",
            },
            timeout=settings.busy_timeout,
        )
        self._sqlite.keyring = self.keyring
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
        migrator = Migrator(self._sqlite, self.transaction)
        with self.transaction():
            applied = migrator.applied()
            is_sealed = SEALING in applied
            self._open_keyring(is_sealed=is_sealed, forget=forget)
            if not applied:
                migrator.run()  # In this transaction: there is nothing yet that takes long.
            elif not is_sealed:
                self.bump(PLAIN_TEXT)
        migrator.run()
        self._compact()
        return self._forget_sealed() if forget and is_sealed else 0

    def rotate_keys(self) -> int:
        """Seal everything that is secret by a new key, and return how much that was.

        Whenever this ends, what is in the database is opened by what is in the key file: the new
        key is on disk before the first use of it, and the old ones leave after the last. Other
        processes continue; none encrypts anything at this time, since that takes a transaction.
        """
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
        """Close the connection of the calling thread; others close when their threads end."""
        if not self._sqlite.is_closed():
            self._sqlite.close()

    @contextmanager
    def transaction(self, *, aside: bool = False) -> Iterator[None]:
        """Run the block as one write transaction; nested blocks join the outer one.

        ``aside`` is for what nothing remembered depends on: the generation stays. Use it in the
        thread of :meth:`notice_writes`, which else would take it for a write of others. It waits
        briefly, since that thread has more to do.

        Raises:
            Unavailable: other writers took longer than ``database.busy_timeout``, all in all.
        """
        with self._turn(BRIEF_S if aside else self._patience):
            try:
                with self._sqlite.atomic("IMMEDIATE"):
                    self._is_stalled = False
                    yield
            finally:
                if not aside:
                    self.move_generation()

    @contextmanager
    def brief_waits(self) -> Iterator[None]:
        """Return a context in which this thread's writes wait for other writers briefly.

        It is for what a read writes on the side: a read must not wait for the write lock.
        """
        before, self._own.patience = self._patience, BRIEF_S
        try:
            yield
        finally:
            self._own.patience = before

    def end_waits(self, seconds: float) -> None:
        """Let no writer wait for longer than ``seconds`` from now on: the process ends."""
        self._last_wait_ends = time.monotonic() + seconds

    @property
    def _patience(self) -> float:
        patience: float = getattr(self._own, "patience", self._busy_timeout)
        return patience

    @contextmanager
    def _turn(self, patience: float) -> Iterator[None]:
        """Hold the lock of writers, and set one deadline for it and for SQLite's own lock."""
        if self._is_stalled and patience == BRIEF_S:
            patience = 0.0
        deadline = min(time.monotonic() + patience, self._last_wait_ends)
        prompt = 0.0 if self._is_stalled else min(PROMPT_S, patience)
        if not self._write_lock.acquire(timeout=prompt):
            self._await_turn(deadline)
        try:
            if not self._sqlite.in_transaction():
                self._sqlite.deadline = deadline
                self.reserve.release_if_full()
            yield
        except Locked:
            self._is_stalled = True
            raise
        finally:
            self._write_lock.release()

    def _await_turn(self, deadline: float) -> None:
        with waiting(Wait.DATABASE):
            if not self._write_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise Locked(_BUSY)

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
        with self.transaction(aside=True):
            self.reserve.check()
        return ""

    def note_change(self, kind: str, target: str, **attributes: str) -> None:
        """Record a change of configuration in the audit log, within its transaction.

        ``kind`` is what was done to what (``role.create``); ``attributes`` hold no secrets.
        """
        if self.on_change is not None:
            self.on_change(kind, target, attributes)

    def in_transaction(self) -> bool:
        """Return whether the calling thread is inside :meth:`transaction`."""
        return bool(self._sqlite.in_transaction())

    def notice_writes(self) -> None:
        """Move the generation if another process has written since the last call.

        Call it from one thread, repeatedly: what is remembered of the database is as old as
        the time between two calls, where other processes are concerned.
        """
        version = self._sqlite.data_version
        if version != self._data_version:
            self._data_version = version
            self.move_generation()

    def move_generation(self) -> None:
        """Invalidate everything cached; also after changes to objects built from the rows."""
        with self._generation_lock:
            self.generation += 1

    def bump(self, name: str) -> None:
        """Tell every process that ``name`` has changed; call it inside the transaction."""
        Revision.insert(name=name, value=1).on_conflict(
            conflict_target=[Revision.name], update={Revision.value: Revision.value + 1}
        ).execute()

    def revision(self, name: str) -> int:
        """Return how often ``name`` has changed so far."""
        record = Revision.get_or_none(Revision.name == name)
        return 0 if record is None else int(record.value)


def _make_private(path: Path) -> None:
    """Make an empty file for the owner alone: it will hold hashes of passwords and keys."""
    try:
        make_directory(path.parent)
        path.touch(mode=PRIVATE_FILE_MODE)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"The database {path} cannot be used: {reason}.") from error
