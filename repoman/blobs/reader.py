"""Reads blobs: never returns one that is missing or damaged, and caches small ones in memory."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from repoman.blobs.store import CANONICAL, BlobStat, BlobStore
from repoman.caching import LruCache
from repoman.errors import NotFound, Unavailable

CACHED_MAX_BYTES = 65_536  # A larger blob is not kept in memory.
CACHED_BYTES = 200  # What a blob in memory takes besides its bytes.
# Seconds for which a cached blob is given out without another look at its file: a system call for
# each of thousands of equal requests a second would hand the interpreter to another thread.
TRUSTED_S = 0.1

Elsewhere = Callable[[str], Iterable[BlobStore]]

_log = logging.getLogger(__name__)


def nowhere(_digest: str) -> Iterable[BlobStore]:
    """Return no store: there is only one."""
    return ()


class BlobReader:
    """Reads blobs by digest and size, and caches the most recently used small ones; thread safe.

    Small blobs are compared with their digest when they are read from the disk. A cached blob is
    valid while its file is unchanged: after a loss, a repair or another commit it is read again,
    at once, or within ``TRUSTED_S`` by who asks for :meth:`read_recent`.

    Args:
        elsewhere: returns the other stores that may have a blob, by its digest; they are asked
            where it is missing.
    """

    def __init__(self, blobs: BlobStore, elsewhere: Elsewhere = nowhere) -> None:
        self._blobs = blobs
        self._elsewhere = elsewhere
        self._kept: LruCache[_Cached] = LruCache(lambda cached: len(cached.data) + CACHED_BYTES)

    def exists(self, digest: str, size: int) -> bool:
        """Return whether the store has a blob of this size, and not another one; reads nothing.

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
            if size <= CACHED_MAX_BYTES:
                self.read(digest, size)
            else:
                self._locate(digest, size)
        except NotFound:
            return False
        return True

    def open(self, digest: str, size: int) -> BinaryIO:
        """Return a blob as an unbuffered file.

        Raises:
            NotFound: its bytes are missing, or not all there.
            Unavailable: the blob store cannot be used at the moment.
        """
        store, _ = self._locate(digest, size)
        return store.open(digest)

    def read(self, digest: str, size: int) -> bytes:
        """Return all bytes of a blob of at most ``CACHED_MAX_BYTES`` bytes.

        Raises:
            NotFound: they are not there, or damaged.
            Unavailable: the blob store cannot be used at the moment.
        """
        store, found = self._locate(digest, size)
        cached = self._kept.find(digest)
        if cached is None or cached.version != found.version:
            cached = _Cached(found.version, _read(store, digest))
            self._kept.save(digest, cached)
        cached.trusted_until = time.monotonic() + TRUSTED_S
        return cached.data

    def read_recent(self, digest: str, size: int) -> bytes:
        """Return what :meth:`read` returns, or what it returned less than ``TRUSTED_S`` ago."""
        cached = self._kept.find(digest)
        if cached is not None and time.monotonic() < cached.trusted_until:
            return cached.data
        return self.read(digest, size)

    def _locate(self, digest: str, size: int) -> tuple[BlobStore, BlobStat]:
        found = self._blobs.stat(digest)
        if found is not None and found.size == size:
            return self._blobs, found
        for store in self._elsewhere(digest):
            other = store.stat(digest)
            if other is not None and other.size == size:
                return store, other
        raise _lost(digest, "missing" if found is None else "damaged: its size does not match")


@dataclass(slots=True)
class _Cached:
    """A small blob in memory, the version of its file, and until when that is taken for granted."""

    version: Hashable
    data: bytes
    trusted_until: float = 0.0  # monotonic seconds


def _read(store: BlobStore, digest: str) -> bytes:
    try:
        with store.open(digest) as file:
            data = file.read()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"The blob cannot be read at the moment: {reason}.") from error
    if hashlib.new(CANONICAL, data).hexdigest() != digest:
        raise _lost(digest, "damaged: its content does not match its digest")
    return data


def _lost(digest: str, problem: str) -> NotFound:
    text = "The blob %s:%s is %s. Restore its file or push it again."
    _log.error(text, CANONICAL, digest, problem)
    return NotFound(f"The blob {CANONICAL}:{digest} is missing from the blob store or damaged.")
