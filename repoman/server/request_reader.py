"""What arrives on a connection: requests, one at a time, and their bodies."""

import logging
from typing import TYPE_CHECKING

from repoman.http.body import BodyWanted
from repoman.server.parser import Request
from repoman.server.response_cache import find_fast_answer

if TYPE_CHECKING:
    from repoman.server.connection import Connection

log = logging.getLogger("repoman.server")

_HEADER_END = b"\r\n\r\n"
_TLS_HANDSHAKE = 0x16  # first byte of a TLS connection
_REQUEST_STARTS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")

REQUESTS_PER_TURN = 16  # of one connection, so that a pipeline of small ones starves nobody


class RequestReader:
    """The receiving half of a connection.

    Belongs to the loop's thread, and to the worker while the connection serves a request. Only one
    request is parsed at a time: the next one, already received, waits in ``held``, because it may
    have a body that needs admission first.

    Attributes:
        request: the request that is being received, header or body.
        held: bytes that belong to a later request, or to the body of the one that is served.
        started: when the first byte of the request came, monotonic seconds.
    """

    def __init__(self, connection: "Connection") -> None:
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
            connection.progress.move(count)
            self._read_body(request, buffer[:count])
            if request.is_discarded:
                self.resume()
        elif count == 0:
            connection.handle_close()
        else:
            connection.progress.begin()
            if request is None:
                self.started = connection.progress.since
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

    def begin_body(self, request: Request, wanted: BodyWanted) -> None:
        """Receive the body to where the application wants it, first what came with the header.

        Called by the worker that asked for admission.
        """
        host = self._connection.host
        body = request.admit(wanted, host.spool, host.settings.body_buffer_limit)
        if self.held:
            used = body.feed(memoryview(self.held))
            self.held = self.held[used:]
        if body.is_over:
            request.end_body()

    def await_body(self, request: Request) -> None:
        """Receive the rest of the body, on the main loop."""
        self._connection.progress.begin()
        self.request = request
        if request.expect_continue and request.body is not None and request.body.size == 0:
            self._connection.say(b"HTTP/1.1 100 Continue\r\n\r\n")

    def close(self) -> None:
        """Let go of the request that is being received; the connection has been closed."""
        request, self.request = self.request, None
        if request is not None:
            self._connection.host.submit(request.close)

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
        request = self.request
        self.held = data[request.received(data) :]
        if request.completed or request.headers_finished:
            self.request = None
            self._connection.serve(request)  # the last step: now a worker owns what is held

    def _answer_fast(self, data: bytes) -> bool:
        """Answer the first request in the data if that takes no parser and no worker."""
        answer = self._connection.host.fast
        end = data.find(_HEADER_END) + len(_HEADER_END)
        if answer is None or end < len(_HEADER_END):
            return False
        response = find_fast_answer(answer, self._connection, data[:end])
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
