"""What arrives on a connection: requests, one at a time, and their bodies.

:class:`Request` parses plain headers itself and leaves all others to waitress. It is stricter than
waitress about both, and receives bodies in its own way.
"""

import re
import time
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

from repoman.http.body import BodyWanted
from repoman.server.loop import Loop
from repoman.server.request_body import (
    Body,
    BufferStore,
    ChunkedFraming,
    FixedFraming,
    Framing,
    SinkStore,
    Store,
)
from repoman.server.transport import BULK_MIN_BYTES, ProgressTimer, Transport

# A refused body up to this size is read away to keep the connection.
DISCARD_MAX_BYTES = 1 << 16

# So many requests of one connection are taken in a turn, so that a pipeline of small ones starves
# nobody.
REQUESTS_PER_TURN = 16

LENGTH_MAX_DIGITS = 18  # A longer Content-Length is left to waitress; these fit 64 bits.

_CODINGS = re.compile(rb"\ntransfer-encoding:([^\r\n]*)", re.IGNORECASE)
# A header without unusual syntax: path and query are what they seem to be, and each value begins
# and ends with something visible and has single blanks.
_PLAIN_HEADER = re.compile(
    r"(?P<method>[A-Z]++) "
    r"(?P<address>(?P<path>/(?!/)[\w/:.~@+,=-]*+)(?:\?(?P<query>[\w/:.~@+,=%&-]*+))?) HTTP/1\.1\r\n"
    r"(?P<fields>(?:[A-Za-z0-9-]{1,64}+: ?[!-~]++(?: [!-~]++)*+\r\n)++)\r\n",
    re.ASCII,
)
_PLAIN_FIELD = re.compile(r"([A-Za-z0-9-]+): ?([^\r]+)\r\n")
# waitress takes quadratic time for a start line with a word too many.
_START = re.compile(rb"[^ \r\n]++ [^ \r\n]++(?: HTTP/\d\.\d)? *+\r\n")
# No header has so many blanks in a row, which waitress and Werkzeug take quadratic time for: before
# the value of a field, in a cookie, in a list of media types.
_BLANKS = b" " * 64
_HEADER_END = b"\r\n\r\n"
_TLS_HANDSHAKE = 0x16  # The first byte of a TLS connection.
_REQUEST_STARTS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TO_COME = object()  # Stands for waitress' receiver of a body, which is not used.


class ReadConnection(Protocol):
    """What a reader asks of its connection.

    Attributes:
        adj: waitress' settings of the parser.
        loop: where the connection is at present.
        progress: since when the server waits for the client.
    """

    adj: Adjustments
    loop: Loop
    progress: ProgressTimer
    transport: Transport

    @property
    def is_receptive(self) -> bool:
        """Whether a further request may be taken from the connection."""

    def answer_at_once(self, raw: bytes) -> bytes | None:
        """Return the response to a header if it takes no parser and no worker."""

    def serve(self, request: "Request") -> None:
        """Have a worker run the application for a request."""

    def say(self, data: bytes) -> None:
        """Send bytes that are no response of a task."""

    def refuse(self, text: str) -> None:
        """Answer 400 to something that is not even a request, and close."""

    def wake(self) -> None:
        """Have the loop check again what to do next."""

    def handle_close(self) -> None:
        """Close the connection."""


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
        if self._take_plain(header_plus.decode("latin-1")):
            return
        _check_lines(header_plus)
        if _START.match(header_plus) is None:
            raise ParsingError("Start line is invalid")
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of urlsplit, for an address such as http://[
            raise ParsingError("Bad URI") from error
        self._check_fields()

    def _take_plain(self, header: str) -> bool:
        """Parse a plain header as waitress would, in a third of its time; False for any other one.

        Left to waitress are names that occur twice, a missing or ambiguous Host, and an unusual
        length or coding.
        """
        plain = _PLAIN_HEADER.fullmatch(header)
        if plain is None:
            return False
        method, address, path, query, fields = plain.groups(default="")
        found, headers = _PLAIN_FIELD.findall(fields), {}
        for name, value in found:  # A comprehension would be a call more for each request.
            headers[_key_of(name)] = value
        host = headers.get("HOST")
        if len(headers) < len(found) or host is None or "," in host:
            return False
        coding, length = headers.pop("TRANSFER_ENCODING", ""), headers.get("CONTENT_LENGTH", "0")
        is_framed = coding == "" or (coding == "chunked" and "CONTENT_LENGTH" not in headers)
        if not (is_framed and length.isdecimal() and len(length) <= LENGTH_MAX_DIGITS):
            return False
        self.headers, self.command, self.version = headers, method, "1.1"
        self.request_uri, self.path, self.query = address, path, query
        self.url_scheme = self.adj.url_scheme
        self.expect_continue = headers.get("EXPECT", "").lower() == "100-continue"
        self.chunked, self.content_length = bool(coding), int(length)
        if self.chunked or self.content_length > 0:
            self.body_rcv = _TO_COME
        return True

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
        body = self.body
        return self.body_rcv is not None if body is None else not body.is_complete

    @property
    def is_bulky(self) -> bool:
        """Whether a bulk loop has to receive the body: a sink may have to wait for a disk."""
        if self.body is None or self.is_discarded:
            return False
        return self._has_sink or self.chunked or self.content_length >= BULK_MIN_BYTES

    @property
    def is_swallowable(self) -> bool:
        """Whether a refused body is small enough, with a known size, to read and discard it."""
        return (
            self.body is None
            and not self.chunked
            and not self.expect_continue
            and self.content_length <= DISCARD_MAX_BYTES
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
        self._receive_into(Store())

    def end_body(self) -> None:
        """Note how the body ended, for the second call of the application or the error response."""
        if self.body is None:
            return
        if self.body.malformed:
            self.error = BadRequest(self.body.malformed)
        elif self.chunked:
            self.headers["CONTENT_LENGTH"] = str(self.body.size)

    def close(self) -> None:
        """Let go of the body. Safe to call again; never on a loop."""
        if self.body is not None:
            self.body.close()

    def _receive_into(self, store: Store) -> Body:
        framing: Framing = ChunkedFraming() if self.chunked else FixedFraming(self.content_length)
        self.body = Body(framing, store)
        return self.body

    def _check_fields(self) -> None:
        """Refuse what two servers in a row could understand in two ways (RFC 9112, section 6)."""
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("Only HTTP/1.0 and HTTP/1.1 are supported")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Both Content-Length and Transfer-Encoding were sent")
        if "TRANSFER_ENCODING" in self.headers:  # waitress removes it for HTTP/1.1 only
            raise ParsingError("Transfer-Encoding is not part of HTTP/1.0")
        host = self.headers.get("HOST")
        if (host is None and self.version == "1.1") or (host is not None and "," in host):
            raise ParsingError("Exactly one Host header is required")


@lru_cache(maxsize=256)
def _key_of(name: str) -> str:
    """Return the key of a field, as CGI has it."""
    return name.upper().replace("-", "_")


def _check_lines(header_plus: bytes) -> None:
    if _BLANKS in header_plus.replace(b"\t", b" "):
        raise ParsingError("Too many blanks in a row")
    if b"\n " in header_plus or b"\n\t" in header_plus:
        raise ParsingError("Folded header lines are not allowed")
    codings = _CODINGS.findall(header_plus)
    if not codings:
        return
    # waitress takes one of them off, and would leave the other one in the body.
    if sum(each.lower().count(b"chunked") for each in codings) > 1:
        raise ParsingError("Transfer-Encoding lists chunked twice")
    if not all(each.strip(b" \t,") for each in codings):  # waitress goes by Content-Length then
        raise ParsingError("Transfer-Encoding is empty")


class RequestReader:
    """The receiving half of a connection.

    Belongs to the loop's thread, and to the worker while the connection serves a request. Only one
    request is parsed at a time: the next one, already received, waits in ``held``, because it may
    have a body that needs admission first.

    Attributes:
        request: the request that is being received, header or body.
        held: bytes that belong to a later request, or to the body of the one that is served.
        started: when its first byte came, or was looked at, monotonic seconds.
    """

    def __init__(self, connection: ReadConnection) -> None:
        self._connection = connection
        self.request: Request | None = None
        self.held = b""
        self.started = 0.0

    @property
    def is_bulky(self) -> bool:
        """Whether receiving should not be the main loop's task."""
        request = self.request
        return request is not None and request.is_bulky

    def read(self) -> None:
        """Read once from the connection, on the loop."""
        if self.held:  # a call to go on with this is under way
            return
        connection = self._connection
        buffer = connection.loop.buffer
        count = connection.transport.receive(buffer)
        if count is None:
            return
        request = self.request
        if request is not None and request.body is not None:
            connection.progress.note_bytes(count)
            self._read_body(request, buffer[:count])
            if request.is_discarded:
                connection.wake()
        elif count == 0:
            connection.handle_close()
        else:
            connection.progress.restart()
            self.held = bytes(buffer[:count])
            self.resume()

    def resume(self) -> None:
        """Take what is held as far as possible in this turn, on the main loop."""
        for _ in range(REQUESTS_PER_TURN):
            if not (self.held and self._connection.is_receptive):
                return
            if self.request is not None and self.request.body is not None:
                self._read_body(self.request, memoryview(self.held))
            else:
                self._parse(self.held)
        if self.held:
            self._connection.wake()

    def begin_body(self, request: Request, body: Body) -> None:
        """Take what of the body came with the header; for the worker that asked for admission."""
        if self.held:
            used = body.feed(memoryview(self.held))
            self.held = self.held[used:]
        if body.is_over:
            request.end_body()

    def await_body(self, request: Request) -> None:
        """Receive the rest of the body, on the main loop."""
        self._connection.progress.restart()
        self.request = request
        if request.expect_continue and request.body is not None and request.body.size == 0:
            self._connection.say(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take(self) -> Request | None:
        """Return the request that is being received, whose reader is no longer needed."""
        request, self.request = self.request, None
        return request

    def _parse(self, data: bytes) -> None:
        if self.request is None:
            self.held = data = data.lstrip(b"\r\n")  # which some clients send after a body
            if not data:
                return
            if data[0] not in _REQUEST_STARTS:
                self._refuse(data[0])
                return
            if self._answer_fast(data):
                return
            self.request = Request(self._connection.adj)
            self.started = time.monotonic()
        request = self.request
        self.held = data[request.received(data) :]
        if request.completed or request.headers_finished:
            self.request = None
            self._connection.serve(request)  # the last step: now a worker owns what is held

    def _answer_fast(self, data: bytes) -> bool:
        """Answer the first request in the data if that takes no parser and no worker."""
        end = data.find(_HEADER_END) + len(_HEADER_END)
        if end < len(_HEADER_END):
            return False
        response = self._connection.answer_at_once(data[:end])
        if response is None:
            return False
        self.held = data[end:]
        self._connection.say(response)
        return True

    def _refuse(self, first: int) -> None:
        """Answer at once what is not HTTP: clients that try TLS first would wait for long."""
        text = "This is not HTTP."
        if first == _TLS_HANDSHAKE:
            text = "This port speaks plain HTTP, not HTTPS."
        self.held = b""
        self._connection.refuse(text)

    def _read_body(self, request: Request, data: memoryview) -> None:
        body = request.body
        assert body is not None  # noqa: S101
        if len(data) == 0:
            body.cut()
        used = body.feed(data)
        self.held = bytes(data[used:])
        if body.is_over:
            self.request = None
            if not request.is_discarded:
                request.end_body()
                self._connection.serve(request)
