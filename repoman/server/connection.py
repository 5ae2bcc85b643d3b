"""One connection: its life, its requests one after the other, its moves between loops."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected

from repoman.config import ServerSettings
from repoman.http.body import BodyWanted
from repoman.server.connection_policy import LingeringClose, Phase
from repoman.server.file_bodies import FileResponse
from repoman.server.loop import IN, OUT, Loop
from repoman.server.request_reader import Request, RequestReader
from repoman.server.request_runner import RequestRunner, Response
from repoman.server.response_cache import FastAnswer
from repoman.server.send_queue import SendQueue
from repoman.server.transport import ProgressTimer, SpokePlainHttp, Transport
from repoman.server.worker_pool import WorkerPool
from repoman.waiting import blocking

log = logging.getLogger("repoman.server")

_GONE = (ConnectionError, TimeoutError, ssl.SSLError)  # what a connection ends by

# A worker sends about so much of a file itself: most files of a few hundred kilobytes have left
# then, and need no bulk loop.
AT_ONCE_BYTES = 1 << 19

_SHUTDOWN = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Retry-After: 10\r\nContent-Length: 29\r\n\r\nThe server is shutting down.\n"
)


class ConnectionHost(Protocol):
    """What a connection needs of the server that it belongs to.

    Attributes:
        bulk: the bulk loops for the next large transfers; for the main loop.
        fast: answers requests that need no worker, if set.
        main: the loop that accepts, parses and transfers small messages.
        spool: the directory for large buffered bodies.
        workers: used on the main loop only.
    """

    application: WSGIApplication
    bulk: Iterator[Loop]
    fast: FastAnswer | None
    main: Loop
    settings: ServerSettings
    spool: Path
    workers: WorkerPool

    def submit(self, work: Callable[[], object]) -> None:
        """Have a worker do something; any thread."""


class ConnectionListener(Protocol):
    """What a connection needs of the listener that accepted it."""

    adj: Adjustments
    connector: str
    host: str
    port: int

    def forget(self, connection: "Connection") -> None:
        """Take note that a connection has closed; any thread."""


class Connection:
    """A connection of a listener, on the main loop or, during large transfers, on a bulk loop.

    The loop's thread owns it, with one exception: while ``serving`` is set, a worker runs a
    :class:`repoman.server.request_runner.RequestRunner` and the loop neither reads nor parses. The
    worker ends that by clearing ``serving`` as its last change.

    Attributes:
        listener: the one that accepted it.
        progress: since when the server waits for the client.
        draining: the connection closes after the present response.
        closing: nothing more is read; the connection closes when everything is sent.
        lingers: on closing, what the client still sends is read and discarded for a while.
        response: the one that a worker is at.
        worker: the thread that serves, once there is one.
        is_given_up: the client has its response; further output of the worker is discarded.
    """

    def __init__(
        self,
        host: ConnectionHost,
        listener: ConnectionListener,
        transport: Transport,
        accepted: socket.socket,
        addr: Any,
    ) -> None:
        self.host = host
        self.listener = listener
        self.adj: Adjustments = listener.adj
        self.addr = addr
        self.fd = accepted.fileno()
        self.transport = transport
        self.loop: Loop = host.main
        self.progress = ProgressTimer()
        self.opened = self.progress.since
        self.connected = True
        self.draining = False
        self.closing = False
        self.serving: Request | None = None
        self.linger: LingeringClose | None = None
        self.send_queue = SendQueue(transport, self.progress, host.submit)
        self.reader = RequestReader(self)
        self.response: Response | None = None
        self.lingers = False
        self.worker: threading.Thread | None = None
        self.is_given_up = False

    # What the loop asks.

    @property
    def is_receptive(self) -> bool:
        """Whether a further request may be taken from the connection."""
        return self.serving is None and not self.closing and not self.send_queue.items

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, as far as has been read."""
        return (
            self.is_receptive
            and self.reader.request is None
            and self.transport.is_ready
            and self.linger is None
        )

    def phase(self) -> tuple[Phase, float]:
        """Return what the connection is at, and since when, in monotonic seconds.

        Other threads than its loop's may be told what has just changed.
        """
        since = self.progress.since
        if not self.transport.is_ready:
            return Phase.HANDSHAKE, self.opened
        if self.linger is not None:
            return Phase.REFUSED, self.linger.since
        if self.send_queue.items:
            return Phase.RESPONSE if self.send_queue.is_sendable else Phase.PREPARING, since
        if self.serving is not None:
            return Phase.SERVING, since
        request = self.reader.request
        if request is None:
            return Phase.IDLE, since
        if not request.headers_finished:
            return Phase.HEADER, self.reader.started
        return Phase.BODY, since

    def interest(self) -> int:
        """See :class:`repoman.server.loop.Member`."""
        if not self.transport.is_ready:
            return self.transport.wants
        if self.linger is not None:
            return IN
        if self.send_queue.items and self.send_queue.is_sendable:
            return OUT
        if self.send_queue.items or self.serving is not None:
            return 0
        return OUT if self.closing else IN

    def handle_read(self) -> None:
        """See :class:`repoman.server.loop.Member`."""
        if not self.transport.is_ready:
            self._shake_hands()
        elif self.linger is not None:
            self._swallow(self.linger)
        else:
            self.reader.read()

    def handle_write(self) -> None:
        """See :class:`repoman.server.loop.Member`."""
        if not self.transport.is_ready:
            self._shake_hands()
            return
        try:
            self.send_queue.flush(self.loop.buffer)
        except OSError as error:
            self._note_cut(error)
            self.handle_close()
        else:
            self.refresh()

    def refresh(self) -> None:
        """See :class:`repoman.server.loop.Member`."""
        loop = self.loop
        if not loop.owns(self) or self.linger is not None or not self.transport.is_ready:
            return
        if not self.send_queue.items and self.serving is None:
            self._go_on()
        if loop is self.host.main and self._is_bulky() and loop.owns(self):
            self.move(next(self.host.bulk))
        if self.loop is loop:
            loop.update(self)

    def handle_close(self) -> None:
        """Close the connection, on the loop that owns it. Safe to call again."""
        if not self.connected:
            return
        self.connected = False
        if self.loop.owns(self):
            self.loop.unregister(self)
        self.send_queue.close()
        self._close_request()
        self.listener.forget(self)

    # For any thread.

    def wake(self) -> None:
        """Have the loop check again what to do next."""
        self._on_own_loop(self.refresh)

    def close_soon(self) -> None:
        """Close the connection."""
        self._on_own_loop(self.handle_close)

    def give_up(self) -> None:
        """Answer 503 in place of the worker, and close the connection.

        Only with ``is_given_up`` set while the worker could not write.
        """
        self._on_own_loop(self._answer_shutdown)

    def drain(self) -> None:
        """Close the connection as soon as the client has its response."""
        self.draining = True
        self._on_own_loop(self._hurry)

    # For the owning loop.

    def close_if_idle(self) -> bool:
        """Close the connection unless a request is under way or has just arrived."""
        if not self.is_idle or self.reader.held or self.transport.has_input():
            return False
        self.handle_close()
        return True

    def serve(self, request: Request) -> None:
        """Have a worker run the application for a request."""
        self.serving = request
        self.worker = None  # not yet
        work = RequestRunner(self.host.application, self, request).run
        client = request.headers.get("AUTHORIZATION") or self.addr[0]
        submit = partial(self.host.workers.submit, work, client)
        if self.loop is self.host.main:
            submit()
        else:
            self.move(self.host.main, submit)

    def say(self, data: bytes) -> None:
        """Send bytes that are no response of a task."""
        try:
            self.send_queue.write(data)
        except (ClientDisconnected, OSError):
            self.close_soon()

    def refuse(self, text: str) -> None:
        """Answer 400 to something that is not even a request, and close.

        No more than a word for debugging: some clients try TLS on plain ports all the time.
        """
        log.debug("Refused a connection from %s: %s", self.addr[0], text)
        self.say(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b\n" % (len(text) + 1, text.encode())
        )
        self.closing = self.lingers = True

    def move(self, loop: Loop, first: Callable[[], object] | None = None) -> None:
        """Move to another loop, and do something first once there."""
        self.loop.unregister(self)
        self.loop = loop
        loop.call(self._arrive, first)

    def answer_at_once(self, raw: bytes) -> bytes | None:
        """Return the response to a header if it takes no parser and no worker."""
        answer = self.host.fast
        if answer is None or self.draining:
            return None
        try:
            return answer(self.listener.connector, raw, self.addr[0])
        except Exception:
            log.exception("The fast path failed; a worker handles the request")
            return None

    # For workers, who run a RequestRunner.

    def has_body(self, request: Request) -> bool:
        """Return whether the whole body has come with the header."""
        return not request.chunked and request.content_length <= len(self.reader.held)

    def admit(self, request: Request, wanted: BodyWanted) -> bool:
        """Begin to receive the body; return whether all of it is there already."""
        body = request.admit(wanted, self.host.spool, self.host.settings.body_buffer_limit)
        self.reader.begin_body(request, body)
        if body.is_over:
            return True
        self.host.main.call(self._receive_body, request)  # from here on the loop owns the body
        return False

    def finish(self, request: Request, close: bool) -> None:
        """Go on with the connection, or close it, when the response is written."""
        request.close()
        self.response = None
        if close or self.closes_after(request):
            self.lingers = request.is_unread or request.error is not None
            self.closing = True
        elif request.is_unread:
            request.discard()
            self.reader.request = request
        self.progress.restart()
        self.serving = None  # from here on the loop may go on with the connection
        if (
            self.closing
            or self.draining  # since it was asked above; nobody else looks again
            or self.reader.held
            or self.send_queue.items
            or not self.loop.is_watching(self, IN)
        ):
            self.wake()

    def write_soon(self, data: bytes, more: bool = False) -> None:
        """Send a piece of the response; waits while too much is queued.

        Raises:
            ClientDisconnected: the client is gone.
        """
        if self.is_given_up:
            raise ClientDisconnected
        if not data:  # OpenSSL does not define what sending nothing does
            return
        while self.send_queue.is_full:
            self.wake()
            with blocking():
                self.send_queue.wait_for_space(1)
        try:
            self.send_queue.write(data, more)
        except OSError as error:
            self.close_soon()
            raise ClientDisconnected from error
        if self.send_queue.items and not more:
            self.wake()

    def write_file(self, file: FileResponse) -> None:
        """Send a file, which is closed when it has left.

        Raises:
            ClientDisconnected: the client is gone; the file still belongs to the caller.
            OSError: the file became shorter than it was; it still belongs to the caller.
        """
        if self.response is None or not self.response.sends_body:
            file.close()
        elif file.is_small:
            self.write_soon(file.read_all())
            file.close()
        elif file.is_plain:
            self._put_file(file)
        else:
            for piece in file.pieces():
                self.write_soon(piece)
            file.close()

    def closes_after(self, request: Request) -> bool:
        """Tell whether the connection closes after the response, whatever the client wishes."""
        return self.draining or (request.is_unread and not request.is_swallowable)

    # The rest.

    def _receive_body(self, request: Request) -> None:
        """Go on with a request after its admission: receive the body; main loop."""
        self.serving = None
        self.reader.await_body(request)
        if not self.connected:
            self._close_request()
        self.refresh()

    def _is_bulky(self) -> bool:
        """Return whether transferring is a bulk loop's task, for now."""
        if self.reader.request is not None and self.reader.is_bulky:
            return True
        return bool(self.send_queue.items) and self.send_queue.is_bulky

    def _close_request(self) -> None:
        request = self.reader.take()
        if request is not None:
            self.host.submit(request.close)

    def _go_on_growing(self) -> None:
        """Send what a file has grown by; any thread. The client's time to take it begins now."""
        self.progress.restart()
        self.wake()

    def _on_own_loop(self, function: Callable[[], object]) -> None:
        loop = self.loop

        def run() -> None:
            if self.loop is loop:
                function()
            else:  # it has moved meanwhile
                self._on_own_loop(function)

        loop.call(run)

    def _answer_shutdown(self) -> None:
        if not self.connected:
            return
        if self.response is None or not self.response.wrote_header:
            self.say(_SHUTDOWN)
        self.closing = True
        self.serving = None
        self.refresh()

    def _hurry(self) -> None:
        if not self.transport.is_ready:
            self.handle_close()
        elif self.linger is not None:
            self.linger.hurry()
        else:
            self.close_if_idle()

    def _arrive(self, first: Callable[[], object] | None) -> None:
        if first is not None:
            first()
        if self.connected:
            self.loop.register(self)
            self.refresh()

    def _go_on(self) -> None:
        """Everything is sent and no worker is at it: close, go home, or take the next request."""
        if self.closing:
            self._end()
        elif not self.reader.is_bulky:
            if self.loop is self.host.main:
                self.reader.resume()
                if self.draining:  # since after the worker had finished with the response
                    self.close_if_idle()
            else:
                self.move(self.host.main)

    def _end(self) -> None:
        if not (self.lingers or self.transport.has_input()):  # such as the rest of a pipeline
            self.handle_close()
            return
        self.linger = LingeringClose(self.host.settings)
        if self.draining:
            self.linger.hurry()
        try:
            self.transport.end_sending()
        except OSError:
            self.handle_close()

    def _swallow(self, linger: LingeringClose) -> None:
        count = self.transport.receive(self.loop.buffer)
        if count is not None and linger.is_over(count):
            self.handle_close()

    def _shake_hands(self) -> None:
        try:
            self.transport.advance()
        except SpokePlainHttp:
            self.refuse("Client sent an HTTP request to an HTTPS server.")
        except OSError as error:
            log.debug("No TLS connection with %s: %s", self.addr[0], error)
            self.handle_close()

    def _put_file(self, file: FileResponse) -> None:
        """Send the beginning of a file; what is left is a bulk loop's."""
        if self.is_given_up:
            raise ClientDisconnected
        item = file.open_slice(self._go_on_growing)
        is_for_loop = file.is_growing or self.transport.needs_buffer
        try:
            self.send_queue.put(item, 0 if is_for_loop else AT_ONCE_BYTES)
        except OSError as error:
            self._note_cut(error)
            self.close_soon()  # and with it the file, whose descriptor the queue may still use
        else:
            if self.send_queue.items:
                self.wake()

    def _note_cut(self, error: OSError) -> None:
        if not isinstance(error, _GONE):  # then it is the file: the client cannot know
            log.warning("Cut off the response to %s: %s", self.addr[0], error)
