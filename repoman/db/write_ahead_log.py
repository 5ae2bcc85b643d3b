"""Durable commits, many by one fsync of SQLite's write-ahead log.

SQLite itself writes a commit to the log and does not wait for the disk (``synchronous=NORMAL``).
Whoever committed waits here, outside of the lock of writers: one fsync makes durable what all have
committed before it begins. Commits lie in the log in their order, so none is durable without those
before it.

A failed fsync is told once, and then the system takes the pages for written. So after a failure no
commit is acknowledged by a later fsync: nothing more is written until a checkpoint has copied all
of the log into the database, synced that, and emptied the log. The log stays open here for as long
as the process lives, so that no failure is missed, whoever else syncs the file.
"""

import logging
import os
import threading
import weakref
from pathlib import Path

from repoman.durable import sync_directory
from repoman.errors import Unavailable
from repoman.waiting import blocking

CHECKPOINT_ROWS = 2_000
"""A checkpoint is due after so many changed rows."""

_log = logging.getLogger(__name__)


class WriteAheadLog:
    """The write-ahead log of one database; thread safe.

    Args:
        path: of the log.

    Attributes:
        has_failed: whether an fsync failed, so that a complete checkpoint has to come first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._finalizer: weakref.finalize[..., WriteAheadLog] | None = None
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._committed = 0
        self._durable = 0
        self._is_syncing = False
        self._rows = 0  # changed since the last checkpoint
        self.has_failed = False

    def note_commit(self, rows: int) -> int:
        """Return the number of a commit that has just ended; only for the holder of the write lock.

        ``rows`` is how many rows it changed.
        """
        self._rows += rows
        self._committed += 1
        return self._committed

    def wait_until_durable(self, commit: int) -> None:
        """Return when a commit is on the disk.

        Raises:
            Unavailable: it may not be, and nobody will know.
        """
        with blocking():
            if self._is_synced_by_another(commit):
                return
            self._sync()
        if self.has_failed:
            raise _failed()

    def _is_synced_by_another(self, commit: int) -> bool:
        """Wait while others sync; return whether that included a commit (Unavailable).

        If not, the caller has to sync.
        """
        with self._lock:
            while self._is_syncing and self._durable < commit and not self.has_failed:
                self._changed.wait()
            if self._durable >= commit:
                return True
            if self.has_failed:
                raise _failed()
            self._is_syncing = True
        return False

    def take_checkpoint(self) -> bool:
        """Return whether a checkpoint is due, to the one caller who has to make it."""
        with self._lock:
            is_due = self._rows >= CHECKPOINT_ROWS
            if is_due:
                self._rows = 0
        return is_due

    def note_emptied(self) -> None:
        """Continue after a failure: everything committed is in the database, durably."""
        with self._lock:
            self._durable = self._committed
            self.has_failed = False
            self._changed.notify_all()

    def _sync(self) -> None:
        """Sync the log for all who have committed; who has to know of a failure looks for it."""
        commit = self._committed  # Later ones may be in it, but need not.
        is_synced = False
        try:
            os.fdatasync(self.open())
            is_synced = True
        except OSError as error:
            _log.error("The database could not be made durable: %s", error)
        finally:
            with self._lock:
                self._is_syncing = False
                self.has_failed |= not is_synced
                if is_synced:
                    self._durable = max(self._durable, commit)
                self._changed.notify_all()

    def open(self) -> int:
        """Return the descriptor of the log, which SQLite removes with its last connection."""
        if self._fd is not None and self._finalizer is not None:
            if os.path.samestat(os.fstat(self._fd), self._path.stat()):
                return self._fd
            self._finalizer()  # closes it
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._finalizer = weakref.finalize(self, os.close, self._fd)
        sync_directory(self._path.parent)
        return self._fd


def _failed() -> Unavailable:
    return Unavailable(
        "The database cannot be used: its disk failed. What was changed last may be lost."
    )
