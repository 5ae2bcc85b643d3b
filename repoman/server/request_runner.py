"""A worker's work on one request: admission, the application's response, an error in its place.

This is the WSGI half of the server (PEP 3333). It knows of admission, of draining listeners and of
unread bodies, sends header and body in one packet where it can, and keeps the connection after each
response that has an end.
"""

import io
import logging
import sys
import threading
from collections.abc import Iterable
from functools import lru_cache
from time import time
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from waitress.channel import ClientDisconnected
from waitress.utilities import Error, InternalServerError, build_http_date

from repoman.http.body import (
    ADMISSION,
    RECEIVED,
    SEND_GROWING,
    TAKE_BODY,
    BodyWanted,
    Environ,
)
from repoman.http.current import CONNECTOR, RAW_REQUEST
from repoman.server.file_bodies import FileResponse, GrowingResponse, wrap_file
from repoman.server.request_reader import Request

log = logging.getLogger("repoman.server")

# How the server calls itself in its responses.
SERVER_NAME = "repoman"

# A body up to this size is sent in one piece with the header.
JOIN_MAX_BYTES = 1 << 16

# Header fields that belong to the server (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)

# Fields of a request whose names in the environment have no prefix.
_WITHOUT_PREFIX = frozenset({"CONTENT_LENGTH", "CONTENT_TYPE"})


class ServedListener(Protocol):
    """The listener that a request came in by.

    Attributes:
        connector: the key of the connector.
    """

    connector: str
    host: str
    port: int


class ServedConnection(Protocol):
    """What a worker asks of the connection that it serves.

    Attributes:
        connected: whether the client is there.
        response: the one that the worker is at.
        worker: the thread that serves.
    """

    addr: Any
    connected: bool
    response: "Response | None"
    worker: threading.Thread | None

    @property
    def listener(self) -> ServedListener:
        """The listener that accepted it."""

    def write_soon(self, data: bytes, more: bool = False) -> None:
        """Send a piece of the response; waits while too much is queued."""

    def write_file(self, file: FileResponse) -> None:
        """Send a file, which is closed when it has left."""

    def closes_after(self, request: Request) -> bool:
        """Tell whether the connection closes after the response, whatever the client wishes."""

    def has_body(self, request: Request) -> bool:
        """Return whether the whole body has come with the header."""

    def admit(self, request: Request, wanted: BodyWanted) -> bool:
        """Begin to receive the body; return whether all of it is there already."""

    def finish(self, request: Request, close: bool) -> None:
        """Go on with the connection, or close it, when the response is written."""

    def close_soon(self) -> None:
        """Close the connection."""


class RequestRunner:
    """Runs the application for a request that a connection serves."""

    def __init__(
        self, application: WSGIApplication, connection: ServedConnection, request: Request
    ) -> None:
        self._application = application
        self._connection = connection
        self._request = request

    def run(self) -> None:
        """Run the application for admission, for the response, or for both."""
        connection, request = self._connection, self._request
        connection.worker = threading.current_thread()
        try:
            try:
                close = self._respond()
            except BodyWanted as wanted:
                wanted.__traceback__ = None  # which the frames of Flask, that hold it, are part of
                if not connection.admit(request, wanted):
                    return  # until the body has come
                close = self._respond()
            connection.finish(request, close)
        except Exception:  # nobody else would ever go on with the connection
            log.exception("Closing a connection of %s after an error", connection.addr[0])
            connection.close_soon()
            request.close()

    def _respond(self) -> bool:
        """Return whether the connection has to be closed afterwards."""
        connection, request = self._connection, self._request
        if request.error:
            request.close()  # first: a client that tries again must not find its session in use
        response = connection.response = Response(connection, request)
        if not connection.connected:
            return True
        try:
            if request.error:
                self._log_refusal(request.error)
                response.send_error(request.error)
            else:
                self._call_application(response)
        except ClientDisconnected:
            return True
        except BodyWanted:
            raise
        except BaseException:
            log.exception("The application failed at %s", request.path)
            if not response.wrote_header:
                self._send_failure()
            return True
        return response.closes

    def _call_application(self, response: "Response") -> None:
        """Call the application and send what it returns.

        Raises:
            BodyWanted: the application was asked for admission and wants the body.
        """
        request = self._request
        environ = make_environ(self._connection, request)
        if request.awaits_admission and self._connection.has_body(request):
            environ[TAKE_BODY] = self._take_body
        try:
            response.send(self._application(environ, response.start))
        except BodyWanted as wanted:
            if request.awaits_admission and not response.wrote_header:
                raise
            if wanted.sink is not None:
                wanted.sink.close()
            raise RuntimeError("The application read the body again") from wanted
        finally:
            # receive_body() takes the sink out of the environment and with it the duty to close it.
            if request.body is not None and RECEIVED not in environ:
                request.body.release()
            # Errors hold on to the environment, some until the next collection of garbage.
            environ.pop("HTTP_AUTHORIZATION", None)

    def _take_body(self, wanted: BodyWanted) -> Environ:
        """Move a body that has come with the header to where the application wants it."""
        request, found = self._request, Environ()
        self._connection.admit(request, wanted)
        if request.body is not None:
            request.body.describe(found)
        return found

    def _send_failure(self) -> None:
        response = self._connection.response = Response(self._connection, self._request)
        error = InternalServerError("The server encountered an unexpected internal error")
        self._request.error = error
        try:
            response.send_error(error)
        except ClientDisconnected:
            log.debug("The client disconnected before the error could be sent")

    def _log_refusal(self, error: Error) -> None:
        log.info(
            "Refused a request from %s: %s %s: %s",
            self._connection.addr[0],
            error.code,
            error.reason,
            error.body.partition('"')[0],  # what waitress quotes may be a password
        )


class Response:
    """The response to one request, as WSGI has it.

    Attributes:
        closes: whether the connection closes afterwards.
        sends_body: whether the body that the application returns is sent.
        wrote_header: whether the client has the header, so that it is too late for an error.
    """

    def __init__(self, connection: ServedConnection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._version = request.version if request.version in ("1.0", "1.1") else "1.0"
        self._head = ""  # what the application has said of the header
        self._length: int | None = None  # of the body, if it is known
        self._written = 0
        self._has_body = True
        self._is_chunked = False
        self.closes = False
        self.sends_body = False
        self.wrote_header = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take status and header; the ``start_response`` of WSGI.

        Raises:
            RuntimeError: this is the second call.
            ValueError: the header cannot be sent.
        """
        if exc_info is not None and self.wrote_header:
            raise exc_info[1]
        if exc_info is None and self._head:
            raise RuntimeError("start_response was called again without exc_info")
        self._length = None
        head = self._take_header(status, headers)
        self._has_body = status[:3] not in ("204", "304") and status[0] != "1"
        self.sends_body = self._has_body and self._request.command != "HEAD"
        self._head = head
        return self.write

    def send(self, body: Iterable[bytes]) -> None:
        """Send the header and what the application returned, which is closed."""
        close = getattr(body, "close", None)
        try:
            if isinstance(body, FileResponse) and (size := body.prepare(self._length)):
                self._length = size
                self.write(b"")
                self._connection.write_file(body)
                close = None  # It is closed when it has left.
                return
            self._send_pieces(body)
        finally:
            if close is not None:
                close()
        self._finish()

    def send_error(self, error: Error) -> None:
        """Send an error of the server itself, and close the connection."""
        status, headers, body = error.to_response(SERVER_NAME)
        self.start(status, headers)
        self.closes = True
        self.send([body])

    def write(self, data: bytes) -> None:
        """Send a piece of the body, and the header before the first."""
        head = b"" if self.wrote_header else self._make_header()
        self.wrote_header = True
        body = self._frame(data)
        if body and len(body) <= JOIN_MAX_BYTES:
            self._connection.write_soon(head + body)
        elif body:
            self._connection.write_soon(head, more=True)
            self._connection.write_soon(body)
        else:
            self._connection.write_soon(head, more=self.sends_body)  # a file follows at once

    def _take_header(self, status: str, headers: list[tuple[str, str]]) -> str:
        lines = [f"HTTP/{self._version} {status}"]
        given = set()
        for name, value in headers:
            lower = name.lower()
            given.add(lower)
            if lower == "content-length":
                self._length = int(value)
            elif lower in HOP_BY_HOP:
                raise ValueError(f"The application may not send the header {name}")
            else:
                lines.append(f"{name}: {value}")
        if "server" not in given:
            lines.append(f"Server: {SERVER_NAME}")
        if "date" not in given:
            lines.append(f"Date: {_http_date(int(time()))}")
        head = "\r\n".join(lines)
        if not head.count("\r") == head.count("\n") == len(lines) - 1:
            raise ValueError("The application sent a header with a line break")
        return head

    def _send_pieces(self, body: Iterable[bytes]) -> None:
        for piece in body:
            if self._length is None and not self.wrote_header and isinstance(body, list | tuple):
                self._length = len(piece) if len(body) == 1 else None
            if piece:
                self.write(piece)
        if self._length is not None and self._written != self._length and self.sends_body:
            log.warning(
                "The application returned %d bytes where its response says %d: %s",
                self._written,
                self._length,
                self._request.path,
            )
            self.closes = True

    def _finish(self) -> None:
        """Send what is still missing."""
        if not self.wrote_header:
            head = self._make_header()
            self.wrote_header = True
            self._connection.write_soon(head)
        if self._is_chunked:
            self._connection.write_soon(b"0\r\n\r\n")

    def _make_header(self) -> bytes:
        """Return the header, and decide how the body is framed and if the connection stays."""
        if not self._head:
            raise RuntimeError("The application did not call start_response")
        is_framed = not self.sends_body or self._length is not None
        connection = self._request.headers.get("CONNECTION", "").lower()
        wishes = [wish.strip() for wish in connection.split(",")] if connection else []
        if self._version == "1.0":
            keep = "keep-alive" in wishes and is_framed
        else:
            keep = "close" not in wishes
            self._is_chunked = not is_framed
        if not keep or self._connection.closes_after(self._request):
            self.closes = True
        lines = [self._head]
        if self._length is not None and self._has_body:  # A 204 must not have it.
            lines.append(f"Content-Length: {self._length}")
        elif self._is_chunked:
            lines.append("Transfer-Encoding: chunked")
        if self.closes:
            lines.append("Connection: close")
        elif self._version == "1.0":
            lines.append("Connection: Keep-Alive")
        return "\r\n".join((*lines, "\r\n")).encode("latin-1")

    def _frame(self, data: bytes) -> bytes:
        if not self.sends_body:
            self._written += len(data)
            return b""
        if self._is_chunked:
            return b"%X\r\n%b\r\n" % (len(data), data) if data else b""
        if self._length is not None:
            data = data[: self._length - self._written]
        self._written += len(data)
        return data


def make_environ(connection: ServedConnection, request: Request) -> Environ:
    """Return the WSGI environment of a request."""
    listener, (address, port, *_) = connection.listener, connection.addr
    path = request.path
    environ: Environ = {
        "REMOTE_ADDR": address,
        "REMOTE_PORT": str(port),
        "REQUEST_METHOD": request.command.upper(),
        "REQUEST_URI": request.request_uri,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/" + path.lstrip("/") if path.startswith("/") else path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": listener.host,
        "SERVER_PORT": str(listener.port),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "SERVER_SOFTWARE": SERVER_NAME,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.url_scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": wrap_file,
        CONNECTOR: listener.connector,
        SEND_GROWING: GrowingResponse,
    }
    for key, value in request.headers.items():
        environ[key if key in _WITHOUT_PREFIX else f"HTTP_{key}"] = value
    if request.body is not None:
        request.body.describe(environ)
        return environ
    environ["wsgi.input"] = io.BytesIO()
    if request.has_body:
        environ[ADMISSION] = True
    else:
        environ[RAW_REQUEST] = request.raw
    return environ


@lru_cache(maxsize=4)
def _http_date(second: int) -> str:
    return str(build_http_date(second))
