"""Blobs as files below one directory.

::

    DIRECTORY/
    ├── store.json             the identity of the store, which the database has as well
    ├── sha256/ab/abcdef…      a blob, under its digest; never changed after the rename
    ├── quarantine/abcdef…     bytes that are not what their digest says, made when needed
    └── uploads/ID             bytes of a writer that has not committed

A commit is fsync, rename, fsync of the directory; so a crash leaves either the blob or the upload.
A directory, a link or a pipe in the place of a blob is not a blob.
"""

import errno
import fcntl
import json
import logging
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from repoman.blobs.file_writer import FileBlobWriter, storage_error, storage_errors
from repoman.blobs.store import CANONICAL, BlobStat
from repoman.disk_space import NOTHING_FREE
from repoman.durable import (
    NewFile,
    make_directory,
    make_directory_apart,
    replace_files,
    sync_directory,
)
from repoman.errors import Conflict, NotFound, Unavailable

IDENTITY_FILE = "store.json"
QUARANTINE = "quarantine"  # The directory of what was put aside.
PREFIXES = [f"{number:02x}" for number in range(256)]  # Directories that the blobs are spread over.
DIGEST = re.compile(r"[0-9a-f]{64}")
# A pipe must not keep the server waiting, and a link leads out of the store.
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Errors of open(2) where there is no plain file.
NO_FILE = (errno.ENOENT, errno.ELOOP, errno.ENXIO)

_log = logging.getLogger(__name__)


class FileBlobStore:
    """A blob store in a directory of a local or network file system.

    Attributes:
        min_free: how much of its disk must stay free.
    """

    def __init__(self, directory: Path) -> None:
        self.min_free = NOTHING_FREE
        self._directory = directory
        self._uploads = directory / "uploads"
        self._blobs = directory / CANONICAL
        self._quarantine = directory / QUARANTINE
        self._kept_open: set[str] = set()

    def __str__(self) -> str:
        return str(self._directory)

    @property
    def directory(self) -> Path:
        """Where the store is."""
        return self._directory

    def identity(self) -> str | None:
        """See :meth:`repoman.blobs.store.BlobStore.identity`."""
        try:
            found = json.loads((self._directory / IDENTITY_FILE).read_bytes())
            return str(found["id"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return ""  # no identity that any database knows
        except OSError as error:
            raise self._unusable(error) from error

    def create(self, identity: str) -> None:
        """See :meth:`repoman.blobs.store.BlobStore.create`."""
        try:
            # Made once, so that a commit never has to make a directory durable as well.
            made = [make_directory(self._blobs / prefix) for prefix in PREFIXES]
            if make_directory_apart(self._uploads) or any(made):
                for directory in (self._blobs, self._directory, self._directory.parent):
                    sync_directory(directory)
            if self.identity() != identity:
                data = json.dumps({"id": identity}).encode() + b"\n"
                replace_files(NewFile(self._directory / IDENTITY_FILE, data))
        except OSError as error:
            raise self._unusable(error) from error

    def is_empty(self) -> bool:
        """See :meth:`repoman.blobs.store.BlobStore.is_empty`."""
        try:
            return not any(self._blobs.glob("??/*"))
        except OSError as error:
            raise self._unusable(error) from error

    def free_bytes(self) -> int | None:
        """Return what the file system has left for us."""
        try:
            state = os.statvfs(self._directory)
        except OSError as error:
            raise self._unusable(error) from error
        return state.f_bavail * state.f_frsize

    def check_free(self, name: str = "") -> None:
        """Return if so much of the disk is free as must stay so (StorageFull, Unavailable).

        ``name`` is what the store is called in the message.
        """
        try:
            self.min_free.check(os.statvfs(self._directory), f"blob store {name}".strip())
        except OSError as error:
            raise self._unusable(error) from error

    def remove(self) -> None:
        """Remove what the store has made; the directory stays if there are other files in it."""
        try:
            for part in (
                *(self._blobs / prefix for prefix in PREFIXES),
                self._uploads,
                self._quarantine,
            ):
                _remove_files(part)
            (self._directory / IDENTITY_FILE).unlink(missing_ok=True)
            for directory in (self._blobs, self._directory):
                _remove_directory(directory)
        except OSError as error:
            raise self._unusable(error) from error

    def open_writer(self, writer_id: str, algorithms: tuple[str, ...] = ()) -> FileBlobWriter:
        """See :meth:`repoman.blobs.store.BlobStore.open_writer`."""
        path = f"{self._uploads}/{writer_id}"
        return FileBlobWriter(path, self._place, algorithms, self.min_free, self._kept_open)

    def written_at(self, writer_id: str) -> float | None:
        """See :meth:`repoman.blobs.store.BlobStore.written_at`."""
        with storage_errors():
            try:
                return (self._uploads / writer_id).stat().st_mtime
            except FileNotFoundError:
                return None

    def list_writers(self, written_before: float) -> list[str]:
        """See :meth:`repoman.blobs.store.BlobStore.list_writers`."""
        times = ((name, self.written_at(name)) for name in _names_in(self._uploads))
        return [name for name, at in times if at is not None and at < written_before]

    def open(self, digest: str) -> BinaryIO:
        """See :meth:`repoman.blobs.store.BlobStore.open`."""
        try:  # no context manager, as below
            fd = os.open(f"{self._blobs}/{digest[:2]}/{digest}", OPEN_FLAGS)
        except OSError as error:
            with storage_errors():
                if error.errno in NO_FILE and self._has_directory(digest):
                    raise _missing(digest) from error
            raise storage_error(error) from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise _missing(digest)
            return os.fdopen(fd, "rb", buffering=0)
        except BaseException as error:
            os.close(fd)
            if isinstance(error, OSError):
                raise storage_error(error) from error
            raise

    def stat(self, digest: str) -> BlobStat | None:
        """See :meth:`repoman.blobs.store.BlobStore.stat`."""
        try:  # no context manager: it takes longer than the system call
            state = os.lstat(f"{self._blobs}/{digest[:2]}/{digest}")
        except FileNotFoundError as error:
            with storage_errors():
                if self._has_directory(digest):
                    return None
            raise storage_error(error) from error
        except OSError as error:
            raise storage_error(error) from error
        if not stat.S_ISREG(state.st_mode):
            return None
        return _describe(state)

    @contextmanager
    def lock_exclusively(self) -> Iterator[None]:
        """See :meth:`repoman.blobs.store.BlobStore.lock_exclusively`."""
        # The directory itself: a file opened for it would keep the disk from becoming read-only.
        with storage_errors():
            fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._lock(fd)
            yield
        finally:
            os.close(fd)

    def _lock(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"Another server, or another blob store of this one, uses {self._directory}; each "
                "would delete the blobs of the other. Give this blob store a path of its own."
            ) from error
        except OSError as error:  # network file systems lock no directories
            _log.warning("%s cannot be locked against other servers: %s", self._directory, error)

    def list_digests(self, prefix: str) -> Iterator[str]:
        """See :meth:`repoman.blobs.store.BlobStore.list_digests`."""
        with storage_errors(), os.scandir(self._blobs / prefix) as entries:
            for entry in entries:
                if DIGEST.fullmatch(entry.name):
                    yield entry.name

    def detach(self, digest: str, writer_id: str, committed_before: float) -> bool:
        """See :meth:`repoman.blobs.store.BlobStore.detach`."""
        path, aside = self._path(digest), self._uploads / writer_id
        with storage_errors():
            try:
                state = path.lstat()
                # The change of a file's name is the last one of its state.
                if state.st_ctime >= committed_before or stat.S_ISDIR(state.st_mode):
                    return False
                path.rename(aside)
                if aside.lstat().st_ino != state.st_ino:
                    self._put_back(aside, path)
                    return False
            except FileNotFoundError:
                if path.exists() or not self._has_directory(digest):
                    raise
        return True

    def quarantine(self, digest: str, found: BlobStat) -> bool:
        """See :meth:`repoman.blobs.store.BlobStore.quarantine`."""
        path, aside = self._path(digest), self._quarantine / digest
        with storage_errors():
            state = path.lstat() if path.is_file() else None
            if state is None or _describe(state) != found:
                return False
            make_directory(self._quarantine)
            path.rename(aside)
            if aside.lstat().st_ino != state.st_ino:
                self._put_back(aside, path)
                return False
            for directory in (path.parent, self._quarantine, self._directory):
                sync_directory(directory)
        return True

    def list_quarantined(self) -> set[str]:
        """See :meth:`repoman.blobs.store.BlobStore.list_quarantined`."""
        with storage_errors():
            return {each for each in _names_in(self._quarantine) if DIGEST.fullmatch(each)}

    def drop_quarantined(self, digest: str) -> None:
        """See :meth:`repoman.blobs.store.BlobStore.drop_quarantined`."""
        with storage_errors():
            (self._quarantine / digest).unlink(missing_ok=True)

    def temporary_bytes(self) -> int:
        """See :meth:`repoman.blobs.store.BlobStore.temporary_bytes`."""
        total = 0
        with storage_errors():
            for directory in (self._uploads, self._quarantine):
                for name in _names_in(directory):
                    with suppress(FileNotFoundError):
                        total += (directory / name).lstat().st_size
        return total

    def incoming(self) -> tuple[int, int]:
        """See :meth:`repoman.blobs.store.BlobStore.incoming`."""
        count = size = 0
        with storage_errors(), os.scandir(self._uploads) as entries:
            for each in entries:
                with suppress(FileNotFoundError):  # It ends at this moment.
                    if each.is_file(follow_symlinks=False):
                        count += 1
                        size += each.stat(follow_symlinks=False).st_size
        return count, size

    def sweep_writers(self, keep: Collection[str]) -> int:
        """See :meth:`repoman.blobs.store.BlobStore.sweep_writers`."""
        count = 0
        with storage_errors():
            for path in self._uploads.iterdir():
                if path.name in keep:
                    continue
                try:
                    path.unlink()
                    count += 1
                except OSError as error:  # lost+found, or what is another user's
                    _log.warning("%s could not be removed: %s", path, os.strerror(error.errno or 0))
        return count

    @staticmethod
    def _put_back(aside: Path, path: Path) -> None:
        """Put back what was committed between the look at a blob and its rename: it is right.

        Where it was committed once more since, that one stays.
        """
        with suppress(FileExistsError):
            os.link(aside, path)
        aside.unlink()
        sync_directory(path.parent)

    def _place(self, digest: str) -> tuple[str, str]:
        directory = f"{self._blobs}/{digest[:2]}"
        return directory, f"{directory}/{digest}"

    def _path(self, digest: str) -> Path:
        return Path(f"{self._blobs}/{digest[:2]}/{digest}")  # parsed once

    def _has_directory(self, digest: str) -> bool:
        """Return whether the directory of a blob exists; if not, the disk is missing."""
        return (self._blobs / digest[:2]).is_dir()

    def _unusable(self, error: OSError) -> Unavailable:
        """Return an error for administrators, with the path."""
        reason = os.strerror(error.errno or 0)
        return Unavailable(
            f"The blob store in {self._directory} cannot be used: "
            f"{error.filename or self._directory}: {reason}."
        )


def _describe(state: os.stat_result) -> BlobStat:
    return BlobStat(state.st_size, (state.st_ino, state.st_mtime_ns, state.st_ctime_ns))


def _names_in(directory: Path) -> list[str]:
    """Return the names of what is in a directory; nothing if it does not exist."""
    with suppress(FileNotFoundError):
        return [each.name for each in directory.iterdir()]
    return []


def _remove_files(directory: Path) -> None:
    """Remove a directory with the files in it; it stays if there are directories."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in directory.iterdir():
            if not path.is_dir() or path.is_symlink():
                path.unlink(missing_ok=True)
        _remove_directory(directory)


def _remove_directory(directory: Path) -> None:
    """Remove a directory unless something is in it, or mounted there."""
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY, errno.ENOTDIR):
            raise


def _missing(digest: str) -> NotFound:
    return NotFound(f"The blob {CANONICAL}:{digest} is missing from the blob store.")
