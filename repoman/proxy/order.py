"""What is to be fetched from a remote, and the way past the cache for what cannot be kept."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from repoman.blobs.store import StoredBlob
from repoman.errors import RepomanError, UpstreamUnavailable
from repoman.waiting import waiting


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
class Order:
    """What is to be fetched.

    Attributes:
        title: what it is, for the log.
        algorithm: of the digest.
        encoded: the digest, in hex.
        open: requests the content from a byte on (0: all of it); returns 200 or 206, or raises.
        keep: stores what was fetched; called once, before the download ends.
        note_failure: told when the remote failed in the middle for good, or the disk did.
        resumes: further tries that bring next to nothing.
        size: in bytes, for remotes that do not say it; None: not known.
        waiting: encloses a reader's wait for the remote to begin.
    """

    title: str
    algorithm: str
    encoded: str
    open: Callable[[int], Body]
    keep: Callable[[StoredBlob], object]
    note_failure: Callable[[RepomanError], object] = lambda _: None
    resumes: int = 2
    size: int | None = None
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext


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
