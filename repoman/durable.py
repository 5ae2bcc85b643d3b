"""Files and directories that are written durably: whole or not at all, after a power cut too.

The system's errors (OSError) leave this module as they are; callers say what could not be written.
"""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from repoman.waiting import blocking

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # The system refuses for space.
DIRECTORY_MODE = 0o755  # Permissions of a data directory: a loose umask opens it to nobody else.
PRIVATE_DIRECTORY_MODE = 0o700  # Permissions of a directory that holds keys.
PRIVATE_FILE_MODE = 0o600  # Permissions of a file that only the server may read.


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is to be at ``path``, with exactly these permissions."""

    path: Path
    data: bytes
    mode: int = PRIVATE_FILE_MODE


def make_directory(path: Path, mode: int = DIRECTORY_MODE) -> bool:
    """Make a directory and its parents where they are missing; return whether it was missing.

    Raises:
        NotADirectoryError: something else has its name.
        OSError: it cannot be made.
    """
    if path.is_dir():
        return False
    make_directory(path.parent)
    try:
        path.mkdir(mode)
    except FileExistsError as error:
        if path.is_dir():  # another process was faster
            return False
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error
    return True


def replace_files(*files: NewFile) -> None:
    """Put files in their places. All are on the disk before the first one gets its name.

    Each attempt writes new files, so that no attempt succeeds by an earlier one whose fsync failed.

    Raises:
        OSError: they cannot be written; then no file was replaced, unless a rename or the last
            fsync of a directory failed.
    """
    fresh = [file.path.with_name(file.path.name + ".new") for file in files]
    try:
        for new, file in zip(fresh, files, strict=True):
            _write_new(new, file)
        for new, file in zip(fresh, files, strict=True):
            new.replace(file.path)
    except BaseException:
        for new in fresh:
            with suppress(OSError):
                new.unlink(missing_ok=True)
        raise
    for directory in {file.path.parent for file in files}:
        sync_directory(directory)


def sync_directory(directory: Path | str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with blocking():
            os.fsync(fd)
    finally:
        os.close(fd)


def _write_new(path: Path, file: NewFile) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    with os.fdopen(fd, "wb") as stream:
        stream.write(file.data)
        stream.flush()
        os.fsync(stream.fileno())
