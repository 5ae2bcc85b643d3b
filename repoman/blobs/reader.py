"""Reads blobs: never returns one that is missing or damaged, and caches small ones in memory."""

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import BinaryIO

from repoman.blobs.store import CANONICAL, BlobStat, BlobStore
from repoman.errors import NotFound, Unavailable

LARGEST = 65_536  # Bytes of a blob that is kept in memory.
CAPACITY = 33_554_432  # Bytes of all blobs that are kept in memory.

_log = logging.getLogger(__name__)


class BlobReader:
    """Reads blobs by digest and size, and caches the most recently used small ones; thread safe.

    Small blobs are compared with their digest when they are read from the disk. A cached blob is
    valid while its file is unchanged: after a loss, a repair or another commit it is read again.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._kept: OrderedDict[str, tuple[Hashable, bytes]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def exists(self, digest: str, size: int) -> bool:
        """Return whether there is a blob of this size; reads nothing.

        Raises:
            Unavailable: the blob store cannot be used at the moment.
        """
        found = self._blobs.stat(digest)
        return found is not None and found.size == size

    def has(self, digest: str, size: int) -> bool:
        """Return whether a blob can be given out: its bytes are there and, if small, are right.

        Raises:
            Unavailable: the blob store cannot be used at the moment.
        """
        try:
            if size <= LARGEST:
                self.read(digest, size)
            else:
                self._stat(digest, size)
        except NotFound:
            return False
        return True

    def open(self, digest: str, size: int) -> BinaryIO:
        """Return a blob as an unbuffered file.

        Raises:
            NotFound: its bytes are missing, or not all there.
            Unavailable: the blob store cannot be used at the moment.
        """
        self._stat(digest, size)
        return self._blobs.open(digest)

    def read(self, digest: str, size: int) -> bytes:
        """Return all bytes of a blob of at most ``LARGEST`` bytes.

        Raises:
            NotFound: they are not there, or damaged.
            Unavailable: the blob store cannot be used at the moment.
        """
        found = self._stat(digest, size)
        version, data = self._kept.get(digest, (None, b""))
        if version != found.version:
            data = self._read(digest)
            self._keep(digest, found.version, data)
        return data

    def _stat(self, digest: str, size: int) -> BlobStat:
        found = self._blobs.stat(digest)
        if found is None or found.size != size:
            raise _lost(digest, "missing" if found is None else "damaged: its size does not match")
        return found

    def _read(self, digest: str) -> bytes:
        try:
            with self._blobs.open(digest) as file:
                data = file.read()
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise Unavailable(f"The blob cannot be read at the moment: {reason}.") from error
        if hashlib.new(CANONICAL, data).hexdigest() != digest:
            raise _lost(digest, "damaged: its content does not match its digest")
        return data

    def _keep(self, digest: str, version: Hashable, data: bytes) -> None:
        with self._lock:
            _, former = self._kept.pop(digest, (None, b""))
            self._kept[digest] = (version, data)
            self._size += len(data) - len(former)
            while self._size > CAPACITY:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._size -= len(dropped)


def _lost(digest: str, problem: str) -> NotFound:
    text = "The blob %s:%s is %s. Restore its file or push it again."
    _log.error(text, CANONICAL, digest, problem)
    return NotFound(f"The blob {CANONICAL}:{digest} is missing from the blob store or damaged.")
