"""A request's body on its way: where it ends, and what takes it.

A framing takes what was received, hands the bytes of the body on and says how much it used; what
is left belongs to the next request. It works on views of the receive buffer, so that no byte of an
upload is copied on the way. It is stricter than it would have to be, because two parties that
disagree about where a body ends can be made to disagree about whose request comes next.

The bytes go to a store: a sink of the application, or a bounded buffer.
"""

import io
import logging
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from waitress.buffers import FileBasedBuffer, OverflowableBuffer
from waitress.rfc7230 import CHUNK_EXT_RE

from repoman.durable import FULL
from repoman.errors import RepomanError, StorageFull, TooLarge, Unavailable
from repoman.http.body import BODY_ERROR, RECEIVED, BodySink, Environ

log = logging.getLogger(__name__)

Write = Callable[[memoryview], object]

# A line with the size of a chunk, together with its extensions, may be this long.
CHUNK_LINE_MAX_BYTES = 4096

# All trailer fields of a body together may be this long.
TRAILERS_MAX_BYTES = 16384

# This much of a buffered body is kept in memory, before a temporary file takes all of it.
MEMORY_MAX_BYTES = 1 << 19

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[^\r\n]*)?")
_PLAIN_SIZE_LINE = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n")
_TRAILER_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\x00]*")


class Malformed(Exception):
    """The body is not framed as HTTP says. ``str(error)`` says what is wrong."""


class Framing(Protocol):
    """Tells a body's bytes from what surrounds them.

    Attributes:
        is_complete: the end of the body has been seen.
    """

    is_complete: bool

    def feed(self, data: memoryview, write: Write) -> int:
        """Hand the body's bytes in ``data`` to ``write``; return how many bytes were used.

        Raises:
            Malformed: the framing is wrong; nothing on the connection can be trusted any more.
        """


class FixedFraming:
    """A body of known length, in bytes."""

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.is_complete = length == 0

    def feed(self, data: memoryview, write: Write) -> int:
        """See :class:`Framing`."""
        used = min(self.remaining, len(data))
        self.remaining -= used
        self.is_complete = self.remaining == 0
        if used:
            write(data[:used])
        return used


class ChunkedFraming:
    """A body in chunks (RFC 9112, section 7.1); extensions and trailers are checked and dropped."""

    def __init__(self) -> None:
        self.is_complete = False
        self._remaining = 0  # of the present chunk
        self._line = bytearray()  # what came of an unfinished line
        self._is_after_chunk = False  # the line end that closes a chunk is still to come
        self._on_line: Callable[[bytes], None] = self._on_size
        self._trailer_size = 0

    def feed(self, data: memoryview, write: Write) -> int:
        """See :class:`Framing`."""
        position = 0
        while position < len(data) and not self.is_complete:
            if self._remaining:
                piece = data[position : position + self._remaining]
                self._remaining -= len(piece)
                position += len(piece)
                write(piece)
            else:
                position = self._next_line(data, position)
        return position

    def _next_line(self, data: memoryview, position: int) -> int:
        if self._is_after_chunk and not self._line:
            usual = _PLAIN_SIZE_LINE.match(data, position)
            if usual:  # one match instead of two lines, for each chunk of a large upload
                self._begin_chunk(int(usual[1], 16))
                return usual.end()
        return self._read_line(data, position)

    def _read_line(self, data: memoryview, position: int) -> int:
        known = len(self._line)
        self._line += data[position : position + CHUNK_LINE_MAX_BYTES + 2 - known]
        if self._is_after_chunk and bytes(self._line[:2]) not in (b"\r", b"\r\n"):
            raise Malformed("Chunk not properly terminated")
        end = self._line.find(b"\r\n", max(0, known - 1))
        if end < 0:
            if len(self._line) >= CHUNK_LINE_MAX_BYTES + 2:
                raise Malformed("A line of the chunked body is too long")
            return position + len(self._line) - known
        line = bytes(self._line[:end])
        self._line.clear()
        self._on_line(line)
        return position + end + 2 - known

    def _on_size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise Malformed("Invalid chunk size")
        if match[2] and not CHUNK_EXT_RE.fullmatch(match[2]):
            raise Malformed("Invalid chunk extension")
        self._begin_chunk(int(match[1], 16))

    def _begin_chunk(self, size: int) -> None:
        self._remaining = size
        self._is_after_chunk = size > 0
        self._on_line = self._on_chunk_end if size else self._on_trailer

    def _on_chunk_end(self, _line: bytes) -> None:
        self._is_after_chunk = False
        self._on_line = self._on_size

    def _on_trailer(self, line: bytes) -> None:
        if not line:
            self.is_complete = True
            return
        self._trailer_size += len(line)
        if self._trailer_size > TRAILERS_MAX_BYTES or not _TRAILER_FIELD.fullmatch(line):
            raise Malformed("Invalid trailer")


class Store:
    """Where the bytes of a body go; this one forgets them: the rest of a refused body."""

    def write(self, data: memoryview) -> object:
        """Take the next bytes; the view is only valid during the call."""

    def describe(self, environ: Environ) -> None:
        """Tell the application where its body is."""

    def release(self) -> None:
        """The application has taken what there is: :meth:`close` is its business now."""

    def close(self) -> None:
        """Release all resources; safe to call again. May be slow: never call it on a loop."""


class SinkStore(Store):
    """Writes straight into the sink that the application opened."""

    def __init__(self, sink: BodySink) -> None:
        self._sink = sink
        self._is_open = True

    def write(self, data: memoryview) -> None:
        """See :class:`Store`."""
        self._sink.write(data)

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


class BufferStore(Store):
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
        super().__init__(MEMORY_MAX_BYTES)
        self._spool = spool

    def _set_large_buffer(self) -> None:
        earlier = self.buf
        self.buf = _open_spool_file(self._spool, earlier)
        if earlier is not None:
            earlier.close()
        self.overflowed = True


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
