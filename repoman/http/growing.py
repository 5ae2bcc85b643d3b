"""Bodies that are not there yet when they are sent: what a service may return for ``Content.open``.

A :class:`Stream` gives pieces as they come; a worker sends them. A :class:`GrowingFile` can also be
read by its descriptor up to a limit that moves, so that a server can send it without a worker.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

# environ: a server that can send growing files has here what makes a response body of a
# GrowingFile, the position of the first byte, and the number of bytes.
SEND_GROWING = "repoman.send_growing"


@runtime_checkable
class Stream(Protocol):
    """Bytes on their way."""

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        """Yield ``length`` bytes from ``start`` on, as they come.

        Raises:
            Exception: they will not come; the client's connection has to break.
        """

    def close(self) -> None:
        """Let go of everything; safe to call again."""


@runtime_checkable
class GrowingFile(Stream, Protocol):
    """A file that somebody is writing."""

    def fileno(self) -> int:
        """Return its descriptor; to be read by position only."""

    def limit(self) -> int:
        """Return how many bytes from the start may be sent now.

        Raises:
            Exception: no more will come; the client's connection has to break.
        """

    def subscribe(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called, from any thread, when the limit moves; until closed."""
