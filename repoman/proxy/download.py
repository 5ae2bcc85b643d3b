"""Downloads: a remote's content on its way into the blob store, read by many while it comes.

One fetch, in a thread of its own, writes the bytes; readers follow the growing file. No reader can
slow the fetch or end it. The last byte is held back until the digest is verified, so that nobody
gets a complete wrong body; if it is wrong, all connections break and nothing is stored.
"""

import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from http import HTTPStatus

from repoman.blobs.inlet import BlobInlet
from repoman.blobs.store import BlobStore
from repoman.errors import (
    RepomanError,
    StorageFull,
    Unavailable,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from repoman.proxy.flights import Fetchers
from repoman.proxy.order import Body, Order, PassThrough

PIECE = 1 << 18  # bytes that a reader takes at a time
PATIENCE = 600.0  # seconds that a reader waits for another byte; failures come much earlier
RESUMES = 50  # tries to go on, even if each one brought some bytes
LITTLE = 1 << 16  # bytes; a try that brings fewer has failed
SLOW = 60.0  # seconds in which a remote has to send more than that
BACKOFF = 0.2  # seconds before the first further try

UNKEPT = (StorageFull, Unavailable)  # why the bytes cannot be written here

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_log = logging.getLogger(__name__)


class Download:
    """One fetch and what has come of it; thread safe."""

    def __init__(
        self,
        order: Order,
        inlet: BlobInlet,
        on_end: Callable[[], object],
        sleep: Callable[[float], object] = time.sleep,
        expected: Callable[[], int] | None = None,
    ) -> None:
        self.order = order
        self.store = inlet.store
        self._inlet = inlet
        self._on_end = on_end
        self._expected = expected or (lambda: self.missing)
        self._sleep = sleep
        with inlet.open_reader() as file:
            self.fd = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.fd)  # readers may come at any time
        self._changed = threading.Condition()
        self._callbacks: list[Callable[[], object]] = []
        self._size: int | None = None
        self._announced = 0
        self._etag: str | None = None
        self._written = 0
        self._is_complete = False
        self._error: Exception | None = None

    # For readers ------------------------------------------------------------------------------

    def wait_for_size(self, timeout: float) -> int:
        """Return the size in bytes, as soon as the remote has said it.

        Raises:
            RepomanError: the fetch failed before, nothing came within ``timeout`` seconds, or too
                many wait for the remote already.
        """
        if self._size is not None and self._error is None:
            return self._size
        with self.order.waiting(), self._changed:
            is_known = self._changed.wait_for(
                lambda: self._error or self._size is not None or self._is_complete, timeout
            )
            if self._error is not None:
                raise self._error
            if not is_known or self._size is None:
                raise UpstreamTimeout(f"It takes too long to fetch {self.order.title}.")
            return self._size

    def open(self) -> "DownloadReader":
        """Return a reader at the start; to be closed."""
        return DownloadReader(self)

    @property
    def limit(self) -> int:
        """How many bytes from the start may be sent: all but the last one, until verified.

        Raises:
            RepomanError: the fetch has failed; connections that wait for more must break.
        """
        with self._changed:
            if self._is_complete:
                return self._written
            if self._error is not None:
                raise self._error
            return max(0, min(self._written, (self._size or 0) - 1))

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are there and verified."""
        return self._is_complete

    def subscribe(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called, in the fetch's thread, when the limit or the state moves."""
        with self._changed:
            self._callbacks.append(callback)

    def unsubscribe(self, callback: Callable[[], object]) -> None:
        """Call it no more."""
        with self._changed, suppress(ValueError):
            self._callbacks.remove(callback)

    def wait_beyond(self, position: int) -> int:
        """Return the limit once it is beyond ``position`` or final.

        Raises:
            RepomanError: the fetch failed, or nothing came for a long time.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._error or self._is_complete or self.limit > position, PATIENCE
            ):
                raise UpstreamTimeout(f"Nothing more came of {self.order.title}.")
            return self.limit

    @property
    def missing(self) -> int:
        """How many bytes are still to be written, as far as that is known."""
        return max(0, self._announced - self._written)

    # The fetch --------------------------------------------------------------------------------

    def run(self) -> None:
        """Fetch, verify and keep; for one thread, once."""
        try:
            with self._inlet:
                self._fetch()
                self._verify()
                # To make the bytes durable takes its time, which nobody has to wait for. Whoever
                # asks meanwhile finds this download, which ends once they are kept.
                self._publish(is_complete=True)
                self._keep()
        except Exception as error:  # noqa: BLE001 - readers must learn of any
            self._on_end()  # first: who asks once this is known begins anew
            self._fail(error)
        else:
            self._on_end()

    def _fetch(self) -> None:
        idle = 0
        for _ in range(RESUMES):
            before = self._written
            try:
                self._copy(before)
            except UpstreamUnavailable as error:
                is_fruitful = before == 0 or self._written - before >= LITTLE
                idle = 0 if is_fruitful else idle + 1
                if self._written == 0 or idle > self.order.resumes:
                    self.order.note_failure(error)
                    raise
                _log.info("%s Going on with %s at %d.", error, self.order.title, self._written)
                self._sleep(BACKOFF * 2**idle)
            else:
                return
        raise UpstreamUnavailable(f"The remote broke off {self.order.title} again and again.")

    def _copy(self, start: int) -> None:
        body = self.order.open(start)
        try:
            skip = self._begin(body, start)
            pace = _Pace(self.order.title)
            while data := body.read():
                pace.check(len(data))
                self._write(data[skip:])
                skip = max(0, skip - len(data))
        finally:
            body.close()
        if self._size is not None and self._written < self._size:
            raise UpstreamUnavailable(f"The remote broke off {self.order.title}.")
        if self._size is None:
            self._size = self._written

    def _begin(self, body: Body, start: int) -> int:
        """Take over what the header says; return how many bytes of the body we have already."""
        etag = body.headers.get("ETag")
        skip, size = 0, body.length
        if body.status == HTTPStatus.PARTIAL_CONTENT:
            found = _CONTENT_RANGE.fullmatch(body.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != start:
                raise UpstreamUnavailable(f"The remote sent another part of {self.order.title}.")
            size = None if found[3] == "*" else int(found[3])
        else:
            skip = start
        known = self.order.size if self._size is None else self._size
        if start and (_differ(size, known) or _differ(etag, self._etag)):
            raise UpstreamUnavailable(f"The remote has changed {self.order.title} meanwhile.")
        if not start:
            self._etag = etag
            known = known if size is None else size
            self._check_room(known or 0)
        self._size = size if known is None else known
        self._publish()
        return skip

    def _check_room(self, size: int) -> None:
        """Notice early that there is no room, while readers can still be served otherwise.

        Of two that begin at once, and do not fit both, each may give way to the other.
        """
        self._announced = size
        self._inlet.check_room(self._expected())

    def _write(self, data: bytes) -> None:
        if self._size is not None and self._written + len(data) > self._size:
            raise UpstreamUnavailable(f"The remote sent too much of {self.order.title}.")
        self._inlet.write(data)
        self._written += len(data)
        self._publish()

    def _verify(self) -> None:
        found = self._inlet.hexdigest(self.order.algorithm)
        if found != self.order.encoded:
            _log.error("SECURITY: %s came with the digest %s.", self.order.title, found)
            raise UpstreamUnavailable(f"The remote sent wrong bytes for {self.order.title}.")

    def _keep(self) -> None:
        try:
            self.order.keep(self._inlet.commit())
        except RepomanError as error:  # the bytes were right: whoever waits for them has them
            _log.warning("%s was fetched, but is not kept: %s", self.order.title, error)

    def _fail(self, error: Exception) -> None:
        if self._is_complete:
            _log.error("%s was fetched, but is not kept", self.order.title, exc_info=error)
            return
        if isinstance(error, UNKEPT):
            _log.warning("%s is not cached: %s", self.order.title, error)
            self.order.note_failure(error)
        elif not isinstance(error, RepomanError):
            _log.error("The download of %s failed", self.order.title, exc_info=error)
            error = UpstreamUnavailable(f"The download of {self.order.title} failed.")
        self._publish(error=error)

    def _publish(self, *, is_complete: bool = False, error: Exception | None = None) -> None:
        with self._changed:
            self._is_complete = is_complete
            self._error = error
            self._changed.notify_all()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()


def _differ(one: object, other: object) -> bool:
    """Return whether two things that a remote may or may not say are not the same."""
    return None not in (one, other) and one != other


class _Pace:
    """Sees to it that a body comes at a least rate, so that no remote can hold a fetch for ever."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = time.monotonic()
        self._size = 0

    def check(self, size: int) -> None:
        """Count bytes that came.

        Raises:
            UpstreamTimeout: they come by drops.
        """
        self._size += size
        if time.monotonic() - self._begun >= SLOW:
            if self._size < LITTLE:
                raise UpstreamTimeout(f"The remote sends {self._title} by drops.")
            self._begun, self._size = time.monotonic(), 0


class DownloadReader:
    """The bytes of a download as one client reads them: a growing file."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._callbacks: list[Callable[[], object]] = []

    def fileno(self) -> int:
        """Return the descriptor of the growing file; read by position only."""
        return self._download.fd

    def limit(self) -> int:
        """See :attr:`Download.limit`."""
        return self._download.limit

    def subscribe(self, callback: Callable[[], object]) -> None:
        """See :meth:`Download.subscribe`; ends with :meth:`close`."""
        self._callbacks.append(callback)
        self._download.subscribe(callback)

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        """Yield ``length`` bytes from ``start`` on, as they come.

        Raises:
            RepomanError: the download failed; the client's connection has to break.
        """
        try:
            yield from self._follow(start, start + length)
        finally:
            self.close()

    def _follow(self, position: int, end: int) -> Iterator[bytes]:
        while position < end:
            try:
                limit = min(self._download.wait_beyond(position), end)
            except UNKEPT:
                # It cannot be kept: this client is served all the same.
                passed = PassThrough(self._download.order.open)
                yield from passed.pieces(position, end - position)
                return
            while position < limit:
                data = os.pread(self.fileno(), min(PIECE, limit - position), position)
                if not data:
                    raise UpstreamUnavailable("The bytes of a download are gone.")
                position += len(data)
                yield data

    def close(self) -> None:
        """Follow no more; safe to call again."""
        while self._callbacks:
            self._download.unsubscribe(self._callbacks.pop())


class Downloads:
    """The downloads that run, over all proxies; one of each. Thread safe."""

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
                    order, inlet, lambda: self._end(key), expected=lambda: self._missing(blobs)
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

    def _end(self, key: Hashable) -> None:
        with self._lock:
            del self._running[key]
