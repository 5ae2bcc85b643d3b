"""What all proxies of the process share: threads, running downloads, clocks."""

import heapq
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from repoman.blobs.store import BlobTarget
from repoman.blobs.upload import BlobUpload
from repoman.db.database import Database
from repoman.events.pulls import PullLog
from repoman.flights import SingleFlight
from repoman.printable import pluralize, render_size
from repoman.proxy.cache_records import CHECKS
from repoman.proxy.download import Download
from repoman.proxy.fetching import FetcherPool, FetchRequest
from repoman.proxy.network import Network
from repoman.threads import Watch

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What went from a cache because it held more than its limit; sizes in bytes.

    Attributes:
        size: by so much less it holds, each blob once.
        freed_size: of that, what nothing else needs.
        oldest_at: when the file was last used that went first, in seconds since the epoch;
            ``newest_at``: the one that went last.
    """

    files: int = 0
    size: int = 0
    freed_size: int = 0
    oldest_at: float = float("inf")
    newest_at: float = 0.0

    def __add__(self, other: "Trimmed") -> "Trimmed":
        """Return what went in all."""
        return Trimmed(
            self.files + other.files,
            self.size + other.size,
            self.freed_size + other.freed_size,
            min(self.oldest_at, other.oldest_at),
            max(self.newest_at, other.newest_at),
        )

    def __str__(self) -> str:
        """Return it in words."""
        files, size = pluralize(self.files, "file"), render_size(self.size)
        return f"{files}, {size}, last used {_render(self.oldest_at)} to {_render(self.newest_at)}"


class Cache(Protocol):
    """The cache of one proxy, as far as the process has to care for it."""

    def make_room(self) -> int:
        """Remove what is over the limit of the cache, and return how many assets that were.

        What went is noted by :meth:`ProxyServices.note_trimmed`.
        """

    def notice_check(self) -> None:
        """Check the remote, if another process has done so."""

    def retire(self) -> None:
        """Ask the remote no more: the proxy is deleted, or has another remote."""


class Alarm:
    """Calls functions after a time, from one thread that begins with the first; thread safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._watch = Watch("alarm")
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @property
    def problem(self) -> str:
        """Why the last call failed; empty if it did not."""
        return self._watch.problem

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """Call ``call`` after ``delay`` seconds, unless this is closed before."""
        with self._changed:
            if self._is_closed:
                return
            heapq.heappush(self._calls, (time.monotonic() + delay, next(self._numbers), call))
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="alarm", daemon=True)
                thread.start()  # It may fail; the next call tries again then.
                self._thread = thread
            self._changed.notify()

    def close(self) -> None:
        """Call nothing any more."""
        with self._changed:
            self._is_closed = True
            self._calls.clear()
            self._changed.notify()

    def _run(self) -> None:
        while (call := self._next()) is not None:
            self._watch.run(call)

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._is_closed:
                wait = self._calls[0][0] - time.monotonic() if self._calls else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._calls)[2]
                self._changed.wait(wait)
            return None


class ProxyServices:
    """The shared parts; one for a running Repoman.

    Args:
        database: where caches are remembered.
        clock: seconds since the epoch, for ages.
        ticks: seconds that never run backwards, for rests of a remote.
        pulls: when what is cached was last pulled.
        network: the settings of the network.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock = time.time,
        ticks: Clock = time.monotonic,
        pulls: PullLog | None = None,
        network: Network | None = None,
    ) -> None:
        self.database = database
        self.network = network or Network()
        self.pulls = pulls or PullLog(database, clock)
        self.clock = clock
        self.ticks = ticks
        self.fetchers = FetcherPool()
        self.downloads = Downloads(self.fetchers)
        self.flights: SingleFlight[Any] = SingleFlight()
        self.alarm = Alarm()
        self._caches: weakref.WeakValueDictionary[int, Cache] = weakref.WeakValueDictionary()
        self._checks: int | None = None
        self._lock = threading.Lock()
        self._trimmed: dict[str, Trimmed] = {}

    def enter(self, repository_id: int, cache: Cache) -> None:
        """Make a cache the present one of its repository."""
        self._caches[repository_id] = cache

    def leave(self, repository_id: int) -> None:
        """Have no present cache of a repository, until its new settings bring another one."""
        self._caches.pop(repository_id, None)

    def retire(self, repository_id: int) -> None:
        """The repository was deleted: nothing of it contacts its remote any longer."""
        cache = self._caches.pop(repository_id, None)
        if cache is not None:
            cache.retire()

    def notice_checks(self) -> None:
        """Check the remotes that another process has checked; call it often."""
        checks = self.database.revision(CHECKS)
        before, self._checks = self._checks, checks
        if before not in (None, checks):
            for cache in list(self._caches.values()):
                cache.notice_check()

    def note_trimmed(self, name: str, trimmed: Trimmed) -> None:
        """Note what went from the cache of a proxy."""
        with self._lock:
            self._trimmed[name] = self._trimmed.get(name, Trimmed()) + trimmed

    def trim_caches(self) -> dict[str, Trimmed]:
        """Hold all caches to their limits; return what went since the last call, by repository.

        Most of it went while files were fetched, so that caches never exceed their limits for long.
        """
        for cache in list(self._caches.values()):
            cache.make_room()
        with self._lock:
            trimmed, self._trimmed = self._trimmed, {}
        return trimmed

    def current(self, repository_id: int) -> object:
        """Return the present cache of a repository; None if there is none."""
        return self._caches.get(repository_id)

    def close(self) -> None:
        """Let nothing happen by itself any more."""
        self.alarm.close()


class Downloads:
    """The downloads that run, one of each; thread safe."""

    def __init__(self, fetchers: FetcherPool) -> None:
        self._fetchers = fetchers
        self._running: dict[Hashable, Download] = {}
        self._lock = threading.Lock()

    def follow(
        self,
        owner: Hashable,
        name: Hashable,
        blobs: BlobTarget,
        make: Callable[[], FetchRequest | None],
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
            request = make()
            if request is None:
                return None
            upload = BlobUpload(blobs, (*request.digests, *request.checksums))
            try:
                download = Download(
                    request,
                    upload,
                    lambda: self._end(key, download),
                    expected=lambda: self._missing(blobs),
                )
            except BaseException:
                upload.close()
                raise
            self._running[key] = download
        self._fetchers.submit(owner, download.run)
        return download

    def _missing(self, blobs: BlobTarget) -> int:
        """Return how many bytes all downloads together will still write to a blob store."""
        with self._lock:
            return sum(each.missing for each in self._running.values() if each.store == blobs)

    def _end(self, key: Hashable, download: Download | None) -> None:
        """Let nobody join a download any more; safe to call again."""
        with self._lock:
            if self._running.get(key) is download:
                del self._running[key]


def _render(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
