"""Bodies that are not there yet when they are sent: what a service may return for ``Content.open``.

A :class:`Stream` gives pieces as they come; a worker sends them. Of a :class:`GrowingFile` a server
can also ask what is ready, so that it can send it without a worker.
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
            Exception: they cannot be read; the client's connection has to be closed.
        """

    def close(self) -> None:
        """Let go of everything; safe to call again."""


@runtime_checkable
class GrowingFile(Stream, Protocol):
    """A file that somebody is writing."""

    def fileno(self) -> int:
        """Return its descriptor; to be read by position only."""

    def ready(self, position: int) -> int | bytes:
        """Return what may be sent now from ``position`` on. Must not wait; any thread.

        That is so many bytes of the file; or these, which are not in it. Who asks does not need
        what is before any more.

        Raises:
            Exception: no more will come; the client's connection has to break.
        """

    def subscribe(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called, from any thread, when more is ready; until closed."""
