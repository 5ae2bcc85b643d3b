"""Where a request's body ends: by Content-Length or by chunks.

A framing takes what was received, hands the bytes of the body on and says how much it used; what
is left belongs to the next request. It works on views of the receive buffer, so that no byte of an
upload is copied on the way. It is stricter than it would have to be, because two parties that
disagree about where a body ends can be made to disagree about whose request comes next.
"""

import re
from collections.abc import Callable
from typing import Protocol

from waitress.rfc7230 import CHUNK_EXT_RE

Write = Callable[[memoryview], object]

LINE_LIMIT = 4096  # bytes of a chunk's size line, with its extensions
TRAILER_LIMIT = 16384  # bytes of all trailer fields together

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
        self._line += data[position : position + LINE_LIMIT + 2 - known]
        if self._is_after_chunk and bytes(self._line[:2]) not in (b"\r", b"\r\n"):
            raise Malformed("Chunk not properly terminated")
        end = self._line.find(b"\r\n", max(0, known - 1))
        if end < 0:
            if len(self._line) >= LINE_LIMIT + 2:
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
        if self._trailer_size > TRAILER_LIMIT or not _TRAILER_FIELD.fullmatch(line):
            raise Malformed("Invalid trailer")
