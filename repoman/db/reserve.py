"""Disk space reserved for the database, so that deletions work on a full disk.

A deletion needs disk space itself: the database logs what it removes. So the server keeps a file
that only occupies disk space. When the disk is full, the file is truncated; until it can be
restored, new content, which would only fill the disk again, is refused.
"""

import logging
import os
from pathlib import Path

from repoman.errors import StorageFull

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
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._directory = str(path.parent)
        self._size = size
        self._has_warned = False
        self.is_spent = False

    def open(self) -> None:
        """Read the current state."""
        self.is_spent = self._present_size() == 0

    def release_if_full(self) -> None:
        """Release the reserve if the disk is full; cheap, for each transaction."""
        if self.is_spent or not self._size or self._free() >= LOW_B:
            return
        if self._present_size():
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

    def keep(self) -> None:
        """Create or restore the reserve when there is disk space; the server calls it regularly."""
        present = self._present_size()
        if present == self._size or not self._size:
            self.is_spent = False
        elif self._free() > self._size + 2 * LOW_B:
            self._make()
        else:
            self.is_spent = present == 0
            if not self.is_spent and not self._has_warned:
                _log.warning("There is not enough disk space for the reserve %s.", self._path)
                self._has_warned = True

    def _make(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._size)
            os.ftruncate(fd, self._size)  # it may have been larger
        except OSError:
            os.ftruncate(fd, 0)
            raise
        finally:
            os.close(fd)
        if self.is_spent:
            _log.info("There is enough disk space again. The reserve is restored.")
        self.is_spent = False

    def _present_size(self) -> int | None:
        try:
            return self._path.stat().st_size
        except OSError:  # it was never made, or the disk is away
            return None

    def _free(self) -> int:
        state = os.statvfs(self._directory)
        return state.f_bavail * state.f_frsize
