"""A request's body on its way into a sink of the application or into a bounded buffer."""

import io
import logging
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from waitress.buffers import FileBasedBuffer, OverflowableBuffer

from repoman.errors import RepomanError, StorageFull, TooLarge, Unavailable
from repoman.files import FULL
from repoman.http.body import BODY_ERROR, RECEIVED, BodySink, Environ
from repoman.server.framing import Framing, Malformed

log = logging.getLogger(__name__)

MEMORY_LIMIT = 1 << 19  # bytes of a buffered body that are kept out of a temporary file


class Store(Protocol):
    """Where the bytes of a body go."""

    def write(self, data: memoryview) -> object:
        """Take the next bytes; the view is only valid during the call."""

    def describe(self, environ: Environ) -> None:
        """Tell the application where its body is."""

    def release(self) -> None:
        """The application has taken what there is: :meth:`close` is its business now."""

    def close(self) -> None:
        """Release all resources; safe to call again. May be slow: never call it on a loop."""


class SinkStore:
    """Writes straight into the sink that the application opened."""

    def __init__(self, sink: BodySink) -> None:
        self._sink = sink
        self._is_open = True
        self.write: Callable[[memoryview], object] = sink.write

    def describe(self, environ: Environ) -> None:
        """See :class:`Store`."""
        environ["wsgi.input"] = io.BytesIO()
        environ[RECEIVED] = self._sink

    def release(self) -> None:
        """See :class:`Store`."""
        self._is_open = False

    def close(self) -> None:
        """See :class:`Store`."""
        if self._is_open:
            self._is_open = False
            try:
                self._sink.close()
            except Exception:
                log.exception("A body sink failed to close")


class BufferStore:
    """Keeps at most ``limit`` bytes, in memory or in an unnamed file in the directory ``spool``."""

    def __init__(self, limit: int, spool: Path) -> None:
        self._limit = limit
        self._size = 0
        self._spool = spool
        self._buffer = _SpoolingBuffer(spool)

    def write(self, data: memoryview) -> None:
        """See :class:`Store`."""
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge(f"The request body is larger than the limit of {self._limit} bytes.")
        try:
            self._buffer.append(bytes(data))
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull("Not enough disk space to receive the request body.") from error
            log.warning("The directory %s cannot be used: %s", self._spool, error)
            raise Unavailable("The server could not store the request body.") from error

    def describe(self, environ: Environ) -> None:
        """See :class:`Store`."""
        file: BinaryIO = self._buffer.getfile()
        environ["wsgi.input"] = file

    def release(self) -> None:
        """See :class:`Store`."""

    def close(self) -> None:
        """See :class:`Store`."""
        with suppress(OSError):  # on a full disk, of what could not be written and nobody wants
            self._buffer.close()


def _open_spool_file(spool: Path, earlier: object) -> FileBasedBuffer:
    """Return waitress' buffer in our directory: the system's may be small or in memory."""
    file = tempfile.TemporaryFile("w+b", dir=spool)  # noqa: SIM115 - the buffer keeps it
    try:
        return FileBasedBuffer(file, earlier)
    except OSError:
        with suppress(OSError):
            file.close()
        raise


class _SpoolingBuffer(OverflowableBuffer):
    buf: Any

    def __init__(self, spool: Path) -> None:
        super().__init__(MEMORY_LIMIT)
        self._spool = spool

    def _set_large_buffer(self) -> None:
        earlier = self.buf
        self.buf = _open_spool_file(self._spool, earlier)
        if earlier is not None:
            earlier.close()
        self.overflowed = True


class NullStore:
    """Forgets the rest of a refused body."""

    def write(self, data: memoryview) -> None:
        """See :class:`Store`."""

    def describe(self, environ: Environ) -> None:
        """See :class:`Store`."""

    def release(self) -> None:
        """See :class:`Store`."""

    def close(self) -> None:
        """See :class:`Store`."""


class Body:
    """The body of one request: its framing, its store, and how it ended.

    Used by one thread at a time: the loop that receives, then a worker.

    Attributes:
        size: bytes of the body received so far.
        error: why the store took no more; the application renders it.
        malformed: what is wrong with the framing; the application never sees such a request.
    """

    def __init__(self, framing: Framing, store: Store) -> None:
        self._framing = framing
        self._store = store
        self.size = 0
        self.error: RepomanError | None = None
        self.malformed: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the last byte has arrived, so that the connection can continue."""
        return self._framing.is_complete and not (self.error or self.malformed)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be received, for whatever reason."""
        return self._framing.is_complete or bool(self.error or self.malformed)

    def feed(self, data: memoryview) -> int:
        """Take the next bytes from the connection; return how many of them belonged to the body."""
        try:
            return self._framing.feed(data, self._write)
        except RepomanError as error:
            self.error = error
        except Malformed as problem:
            self.malformed = str(problem)
        except Exception:
            log.exception("A request body could not be stored")
            self.error = Unavailable("The server could not store the request body.")
        return len(data)

    def cut(self) -> None:
        """The client has ended the connection in the middle of the body."""
        self.malformed = "The body ended early"

    def describe(self, environ: Environ) -> None:
        """Tell the application where its body is, and what went wrong with it."""
        self._store.describe(environ)
        if self.error is not None:
            environ[BODY_ERROR] = self.error

    def release(self) -> None:
        """The application has taken the sink."""
        self._store.release()

    def close(self) -> None:
        """Let go of the store, unless it was released. Safe to call again; never on a loop."""
        self._store.close()

    def _write(self, data: memoryview) -> None:
        self._store.write(data)
        self.size += len(data)
