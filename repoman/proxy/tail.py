"""The rest of a download for which the disk has no room: a window in memory that moves on."""

import hashlib
import os

WINDOW = 1 << 20  # bytes that may wait in memory for the slowest reader of one download
PIECE = 1 << 18  # bytes that are read at a time


class Tail:
    """Bytes from ``start`` on, as long as a reader may need them; not thread safe.

    Args:
        fd: the file with all bytes before ``start``; read by position only.
        algorithm: of the digest of all bytes, those of the file too.
    """

    def __init__(self, fd: int, start: int, algorithm: str) -> None:
        self.start = start
        self._first = start  # the position of the first byte that is still here
        self._data = bytearray()
        self._hash = hashlib.new(algorithm)
        position = 0
        while data := os.pread(fd, min(PIECE, start - position), position):
            self._hash.update(data)
            position += len(data)

    @property
    def has_room(self) -> bool:
        """Whether more bytes may be put."""
        return len(self._data) < WINDOW

    def put(self, data: bytes) -> None:
        """Append bytes."""
        self._hash.update(data)
        self._data += data

    def drop(self, position: int) -> None:
        """Forget what is before a position."""
        count = min(position - self._first, len(self._data))
        if count > 0:
            del self._data[:count]
            self._first += count

    def read(self, position: int, end: int) -> bytes:
        """Return a piece of what is from one position on, up to another one; perhaps nothing.

        Raises:
            LookupError: the first of it is not here any more.
        """
        if position < self._first:
            raise LookupError(position)
        start = position - self._first
        stop = max(start, min(start + PIECE, end - self._first))
        return bytes(self._data[start:stop])

    def hexdigest(self) -> str:
        """Return the digest of all bytes, in hex."""
        return self._hash.hexdigest()
