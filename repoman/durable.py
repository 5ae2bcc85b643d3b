"""Files and directories that are written durably: whole or not at all, after a power cut too.

The system's errors (OSError) leave this module as they are; callers say what could not be written.
"""

import errno
import fcntl
import os
import re
import secrets
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from repoman.waiting import blocking

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # The system refuses for space.
DIRECTORY_MODE = 0o755  # Permissions of a data directory: a loose umask opens it to nobody else.
PRIVATE_DIRECTORY_MODE = 0o700  # Permissions of a directory that holds keys.
PRIVATE_FILE_MODE = 0o600  # Permissions of a file that only the server may read.
UNFINISHED = re.compile(r"[0-9a-f]{16}\.new")
"""How the name ends, after a dot, of a directory that :func:`make_directory_apart` begins."""
# The attribute T of chattr(1), and how it is read and set; see ioctl_iflags(2).
FS_TOPDIR_FL = 0x00020000
FS_IOC_GETFLAGS = 0x80000000 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
FS_IOC_SETFLAGS = 0x40000000 | struct.calcsize("l") << 16 | ord("f") << 8 | 2


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


def make_directory_apart(path: Path) -> bool:
    """Make a directory for many new files if it is missing; return whether it was.

    ext4 keeps a file near its directory. Without a journal, as in many virtual machines, it looks
    for each new one at all inodes there that any program has deleted in the last minutes. So the
    directory gets a place of its own, which depends on its first name: hence a new one.

    Raises:
        NotADirectoryError: something else has its name.
        OSError: it cannot be made.
    """
    if path.is_dir():
        return False
    make_directory(path.parent)
    _spread_directories(path.parent)
    for left in path.parent.glob(f"{path.name}.*"):
        with suppress(OSError):  # another process is faster, or it is another user's
            if is_unfinished(left, path.name):
                left.rmdir()
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        new.mkdir(DIRECTORY_MODE)
        new.rename(path)
    except OSError:  # another process was faster, or the file system renames no directories
        with suppress(OSError):
            new.rmdir()
        return make_directory(path)
    return True


def is_unfinished(path: Path, name: str) -> bool:
    """Return whether a kill in :func:`make_directory_apart` has left this beside ``name``."""
    stem, _, end = path.name.partition(".")
    is_ours = stem == name and UNFINISHED.fullmatch(end) is not None
    return is_ours and path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _spread_directories(directory: Path) -> None:
    """Have ext4 put directories that will be made in this one apart from all others."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # Other file systems cannot, and need not.
            flags = bytearray(struct.calcsize("l"))
            fcntl.ioctl(fd, FS_IOC_GETFLAGS, flags)
            (known,) = struct.unpack_from("I", flags)
            struct.pack_into("I", flags, 0, known | FS_TOPDIR_FL)
            fcntl.ioctl(fd, FS_IOC_SETFLAGS, flags)
    finally:
        os.close(fd)


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
