"""A download as one client reads it: a growing file."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from repoman.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from repoman.proxy.download import Download

PIECE = 1 << 18  # bytes that are read at a time


class DownloadReader:
    """The bytes of a download for one client; see :class:`repoman.http.growing.GrowingFile`.

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
                data = os.pread(self.fileno(), min(PIECE, data), position)
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
