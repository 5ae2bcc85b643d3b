"""Downloads: a remote's content on its way into the blob store, read by many while it comes.

One fetch, in a thread of its own, writes the bytes; readers follow the growing file. No reader can
slow the fetch or end it. The last byte is held back until the digest is verified, so that nobody
gets a complete wrong body; if it is wrong, all connections break and nothing is stored.

When the disk fills up during a download, the rest passes through a window in memory, which moves
on as its readers do: they still get all of it, and nothing is stored.
"""

import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus

from repoman.blobs.upload import BlobUpload
from repoman.errors import (
    RepomanError,
    StorageFull,
    Unavailable,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from repoman.proxy.fetching import PIECE_BYTES, Body, FetchRequest, OverflowWindow
from repoman.waiting import waiting

READER_TIMEOUT_S = 600.0  # A reader waits for another byte for this time; failures come earlier.
RESUMES_MAX = 50  # A fetch goes on so many times, even if each one brought some bytes.
PROGRESS_MIN_BYTES = 1 << 16  # A try that brings fewer bytes has failed, and a reader is too slow.
PROGRESS_INTERVAL_S = 60.0  # A remote has to send more than that in this time.
BACKOFF_S = 0.2  # The wait before the first further try.
OVERFLOW_TIMEOUT_S = 30.0  # The slowest reader has to move the window in memory within this time.

STORAGE_ERRORS = (StorageFull, Unavailable)  # why the bytes cannot be written here

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_log = logging.getLogger(__name__)


class DownloadReader:
    """The bytes of a download for one client; see :class:`repoman.http.body.GrowingFile`.

    Attributes:
        position: of the first byte that the client may still need.
    """

    def __init__(self, download: "Download") -> None:
        self.position = 0
        self._download = download
        self._callbacks: list[Callable[[], object]] = []

    def fileno(self) -> int:
        """Return the descriptor of the growing file; read by position only."""
        return self._download.fd

    def ready(self, position: int) -> int | bytes:
        """Return what may be sent; see :meth:`Download.ready`."""
        self.position = position
        return self._download.ready(position)

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
            self.position = position
            data = self._download.wait_ready(position)
            if isinstance(data, int):
                data = os.pread(self.fileno(), min(PIECE_BYTES, data), position)
            data = data[: end - position]
            if not data:
                raise UpstreamUnavailable("The downloaded content no longer exists.")
            position += len(data)
            yield data

    def close(self) -> None:
        """Follow no more; safe to call again."""
        while self._callbacks:
            self._download.unsubscribe(self._callbacks.pop())
        self._download.leave(self)


class Download:
    """One fetch and what has come of it; thread safe.

    Attributes:
        headers: those with which the remote began to answer, once the size is known.
    """

    def __init__(
        self,
        request: FetchRequest,
        upload: BlobUpload,
        on_end: Callable[[], object],
        sleep: Callable[[float], object] = time.sleep,
        expected: Callable[[], int] | None = None,
    ) -> None:
        self.request = request
        self.store = upload.store
        self._upload = upload
        self._on_end = on_end
        self._expected = expected or (lambda: self.missing)
        self._sleep = sleep
        with upload.open_reader() as file:
            self.fd = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.fd)  # readers may come at any time
        self._changed = threading.Condition()
        self._callbacks: list[Callable[[], object]] = []
        self._size: int | None = None
        self._announced = 0
        self.headers: Mapping[str, str] = {}
        self._written = 0
        self._readers: set[DownloadReader] = set()
        self._overflow: OverflowWindow | None = None  # once the disk is full
        self._is_complete = False
        self._error: Exception | None = None

    # For readers ------------------------------------------------------------------------------

    def wait_for_size(self, timeout: float) -> int:
        """Return the size in bytes, as soon as the remote has said it, or has sent everything.

        Of an empty body no byte could be held back: its digest is waited for.

        Raises:
            RepomanError: the fetch failed before, nothing came for ``timeout`` seconds, or too
                many wait for the remote already.
        """
        if self._size and self._error is None:
            return self._size
        with self.request.waiting(), self._changed:
            self._changed.wait_for(lambda: self._written or self._is_size_settled(), timeout)
        with waiting(), self._changed:  # A remote that answers is not slow to others.
            written = 0
            while self._written > written and not self._is_size_settled():
                written = self._written
                self._changed.wait_for(self._is_size_settled, timeout)
            if self._error is not None:
                raise self._error
            if not self._is_size_settled():
                raise UpstreamTimeout(f"Fetching {self.request.title} takes too long.")
            return self._size or 0

    def _is_size_settled(self) -> bool:
        return self._error is not None or bool(self._size) or self._is_complete

    def open(self) -> DownloadReader:
        """Return a reader at the start; to be closed."""
        reader = DownloadReader(self)
        with self._changed:
            self._readers.add(reader)
        return reader

    def leave(self, reader: DownloadReader) -> None:
        """Wait no more for a reader; safe to call again."""
        with self._changed:
            self._readers.discard(reader)
            self._changed.notify_all()

    def ready(self, position: int) -> int | bytes:
        """Return what may be sent from ``position`` on; see :mod:`repoman.http.body`.

        That is all but the last byte, until they are verified.

        Raises:
            RepomanError: the fetch has failed; connections that wait for more must break.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            end = self._written if self._is_complete else min(self._written, (self._size or 0) - 1)
            if self._overflow is None:
                return max(0, end - position)
            if position < self._overflow.start:
                return max(0, min(end, self._overflow.start) - position)
            self._changed.notify_all()  # anybody who waits for room in the window
            try:
                return self._overflow.read(position, end)
            except LookupError as error:
                raise StorageFull("The disk is full, and this client reads too slowly.") from error

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

    def wait_ready(self, position: int) -> int | bytes:
        """Return what may be sent from ``position`` on, as soon as there is something.

        Raises:
            RepomanError: the fetch failed, or nothing came for a long time.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._is_complete or self.ready(position), READER_TIMEOUT_S
            ):
                raise UpstreamTimeout(f"The remote sent nothing more of {self.request.title}.")
            return self.ready(position)

    @property
    def missing(self) -> int:
        """How many bytes are still to be written, as far as that is known."""
        return max(0, self._announced - self._written)

    # The fetch --------------------------------------------------------------------------------

    def run(self) -> None:
        """Fetch, verify and keep; for one thread, once."""
        try:
            with self._upload:
                self._fetch()
                self._verify()
                # To make the bytes durable takes its time, which nobody has to wait for. Whoever
                # asks meanwhile finds this download, which ends once they are kept.
                self._publish(is_complete=True)
                if self._overflow is None:
                    self._keep()
        except Exception as error:  # noqa: BLE001 - readers must learn of any
            self._on_end()  # first: who asks once this is known starts over
            self._fail(error)
        else:
            self._on_end()

    def _fetch(self) -> None:
        idle = 0
        for _ in range(RESUMES_MAX):
            before = self._written
            try:
                self._copy(before)
            except UpstreamUnavailable as error:
                is_fruitful = before == 0 or self._written - before >= PROGRESS_MIN_BYTES
                idle = 0 if is_fruitful else idle + 1
                if self._written == 0 or idle > self.request.resumes or not self._can_resume():
                    self.request.note_failure(error)
                    raise
                _log.info("%s Resuming %s at %d.", error, self.request.title, self._written)
                self._sleep(BACKOFF_S * 2**idle)
            else:
                return
        raise UpstreamUnavailable(
            f"The remote repeatedly closed the connection while sending {self.request.title}."
        )

    def _can_resume(self) -> bool:
        """Return whether it can be told that the rest belongs to what is here."""
        return bool(self.request.digests) or is_strong(self.headers.get("ETag"))

    def _copy(self, start: int) -> None:
        body = self.request.open(start)
        try:
            skip = self._begin(body, start)
            rate = _RateCheck(self.request.title)
            while data := body.read():
                rate.check(len(data))
                self._write(data[skip:])
                skip = max(0, skip - len(data))
        finally:
            body.close()
        if self._size is not None and self._written < self._size:
            raise UpstreamUnavailable(
                f"The remote closed the connection while sending {self.request.title}."
            )
        if self._size is None:
            self._size = self._written

    def _begin(self, body: Body, start: int) -> int:
        """Take over what the header says; return how many bytes of the body we have already."""
        etag = body.headers.get("ETag")
        skip, size = 0, body.length
        # Some send the whole as a part, without saying which, although no part was asked for.
        if body.status == HTTPStatus.PARTIAL_CONTENT and (start or "Content-Range" in body.headers):
            found = _CONTENT_RANGE.fullmatch(body.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != start:
                raise UpstreamUnavailable(
                    f"The remote sent a different range of {self.request.title} than requested."
                )
            size = None if found[3] == "*" else int(found[3])
        else:
            skip = start
        known = self.request.size if self._size is None else self._size
        is_other = _differ(size, known) or _differ(etag, self.headers.get("ETag"))
        if start and (is_other or not (self.request.digests or is_strong(etag))):
            raise UpstreamUnavailable(
                f"{self.request.title} changed on the remote while it was being fetched."
            )
        if not start:
            self.headers = body.headers
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
        self._upload.check_room(self._expected())

    def _write(self, data: bytes) -> None:
        if self._size is not None and self._written + len(data) > self._size:
            raise UpstreamUnavailable(
                f"The remote sent more bytes of {self.request.title} than announced."
            )
        if self._overflow is None:
            data = self._write_to_disk(data)
        if self._overflow is not None:
            self._put(self._overflow, data)
        self._publish()

    def _write_to_disk(self, data: bytes) -> bytes:
        """Return what the disk did not take."""
        before = self._upload.size
        try:
            self._upload.write(data)
        except STORAGE_ERRORS as error:
            _log.warning("%s is not cached: %s", self.request.title, error)
            self.request.note_failure(error)
            self._on_end()  # anybody who comes now is served otherwise
            self._overflow = OverflowWindow(self.fd, self._upload.size, self.request.digests)
        taken = self._upload.size - before
        self._written += taken
        return data[taken:]

    def _put(self, overflow: OverflowWindow, data: bytes) -> None:
        """Pass bytes on in memory, no faster than the slowest reader takes them."""
        with self._changed:
            before = self._slowest()
            while not self._changed.wait_for(lambda: self._has_room(overflow), OVERFLOW_TIMEOUT_S):
                before = self._hurry(before)
            overflow.put(data)
            self._written += len(data)

    def _hurry(self, before: int) -> int:
        """Leave the slowest readers behind if they have got nowhere; return where they are now."""
        slowest = self._slowest()
        if slowest - before < PROGRESS_MIN_BYTES:
            self._readers = {each for each in self._readers if each.position > slowest}
            if not self._readers:
                raise StorageFull("The disk is full, and no client reads the download.")
        return self._slowest()

    def _has_room(self, overflow: OverflowWindow) -> bool:
        overflow.drop(self._slowest())
        return overflow.has_room

    def _slowest(self) -> int:
        return min((each.position for each in self._readers), default=0)

    def _verify(self) -> None:
        hashed = self._overflow or self._upload
        for algorithm, digest in self.request.digests.items():
            found = hashed.hexdigest(algorithm)
            if found != digest:
                _log.error(
                    "SECURITY: %s was received with the digest %s.", self.request.title, found
                )
                raise UpstreamUnavailable(
                    f"The remote sent content that does not match the digest of "
                    f"{self.request.title}."
                )

    def _keep(self) -> None:
        try:
            self.request.keep(self._upload.commit())
        except RepomanError as error:  # the bytes were right: whoever waits for them has them
            _log.warning("%s was fetched, but could not be cached: %s", self.request.title, error)

    def _fail(self, error: Exception) -> None:
        if self._is_complete:
            _log.error(
                "%s was fetched, but could not be cached", self.request.title, exc_info=error
            )
            return
        if isinstance(error, STORAGE_ERRORS):
            _log.warning("%s is not cached: %s", self.request.title, error)
            self.request.note_failure(error)
        elif not isinstance(error, RepomanError):
            _log.error("The download of %s failed", self.request.title, exc_info=error)
            error = UpstreamUnavailable(f"The download of {self.request.title} failed.")
        self._publish(error=error)

    def _publish(self, *, is_complete: bool = False, error: Exception | None = None) -> None:
        with self._changed:
            self._is_complete = is_complete
            self._error = error
            self._changed.notify_all()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()


def is_strong(etag: str | None) -> bool:
    """Return whether an ETag stands for exactly the same bytes (RFC 9110, 8.8.1)."""
    return etag is not None and etag.startswith('"')


def _differ(one: object, other: object) -> bool:
    """Return whether two things that a remote may or may not say are not the same."""
    return None not in (one, other) and one != other


class _RateCheck:
    """Ensures that a body arrives at a minimum rate, so that no remote can hold a fetch forever."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = time.monotonic()
        self._size = 0

    def check(self, size: int) -> None:
        """Count bytes that came.

        Raises:
            UpstreamTimeout: it is sent too slowly.
        """
        self._size += size
        if time.monotonic() - self._begun >= PROGRESS_INTERVAL_S:
            if self._size < PROGRESS_MIN_BYTES:
                raise UpstreamTimeout(f"The remote sends {self._title} too slowly.")
            self._begun, self._size = time.monotonic(), 0
