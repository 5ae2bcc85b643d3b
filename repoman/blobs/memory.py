"""Small blobs kept in memory: what is asked for over and over need not come from the disk."""

import threading
from collections import OrderedDict

from repoman.blobs.store import BlobStore

LARGEST = 65_536  # bytes of a blob that is kept
CAPACITY = 33_554_432  # bytes of all that are kept


class SmallBlobs:
    """The small blobs used last; never stale, since a blob never changes. Thread safe."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def read(self, digest: str) -> bytes:
        """Return all bytes of a blob of at most ``LARGEST`` bytes.

        Raises:
            NotFound: the blob store does not have it.
        """
        data = self._kept.get(digest)
        if data is None:
            with self._blobs.open(digest) as file:
                data = file.read()
            self._keep(digest, data)
        return data

    def _keep(self, digest: str, data: bytes) -> None:
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = data
                self._size += len(data)
            while self._size > CAPACITY:
                _, dropped = self._kept.popitem(last=False)
                self._size -= len(dropped)
