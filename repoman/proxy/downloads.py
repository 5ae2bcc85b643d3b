"""The downloads that run, over all proxies: requests for the same content share one download."""

import threading
from collections.abc import Callable, Hashable

from repoman.blobs.inlet import BlobInlet
from repoman.blobs.store import BlobStore
from repoman.proxy.download import Download
from repoman.proxy.flights import Fetchers
from repoman.proxy.order import Order


class Downloads:
    """The downloads that run, one of each; thread safe."""

    def __init__(self, fetchers: Fetchers) -> None:
        self._fetchers = fetchers
        self._running: dict[Hashable, Download] = {}
        self._lock = threading.Lock()

    def follow(
        self, owner: Hashable, name: Hashable, blobs: BlobStore, make: Callable[[], Order | None]
    ) -> Download | None:
        """Return the download of that name that runs, or begin the one that ``make`` orders.

        ``make`` returns None if there is nothing to do any more. Names are those of an ``owner``,
        who has a share of the fetchers.

        Raises:
            StorageFull, Unavailable: the blob store takes nothing.
        """
        key = (owner, name)
        with self._lock:
            download = self._running.get(key)
            if download is not None:
                return download
            order = make()
            if order is None:
                return None
            inlet = BlobInlet(blobs, (order.algorithm,))
            try:
                download = Download(
                    order,
                    inlet,
                    lambda: self._end(key, download),
                    expected=lambda: self._missing(blobs),
                )
            except BaseException:
                inlet.close()
                raise
            self._running[key] = download
        self._fetchers.submit(owner, download.run)
        return download

    def _missing(self, blobs: BlobStore) -> int:
        """Return how many bytes all downloads together will still write to a blob store."""
        with self._lock:
            return sum(each.missing for each in self._running.values() if each.store is blobs)

    def _end(self, key: Hashable, download: Download | None) -> None:
        """Let nobody join a download any more; safe to call again."""
        with self._lock:
            if self._running.get(key) is download:
                del self._running[key]
