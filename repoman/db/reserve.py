"""Disk space reserved for the database, so that deletions work on a full disk.

A deletion needs disk space itself: the database logs what it removes. So the server keeps a file
that only occupies disk space. When the disk is full, the file is truncated; until it can be
restored, new content, which would only fill the disk again, is refused.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repoman.disk_space import NOTHING_FREE
from repoman.durable import FULL, PRIVATE_FILE_MODE
from repoman.errors import StorageFull, Unavailable

FILE = "repoman.reserve"
LOW_B = 1 << 22  # With less free space than this the disk counts as full.

_log = logging.getLogger(__name__)


class Reserve:
    """The reserve of one data directory; for every process that works on it, and thread safe.

    Args:
        path: of the file.
        size: in bytes; 0: there is none.

    Attributes:
        is_spent: whether it is released at the moment.
        min_free: how much of the disk must stay free for something new to be stored.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._directory = str(path.parent)
        self._size = size
        self._has_warned = False
        self.is_spent = False
        self.min_free = NOTHING_FREE

    @property
    def size(self) -> int:
        """Return how many bytes it takes at the moment."""
        return self._present_size() or 0

    def open(self) -> None:
        """Read the current state."""
        self.is_spent = self._size > 0 and self._present_size() == 0

    def release_if_full(self) -> None:
        """Release the reserve if the disk is full; cheap, for each transaction.

        Raises:
            Unavailable: the disk cannot be used.
        """
        if self.is_spent or not self._size:
            return
        try:
            if self._free() >= LOW_B or not self._present_size():
                return
        except OSError as error:
            raise _unusable(error) from error
        with _translated_errors():
            os.truncate(self._path, 0)
            self.is_spent = True
            _log.warning(
                "The disk that holds the database is full. The reserve of %d bytes was released "
                "so that deletions work. Nothing new is stored until there is enough disk space "
                "again.",
                self._size,
            )

    def check(self) -> None:
        """Return if something new may be stored.

        Raises:
            StorageFull: the disk was full, and there is still not enough disk space.
        """
        if self.is_spent:
            raise StorageFull(
                "The disk that holds the database is full. Nothing new is stored until disk space "
                "is freed: delete something."
            )

    def check_free(self) -> None:
        """Return if something new may be stored, and so much of the disk is free as must stay so.

        Raises:
            StorageFull: it may not.
            Unavailable: the disk cannot be used.
        """
        self.check()
        if self.min_free is not NOTHING_FREE:
            try:  # no context manager, as below: it takes longer than the system call
                state = os.statvfs(self._directory)
            except OSError as error:
                raise _unusable(error) from error
            self.min_free.check(state, "database")

    def keep(self) -> None:
        """Create or restore the reserve when there is disk space; the server calls it regularly.

        Raises:
            Unavailable: the disk cannot be used.
        """
        present = self._present_size()
        if present == self._size or not self._size:
            self.is_spent = False
            return
        with _translated_errors():
            if self._free() > self._size + 2 * LOW_B and self._make(present):
                return
        self.is_spent = present == 0
        if not self.is_spent and not self._has_warned:
            _log.warning("There is not enough disk space for the reserve %s.", self._path)
            self._has_warned = True

    def _make(self, present: int | None) -> bool:
        """Return whether there was room; if not, the file is as before: a quota may be full."""
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)
        try:
            os.posix_fallocate(fd, 0, self._size)
            os.ftruncate(fd, self._size)  # it may have been larger
        except OSError as error:
            os.ftruncate(fd, present or 0)
            if present is None:
                self._path.unlink()  # an empty file would count as a reserve that was given up
            if error.errno not in FULL:
                raise
            return False
        finally:
            os.close(fd)
        if self.is_spent:
            _log.info("There is enough disk space again. The reserve is restored.")
        self.is_spent = False
        return True

    def _present_size(self) -> int | None:
        try:
            return self._path.stat().st_size
        except OSError:  # it was never made, or the disk is away
            return None

    def _free(self) -> int:
        state = os.statvfs(self._directory)
        return state.f_bavail * state.f_frsize


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Turn the system's errors into Unavailable."""
    try:
        yield
    except OSError as error:
        raise _unusable(error) from error


def _unusable(error: OSError) -> Unavailable:
    reason = os.strerror(error.errno or 0)
    return Unavailable(f"The disk that holds the database cannot be used: {reason}.")
