"""Blobs as files below one directory.

::

    DIRECTORY/
    ├── sha256/ab/abcdef…       a blob, under its digest; never changed after the rename
    └── uploads/ID              bytes of a writer that has not committed

A commit is fsync, rename, fsync of the directory; so a crash leaves either the blob or the upload.
"""

import errno
import fcntl
import hashlib
import logging
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from repoman.blobs.store import CANONICAL, StoredBlob
from repoman.errors import Conflict, NotFound, RepomanError, StorageFull, Unavailable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DIGEST = re.compile(r"[0-9a-f]{64}")
READ_CHUNK = 1 << 20  # bytes read at a time when a digest is computed from the file
WRITEBACK = 1 << 25  # bytes after which the system is to write to the disk what it still holds

_log = logging.getLogger(__name__)


class FileBlobStore:
    """A blob store in a directory of a local or network file system."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._uploads = directory / "uploads"
        self._blobs = directory / CANONICAL
        with storage_errors(directory):
            self._uploads.mkdir(parents=True, exist_ok=True)
            # Made once, so that a commit never has to make a directory durable as well.
            for number in range(256):
                (self._blobs / f"{number:02x}").mkdir(parents=True, exist_ok=True)

    def open_writer(self, writer_id: str, algorithms: tuple[str, ...] = ()) -> "FileBlobWriter":
        """See :meth:`repoman.blobs.store.BlobStore.open_writer`."""
        return FileBlobWriter(self._uploads / writer_id, self._path, algorithms)

    def open(self, digest: str) -> BinaryIO:
        """See :meth:`repoman.blobs.store.BlobStore.open`."""
        with storage_errors(self._directory):
            try:
                return self._path(digest).open("rb", buffering=0)
            except FileNotFoundError as error:
                raise NotFound(
                    f"The bytes sha256:{digest} are missing in the blob store."
                ) from error

    def exists(self, digest: str) -> bool:
        """See :meth:`repoman.blobs.store.BlobStore.exists`."""
        with storage_errors(self._directory):
            return self._path(digest).exists()

    @contextmanager
    def claim(self) -> Iterator[None]:
        """See :meth:`repoman.blobs.store.BlobStore.claim`."""
        # The directory itself: a file opened for it would keep the disk from becoming read-only.
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
                f"Another server, or another blob store of this one, uses {self._directory}; "
                "each would remove what it does not know. Give this one a path of its own."
            ) from error
        except OSError as error:  # network file systems lock no directories
            _log.warning("%s is not locked against other servers: %s", self._directory, error)

    def list_digests(self, prefix: str) -> Iterator[str]:
        """See :meth:`repoman.blobs.store.BlobStore.list_digests`."""
        with storage_errors(self._directory), os.scandir(self._blobs / prefix) as entries:
            for entry in entries:
                if DIGEST.fullmatch(entry.name):
                    yield entry.name

    def withdraw(self, digest: str, writer_id: str, committed_before: float) -> bool:
        """See :meth:`repoman.blobs.store.BlobStore.withdraw`."""
        path = self._path(digest)
        with suppress(FileNotFoundError), storage_errors(self._directory):
            if path.stat().st_ctime >= committed_before:  # when it got its name
                return False
            path.rename(self._uploads / writer_id)
        return True

    def sweep_writers(self, keep: Collection[str]) -> int:
        """See :meth:`repoman.blobs.store.BlobStore.sweep_writers`."""
        count = 0
        with storage_errors(self._directory):
            for path in self._uploads.iterdir():
                if path.name not in keep:
                    path.unlink()
                    count += 1
        return count

    def _path(self, digest: str) -> Path:
        return self._blobs / digest[:2] / digest


class FileBlobWriter:
    """Writes one file below ``uploads`` and hashes its bytes while they pass."""

    def __init__(
        self, path: Path, place: Callable[[str], Path], algorithms: tuple[str, ...]
    ) -> None:
        self._path = path
        self._place = place
        self._fd: int | None = None  # the file is made and opened when it is first needed
        self._size = path.stat().st_size if path.exists() else 0
        self._written_back = self._size
        names = {CANONICAL, *algorithms}
        # The state of a hash cannot be kept on disk: bytes from before a restart are read again.
        self._hashes = {} if self._size else {name: hashlib.new(name) for name in names}

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def check_room(self, size: int) -> None:
        """Compare with what the file system has left."""
        with storage_errors(self._path.parent):
            state = os.statvfs(self._path.parent)
        if size > state.f_bavail * state.f_frsize:
            raise StorageFull("The disk that holds the blob store has no room for this.")

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes to the file and to the hashes."""
        fd = self._open()
        view = memoryview(data)
        done = 0
        try:
            with storage_errors(self._path.parent):
                while done < len(view):
                    done += os.write(fd, view[done:])
        finally:
            # A full disk takes a part: hashes and size follow what really lies there.
            self._size += done
            for state in self._hashes.values():
                state.update(view[:done])
        self._begin_writeback(fd)

    def hexdigest(self, algorithm: str) -> str:
        """Return the digest of what was written, in hex."""
        state = self._hashes.get(algorithm)
        if state is None:
            state = self._hashes[algorithm] = self._hash_file(algorithm)
        return state.hexdigest()

    def open_reader(self) -> BinaryIO:
        """Open the file once more."""
        self._open()
        with storage_errors(self._path.parent), self._dropped():
            return self._path.open("rb", buffering=0)

    def commit(self) -> StoredBlob:
        """Rename the file to its digest, durably."""
        digest = self.hexdigest(CANONICAL)
        target = self._place(digest)
        fd = self._open()
        with storage_errors(self._path.parent), self._dropped():
            if os.fstat(fd).st_size != self._size:
                raise Unavailable("Another process has written to this upload.")
            os.fsync(fd)
            self._path.rename(target)
            _sync_directory(target.parent)
        self.pause()
        return StoredBlob(digest, self._size)

    def pause(self) -> None:
        """Close the file; the next write opens it again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def cancel(self) -> None:
        """Remove the file."""
        self.pause()
        with suppress(FileNotFoundError), storage_errors(self._path.parent):
            self._path.unlink()

    def _open(self) -> int:
        if self._fd is None:
            # Bytes that were written must still be there: never begin anew in their place.
            create = os.O_CREAT if self._size == 0 else 0
            with storage_errors(self._path.parent), self._dropped():
                self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | create, 0o600)
        return self._fd

    @contextmanager
    def _dropped(self) -> Iterator[None]:
        """Say what it means that the file is gone: somebody has deleted the repository."""
        try:
            yield
        except FileNotFoundError as error:
            if not self._path.parent.exists():
                raise Unavailable("The directory of the blob store is gone.") from error
            raise NotFound("This upload was dropped while it was running.") from error

    def _begin_writeback(self, fd: int) -> None:
        """Have the disk at work while bytes arrive, so that the fsync at the end is short.

        Otherwise the system may hold a tenth of the memory back until then. The advice starts the
        writing without waiting for it, and drops nothing that is not on the disk yet.
        """
        length = self._size - self._written_back
        if length >= WRITEBACK:
            with storage_errors(self._path.parent):
                os.posix_fadvise(fd, self._written_back, length, os.POSIX_FADV_DONTNEED)
            self._written_back = self._size

    def _hash_file(self, algorithm: str) -> "hashlib._Hash":
        state = hashlib.new(algorithm)
        buffer = memoryview(bytearray(READ_CHUNK))
        position = 0
        with storage_errors(self._path.parent):
            while count := os.preadv(self._open(), [buffer], position):
                state.update(buffer[:count])
                position += count
        return state


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def storage_errors(directory: Path) -> Iterator[None]:
    """Turn the system's errors into StorageFull or Unavailable."""
    try:
        yield
    except RepomanError:
        raise
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull("The disk that holds the blob store is full.") from error
        raise Unavailable(
            f"The blob store cannot be used at present: {os.strerror(error.errno or 0)}."
        ) from error
