"""A request: waitress' parser for the header, made stricter, and our own way of taking the body."""

import io
import re
from pathlib import Path

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

from repoman.http.body import ADMISSION, BodyWanted, Environ
from repoman.server.framing import ChunkedFraming, FixedFraming, Framing
from repoman.server.request_body import Body, BufferStore, NullStore, SinkStore, Store
from repoman.server.transport import BULK_SIZE

SWALLOW_LIMIT = 1 << 16  # a refused body up to this size is read away to keep the connection

_CODINGS = re.compile(rb"\ntransfer-encoding:([^\r\n]*)", re.IGNORECASE)


class Request(HTTPRequestParser):
    """One request of a connection, from its first byte to the end of its response.

    Attributes:
        raw: the header as it came, from its first letter to the empty line.
        body: the body on its way, once the application has asked for it.
    """

    raw = b""
    command = ""  # known also when the header could not be parsed
    path = ""
    body: Body | None = None
    is_discarded = False  # answered already; only its body has to be read away
    _has_sink = False

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the header block.

        Raises:
            ParsingError: it is not valid, or others could interpret it in another way.
        """
        self.raw = header_plus
        _check_folding(header_plus)
        _check_codings(header_plus)
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of urlsplit, for an address such as http://[
            raise ParsingError("Bad URI") from error
        self._check_framing()
        self._check_host()

    @property
    def has_body(self) -> bool:
        """Whether at least one byte of a body, or a first chunk, follows the header."""
        return self.body_rcv is not None

    @property
    def awaits_admission(self) -> bool:
        """Whether the application has yet to say if it wants the body."""
        return self.has_body and self.body is None

    @property
    def is_unread(self) -> bool:
        """Whether bytes of the body are still to come on the connection."""
        if self.body is None:
            return self.has_body
        return not self.body.is_complete

    @property
    def is_bulky(self) -> bool:
        """Whether a bulk loop has to receive the body: a sink may have to wait for a disk."""
        if self.body is None or self.is_discarded:
            return False
        return self._has_sink or self.chunked or self.content_length >= BULK_SIZE

    @property
    def is_swallowable(self) -> bool:
        """Whether a refused body is small enough, with a known size, to read and discard it."""
        return (
            self.body is None
            and not self.chunked
            and not self.expect_continue
            and self.content_length <= SWALLOW_LIMIT
        )

    def admit(self, wanted: BodyWanted, spool: Path, buffer_limit: int) -> Body:
        """Prepare to receive the body to where the application wants it.

        ``buffer_limit`` is the server's own, which the application cannot raise.
        """
        if wanted.sink is not None:
            self._has_sink = True
            return self._receive_into(SinkStore(wanted.sink))
        return self._receive_into(BufferStore(min(wanted.limit, buffer_limit), spool))

    def discard(self) -> None:
        """Prepare to read and discard the refused body."""
        self.is_discarded = True
        self._receive_into(NullStore())

    def end_body(self) -> None:
        """Note how the body ended, for the second call of the application or the error response."""
        if self.body is None:
            return
        if self.body.malformed:
            self.error = BadRequest(self.body.malformed)
        elif self.chunked:
            self.headers["CONTENT_LENGTH"] = str(self.body.size)

    def describe_body(self, environ: Environ) -> None:
        """Tell the application where its body is, or that it has not been read yet."""
        if self.body is not None:
            self.body.describe(environ)
        elif self.has_body:
            environ[ADMISSION] = True

    def get_body_stream(self) -> io.BytesIO:
        """Return what waitress puts under ``wsgi.input``; :meth:`describe_body` replaces it."""
        return io.BytesIO()

    def close(self) -> None:
        """Let go of the body. Safe to call again; never on a loop."""
        if self.body is not None:
            self.body.close()

    def _receive_into(self, store: Store) -> Body:
        framing: Framing = ChunkedFraming() if self.chunked else FixedFraming(self.content_length)
        self.body = Body(framing, store)
        return self.body

    def _check_framing(self) -> None:
        """Refuse what two servers in a row could understand in two ways (RFC 9112, section 6)."""
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("Only HTTP/1.0 and HTTP/1.1 are supported")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Both Content-Length and Transfer-Encoding were sent")
        if "TRANSFER_ENCODING" in self.headers:  # waitress removes it for HTTP/1.1 only
            raise ParsingError("Transfer-Encoding is not part of HTTP/1.0")

    def _check_host(self) -> None:
        host = self.headers.get("HOST")
        if (host is None and self.version == "1.1") or (host is not None and "," in host):
            raise ParsingError("Exactly one Host header is required")


def _check_folding(header_plus: bytes) -> None:
    if b"\n " in header_plus or b"\n\t" in header_plus:
        raise ParsingError("Folded header lines are not allowed")


def _check_codings(header_plus: bytes) -> None:
    codings = _CODINGS.findall(header_plus)
    # waitress takes one of them off, and would leave the other one in the body.
    if sum(each.lower().count(b"chunked") for each in codings) > 1:
        raise ParsingError("Transfer-Encoding lists chunked twice")
    if not all(each.strip(b" \t,") for each in codings):  # waitress goes by Content-Length then
        raise ParsingError("Transfer-Encoding is empty")
