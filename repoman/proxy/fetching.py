"""What is fetched from a remote, once for all who ask for it: requests, threads, and their bounds.

:mod:`repoman.proxy.download` does the fetching.
"""

import hashlib
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, TypeVar

from repoman.blobs.store import StoredBlob
from repoman.errors import RepomanError, UpstreamUnavailable
from repoman.threads import Watch
from repoman.waiting import waiting

FETCHERS_MAX = 96  # Downloads that run at the same time, over all proxies.
FETCHERS_PER_OWNER = 32  # Downloads of one proxy that run at the same time.
FETCHER_IDLE_S = 10.0  # A fetcher thread without work ends after this time.
OVERFLOW_WINDOW_BYTES = 1 << 20  # Bytes that wait in memory for the slowest reader of a download.
PIECE_BYTES = 1 << 18  # Bytes that are read from a file at a time.

Value = TypeVar("Value")
Work = Callable[[], object]


class FetcherPool:
    """A bounded pool of threads that come when there is work and go when there is none.

    Each owner of work has a share of them, so that a slow remote leaves the others to everybody
    else. They are daemons: the end of the process does not wait for a remote.
    """

    def __init__(self, limit: int = FETCHERS_MAX, share: int = FETCHERS_PER_OWNER) -> None:
        self._limit = limit
        self._share = share
        self._changed = threading.Condition()
        self._work: dict[Hashable, deque[Work]] = {}  # the owner who was served last is the last
        self._running: Counter[Hashable] = Counter()
        self._count = 0
        self._idle = 0
        self._watch = Watch("fetcher")

    @property
    def problem(self) -> str:
        """Why the last work failed; empty if it did not."""
        return self._watch.problem

    def submit(self, owner: Hashable, work: Work) -> None:
        """Have ``work`` done soon; its errors are logged."""
        with self._changed:
            self._work.setdefault(owner, deque()).append(work)
            self._changed.notify()
            queued = sum(map(len, self._work.values()))
            if queued > self._idle and self._count < self._limit:
                threading.Thread(target=self._run, name="fetcher", daemon=True).start()
                self._count += 1

    def _run(self) -> None:
        while (found := self._wait()) is not None:
            owner, work = found
            self._watch.run(work)
            with self._changed:
                self._running[owner] -= 1
                self._running += Counter()  # drops who has none

    def _wait(self) -> tuple[Hashable, Work] | None:
        """Return the next work and its owner; None after a time without any."""
        with self._changed:
            while (found := self._take()) is None:
                self._idle += 1
                has_changed = self._changed.wait(FETCHER_IDLE_S)
                self._idle -= 1
                if not has_changed and not self._work:
                    self._count -= 1
                    return None
            return found

    def _take(self) -> tuple[Hashable, Work] | None:
        for owner, queue in self._work.items():
            if self._running[owner] < self._share:
                del self._work[owner]
                work = queue.popleft()
                if queue:
                    self._work[owner] = queue
                self._running[owner] += 1
                return owner, work
        return None


class Body(Protocol):
    """A remote's answer; :class:`repoman.proxy.response.UpstreamResponse` is one."""

    status: int
    headers: Mapping[str, str]

    @property
    def length(self) -> int | None:
        """Bytes of the body as announced, if they were."""

    def read(self) -> bytes:
        """Return the next bytes, none at the end (UpstreamUnavailable)."""

    def close(self) -> None:
        """Let go of the connection."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What is to be fetched.

    Attributes:
        title: what it is, for the log.
        digests: what it has to hash to, in hex, by algorithm. If they are not known, the length
            or the end of the body tells that it is whole, and a fetch that broke off goes on only
            where the remote's ETag proves that the rest belongs to the beginning.
        open: requests the content from a byte on (0: all of it); returns 200 or 206, or raises.
        keep: stores what was fetched; called once, before the download ends.
        note_failure: told when the remote failed in the middle for good, or the disk did.
        resumes: further tries that bring next to nothing.
        size: in bytes, for remotes that do not say it; None: not known.
        waiting: encloses a reader's wait for the remote to begin.
        checksums: the algorithms of the checksums that the stored blob has besides.
    """

    title: str
    digests: Mapping[str, str]
    open: Callable[[int], Body]
    keep: Callable[[StoredBlob], object]
    note_failure: Callable[[RepomanError], object] = lambda _: None
    resumes: int = 2
    size: int | None = None
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    checksums: tuple[str, ...] = ()


class PassThrough:
    """A remote's content sent on as it comes; nothing is kept, and nothing verified."""

    def __init__(self, open_at: Callable[[int], Body]) -> None:
        self._open_at = open_at

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        """Yield ``length`` bytes from ``start`` on."""
        with waiting():
            yield from self._pieces(start, length)

    def _pieces(self, start: int, length: int) -> Iterator[bytes]:
        body = self._open_at(start)
        skip = 0 if body.status == HTTPStatus.PARTIAL_CONTENT else start
        try:
            while length and (data := body.read()):
                part = data[skip : skip + length]
                skip = max(0, skip - len(data))
                length -= len(part)
                if part:
                    yield part
        finally:
            body.close()
        if length:
            raise UpstreamUnavailable("The remote closed the connection.")

    def close(self) -> None:
        """Nothing is open before the first piece is asked for."""


class OverflowWindow:
    """Bytes from ``start`` on, as long as a reader may need them; not thread safe.

    Args:
        fd: the file with all bytes before ``start``; read by position only.
        algorithms: of the digests of all bytes, those of the file too.
    """

    def __init__(self, fd: int, start: int, algorithms: Iterable[str]) -> None:
        self.start = start
        self._first = start  # the position of the first byte that is still here
        self._data = bytearray()
        self._hashes = {each: hashlib.new(each) for each in algorithms}
        position = 0
        while data := os.pread(fd, min(PIECE_BYTES, start - position), position):
            self._update(data)
            position += len(data)

    @property
    def has_room(self) -> bool:
        """Whether more bytes may be put."""
        return len(self._data) < OVERFLOW_WINDOW_BYTES

    def put(self, data: bytes) -> None:
        """Append bytes."""
        self._update(data)
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
        stop = max(start, min(start + PIECE_BYTES, end - self._first))
        return bytes(self._data[start:stop])

    def hexdigest(self, algorithm: str) -> str:
        """Return a digest of all bytes, in hex."""
        return self._hashes[algorithm].hexdigest()

    def _update(self, data: bytes) -> None:
        for each in self._hashes.values():
            each.update(data)
