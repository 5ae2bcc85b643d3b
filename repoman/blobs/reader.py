"""Reading blobs: none is given out that has lost its bytes, and small ones are kept in memory."""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import BinaryIO

from repoman.blobs.store import CANONICAL, BlobStore
from repoman.errors import NotFound, Unavailable

LARGEST = 65_536  # Bytes of a blob that is kept in memory.
CAPACITY = 33_554_432  # Bytes of all blobs that are kept in memory.


class BlobReader:
    """Reads blobs by digest and size, and keeps the small ones that were used last; thread safe.

    Small blobs are compared with their digest when they are read from the disk. What is kept counts
    as long as the file is the same: after a loss, a repair or another commit it is read again.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._kept: OrderedDict[str, tuple[Hashable, bytes]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def has(self, digest: str, size: int) -> bool:
        """Return whether the bytes are there, as many as they should be; looks, but reads nothing.

        Raises:
            Unavailable: the blob store cannot be used at present.
        """
        found = self._blobs.stat(digest)
        return found is not None and found.size == size

    def open(self, digest: str, size: int) -> BinaryIO:
        """Return a blob as an unbuffered file.

        Raises:
            NotFound: its bytes are not there, or not as many.
            Unavailable: the blob store cannot be used at present.
        """
        if not self.has(digest, size):
            raise _lost(digest)
        return self._blobs.open(digest)

    def read(self, digest: str, size: int) -> bytes:
        """Return all bytes of a blob of at most ``LARGEST`` bytes.

        Raises:
            NotFound: they are not there, or damaged.
            Unavailable: the blob store cannot be used at present.
        """
        found = self._blobs.stat(digest)
        if found is None or found.size != size:
            raise _lost(digest)
        version, data = self._kept.get(digest, (None, b""))
        if version != found.version:
            data = self._read(digest)
            self._keep(digest, found.version, data)
        return data

    def _read(self, digest: str) -> bytes:
        try:
            with self._blobs.open(digest) as file:
                data = file.read()
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise Unavailable(f"A blob cannot be read at present: {reason}.") from error
        if hashlib.new(CANONICAL, data).hexdigest() != digest:
            raise _lost(digest)
        return data

    def _keep(self, digest: str, version: Hashable, data: bytes) -> None:
        with self._lock:
            _, former = self._kept.pop(digest, (None, b""))
            self._kept[digest] = (version, data)
            self._size += len(data) - len(former)
            while self._size > CAPACITY:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._size -= len(dropped)


def _lost(digest: str) -> NotFound:
    return NotFound(f"The bytes {CANONICAL}:{digest} are missing or damaged in the blob store.")
