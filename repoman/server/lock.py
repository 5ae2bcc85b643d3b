"""One server per data directory."""

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from repoman.durable import PRIVATE_FILE_MODE, make_directory
from repoman.errors import Conflict, Unavailable

FILE = "repoman.lock"

# C's struct flock: type, whence, start, length (0: to the end of the file), process id.
_LAYOUT = "hhqqi0q"


def is_served(data: Path) -> bool:
    """Return whether a server runs on a data directory. Takes no lock itself."""
    try:
        fd = os.open(data / FILE, os.O_RDWR)
    except OSError:
        return False
    try:
        found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _lock_of(fcntl.F_WRLCK))
    except OSError:  # a file system without locks, on which no server starts
        return False
    finally:
        os.close(fd)
    return int(struct.unpack(_LAYOUT, found)[0]) != fcntl.F_UNLCK


def _lock_of(kind: int) -> bytes:
    return struct.pack(_LAYOUT, kind, os.SEEK_SET, 0, 0, 0)


class DataLock:
    """Holds the data directory for this process; the system lets go of it when the process ends."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE
        self._fd = -1

    def __enter__(self) -> "DataLock":
        """Take the directory.

        Raises:
            Conflict: another server runs on it.
            Unavailable: it cannot be created or written.
        """
        try:
            make_directory(self._path.parent)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE_MODE)
        except OSError as error:
            raise Unavailable(f"The data directory cannot be used: {error}") from error
        try:
            # Of the open file and not of the process (fcntl(2)): others can ask for it.
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _lock_of(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError) as error:
            owner = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise Conflict(
                f"Another repoman (process {owner}) uses the data directory {self._path.parent}. "
                "Stop it, or choose another directory with --data."
            ) from error
        except OSError as error:
            os.close(self._fd)
            raise Unavailable(
                f"The data directory {self._path.parent} cannot be locked against other servers: "
                f"{os.strerror(error.errno or 0)}. Choose a file system that has locks."
            ) from error
        with suppress(OSError):  # on a full disk: it is only for the text above
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
