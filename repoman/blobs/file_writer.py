"""The writer of a file blob store: bytes on their way in.

A failure ends the writer for good, whatever it was: a write that the disk took in part, an early
writeback, fsync, close, rename, or a look at the free space. Linux reports a failed writeback to
each open descriptor once and then marks the pages clean: the next fsync succeeds although the bytes
are not on the disk. On network file systems even a full disk may be reported by a later write than
the one whose bytes were lost. So nothing is tried again on the same file; the client starts over.

A descriptor opened later may never learn of the failure, since the kernel forgets it with the last
reference to the file. So a file is synced before it is closed, and a pause may fail. A small file
stays open between two requests instead, and is synced when it is committed.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from repoman.blobs.store import CANONICAL, StoredBlob
from repoman.disk_space import NOTHING_FREE, MinFree
from repoman.durable import FULL, PRIVATE_FILE_MODE, sync_directory
from repoman.errors import NotFound, RepomanError, StorageFull, Unavailable
from repoman.waiting import blocking

READ_CHUNK = 1 << 20  # Bytes read at a time when a digest is computed from the file.
WRITEBACK = 1 << 25  # Bytes after which the system is to write to the disk what it still holds.
LOOK_BYTES = 1 << 20  # Bytes after which is looked again whether enough of the disk is free.
KEPT_OPEN = 100  # Files of a store that stay open between two requests at most.
KEPT_OPEN_BYTES = 1 << 20  # The size of such a file at most: its fsync is short.


class FileBlobWriter:
    """Writes one file below ``uploads`` and hashes its bytes while they pass.

    Paths are texts here: those of pathlib take longer than the calls of the system.

    Args:
        path: of the file.
        place: returns the directory and the path of the blob with a digest.
        kept_open: paths of the files of the store that stay open between two requests.
    """

    def __init__(
        self,
        path: str,
        place: Callable[[str], tuple[str, str]],
        algorithms: tuple[str, ...],
        min_free: MinFree,
        kept_open: set[str],
    ) -> None:
        self._min_free = min_free
        self._kept_open = kept_open
        self._look_at = 0  # From this size on the disk is looked at again.
        self._path = path
        self._directory = path.rpartition("/")[0]
        self._place = place
        self._fd: int | None = None  # the file is made and opened when it is first needed
        self._size = _size_of(path)
        self._written_back = self._size
        self._is_synced = False
        self._has_failed = False
        self._is_committed = False
        names = {CANONICAL, *algorithms}
        # The state of a hash cannot be kept on disk: bytes from before a restart are read again.
        self._hashes = {} if self._size else {name: _new_hash(name) for name in names}

    def __del__(self) -> None:
        # Of an upload that was ended elsewhere while its file was kept open.
        with suppress(OSError):
            self._close()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def check_room(self, size: int) -> None:
        """Compare with what the file system has left."""
        with self._step():
            self._min_free.check(os.statvfs(self._directory), "blob store", size)
        self._look_at = self._size + LOOK_BYTES

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes to the file and to the hashes."""
        view = memoryview(data)
        done = 0
        with self._step():
            if data and self._min_free is not NOTHING_FREE and self._size >= self._look_at:
                self._look_at = self._size + LOOK_BYTES
                self._min_free.check(os.statvfs(self._directory), "blob store")
            fd = self._open()
            self._is_synced = False
            try:
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
        with self._step():
            self._open()
            return open(self._path, "rb", buffering=0)

    def commit(self) -> StoredBlob:
        """Rename the file to its digest, durably."""
        digest = self.hexdigest(CANONICAL)
        directory, target = self._place(digest)
        with self._step(), blocking():
            self._finish_file()
            _rename(self._path, target)
            sync_directory(directory)
        self._is_committed = True
        return StoredBlob(digest, self._size)

    def pause(self) -> None:
        """Sync the file and close it, unless it is small; the next write opens it again."""
        if self._has_failed:
            with suppress(OSError):
                self._close()
        elif self._fd is not None and not self._keep_open():
            with self._step():
                try:
                    self._sync(self._fd)
                finally:
                    self._close()

    def cancel(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._close()
        if not self._is_committed:
            with storage_errors(), suppress(FileNotFoundError):
                os.unlink(self._path)

    # Inside -------------------------------------------------------------------------------------

    def _step(self) -> "_Step":
        """Return a context in which any failure ends the writer."""
        if self._has_failed:
            raise Unavailable("This upload failed on the disk of the blob store. Start a new one.")
        return _Step(self._fail)

    def _fail(self, error: BaseException) -> None:
        """End the writer, and say what a failure of the system means."""
        self._has_failed = True
        if isinstance(error, FileNotFoundError):
            if os.path.exists(self._path) or not os.path.exists(self._directory):
                raise Unavailable("A directory of the blob store is missing.") from error
            # Somebody has deleted the repository.
            raise NotFound("This upload was cancelled while it was being written.") from error
        if isinstance(error, OSError):
            raise storage_error(error) from error

    def _open(self) -> int:
        if self._fd is None:
            # Bytes that were written must still be there: never start over in their place.
            create = os.O_CREAT if self._size == 0 else 0
            flags = os.O_RDWR | os.O_APPEND | create
            self._fd = os.open(self._path, flags, PRIVATE_FILE_MODE)
        return self._fd

    def _keep_open(self) -> bool:
        """Return whether the file may stay open; a few too many do no harm."""
        if self._size > KEPT_OPEN_BYTES or len(self._kept_open) >= KEPT_OPEN:
            return False
        self._kept_open.add(self._path)
        return True

    def _finish_file(self) -> None:
        """Sync and close the file, unless the last pause did; check that it has all bytes."""
        if self._fd is None and self._is_synced:
            size = os.stat(self._path).st_size
        else:
            fd = self._open()
            size = os.fstat(fd).st_size
            self._sync(fd)
            self._close()  # before the rename: a network file system may fail here
        if size != self._size:
            raise Unavailable("Another process has written to this upload.")

    def _sync(self, fd: int) -> None:
        if not self._is_synced:
            with blocking():
                os.fsync(fd)
            self._is_synced = True

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._kept_open.discard(self._path)
            os.close(fd)

    def _begin_writeback(self, fd: int) -> None:
        """Have the disk at work while bytes arrive, so that the fsync at the end is short.

        Otherwise the system may hold a tenth of the memory back until then. The advice starts the
        writing without waiting for it, and drops nothing that is not on the disk yet. What fails of
        it is reported by the fsync, since the file stays open until then.
        """
        length = self._size - self._written_back
        if length >= WRITEBACK:
            os.posix_fadvise(fd, self._written_back, length, os.POSIX_FADV_DONTNEED)
            self._written_back = self._size

    def _hash_file(self, algorithm: str) -> "hashlib._Hash":
        """Hash what the disk has.

        Pages that are only in memory would hide a failure reported to an earlier process.
        """
        state = _new_hash(algorithm)
        buffer = memoryview(bytearray(READ_CHUNK))
        position = 0
        with self._step():
            fd = self._open()
            self._sync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            while count := os.preadv(fd, [buffer], position):
                state.update(buffer[:count])
                position += count
        return state


class _Step:
    """A context whose failures are told; a class, since each request enters several."""

    __slots__ = ("_fail",)

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self._fail = fail

    def __enter__(self) -> None:
        """Begin nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._fail(error)


def storage_error(error: OSError) -> RepomanError:
    """Return the StorageFull or Unavailable for an operating system error."""
    if error.errno in FULL:
        return StorageFull("The disk that holds the blob store is full.")
    if isinstance(error, FileNotFoundError):
        return Unavailable("A directory of the blob store is missing.")
    reason = os.strerror(error.errno or 0)
    return Unavailable(f"The blob store cannot be used at the moment: {reason}.")


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn operating system errors into StorageFull or Unavailable."""
    try:
        yield
    except OSError as error:
        raise storage_error(error) from error


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise storage_error(error) from error


def _rename(path: str, target: str) -> None:
    """Give a file its name, also in place of whatever else has it."""
    try:
        os.rename(path, target)
    except IsADirectoryError:
        os.rmdir(target)  # fails if it holds anything, which is for the administrator to look at
        os.rename(path, target)


def _new_hash(algorithm: str) -> "hashlib._Hash":
    # Strict systems refuse old algorithms otherwise, which are only asked for as checksums here.
    return hashlib.new(algorithm, usedforsecurity=False)
