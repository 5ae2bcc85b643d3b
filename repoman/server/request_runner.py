"""A worker's work on one request: admission, the application's response, an error in its place.

The tasks are waitress' own, but for the response header. It is built again because waitress closes
the connection after each response without a Content-Length (also after 204 and 304), writes the
header in a packet of its own, and knows nothing of draining listeners and unread bodies.
"""

import logging
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask as WaitressErrorTask
from waitress.task import WSGITask
from waitress.utilities import InternalServerError, build_http_date

from repoman.http.body import RECEIVED, SEND_GROWING, BodyWanted
from repoman.http.caching import RAW_REQUEST
from repoman.http.current import CONNECTOR
from repoman.server.file_bodies import FileResponse, GrowingResponse, wrap_file
from repoman.server.request_reader import Request

log = logging.getLogger("repoman.server")

# A body up to this size is sent in one piece with the header.
JOIN_MAX_BYTES = 1 << 16


class ServedListener(Protocol):
    """What a task asks of the listener: besides this, what waitress looks for.

    Attributes:
        connector: the key of the connector that the request came in by.
    """

    connector: str


class ServedConnection(Protocol):
    """What a worker asks of the connection that it serves.

    Attributes:
        server: the listener; waitress' tasks call it so.
        connected: whether the client is there.
        task: the call of the application that the worker is at.
        worker: the thread that serves.
    """

    adj: Adjustments
    addr: Any
    connected: bool
    task: "Task | ErrorTask | None"
    worker: threading.Thread | None

    @property
    def server(self) -> ServedListener:
        """The listener; waitress' tasks call it so."""

    def write_soon(self, data: bytes | FileResponse, more: bool = False) -> int:
        """Send a piece of the response, or a file; waits while too much is queued."""

    def closes_after(self, request: Request) -> bool:
        """Tell whether the connection closes after the response, whatever the client wishes."""

    def admit(self, request: Request, wanted: BodyWanted) -> bool:
        """Begin to receive the body; return whether all of it is there already."""

    def finish(self, request: Request, close: bool) -> None:
        """Go on with the connection, or close it, when the response is written."""

    def close_soon(self) -> None:
        """Close the connection."""


class RequestRunner:
    """Runs the application for a request that a connection serves."""

    def __init__(self, connection: ServedConnection, request: Request) -> None:
        self._connection = connection
        self._request = request

    def run(self) -> None:
        """Run the application for admission, for the response, or for both."""
        self._connection.worker = threading.current_thread()
        try:
            self._serve()
        except Exception:  # nobody else would ever go on with the connection
            log.exception("Closing a connection of %s after an error", self._connection.addr[0])
            self._connection.close_soon()
            self._request.close()

    def _serve(self) -> None:
        request = self._request
        try:
            close = self._run_task()
        except BodyWanted as wanted:
            wanted.__traceback__ = None  # which the frames of Flask, that hold it, are part of
            if not self._connection.admit(request, wanted):
                return  # until the body has come
            close = self._run_task()
        self._connection.finish(request, close)

    def _run_task(self) -> bool:
        """Return whether the connection has to be closed afterwards."""
        connection, request = self._connection, self._request
        if request.error:
            request.close()  # first: a client that tries again must not find its session in use
        task = ErrorTask(connection, request) if request.error else Task(connection, request)
        connection.task = task
        if not connection.connected:
            return True
        try:
            task.service()
        except ClientDisconnected:
            return True
        except BodyWanted:
            raise
        except BaseException:
            log.exception("The application failed at %s", request.path)
            return task.wrote_header or self._run_error_task()
        return bool(task.close_on_finish)

    def _run_error_task(self) -> bool:
        request = self._request
        request.error = InternalServerError("The server encountered an unexpected internal error")
        task = self._connection.task = ErrorTask(self._connection, request)
        try:
            task.service()
        except ClientDisconnected:
            log.debug("The client disconnected before the error could be sent")
        return True


class ResponseMixin:
    """The response half of a task."""

    if TYPE_CHECKING:
        channel: ServedConnection
        request: Request
        version: str
        status: str
        response_headers: list[tuple[str, str]]
        content_bytes_written: int
        chunked_response: bool
        close_on_finish: bool
        complete: bool
        wrote_header: bool
        start_time: float

    _content_length: int | None = None

    @property
    def has_body(self) -> bool:
        """Whether a response with this status has a body; asked several times per request."""
        status = self.status
        return status[:3] not in ("204", "304") and status[0] != "1"

    @property
    def content_length(self) -> int | None:
        """The announced length of the body; a 304 may announce one for a body that never comes."""
        return self._content_length if self.has_body else None

    @content_length.setter
    def content_length(self, length: int | None) -> None:
        self._content_length = length

    @property
    def sends_body(self) -> bool:
        """Whether the body that the application returns is sent."""
        return self.has_body and self.request.command != "HEAD"

    def build_response_header(self) -> bytes:
        """Return the header, and decide how the body is framed and if the connection stays."""
        self._decide_framing()
        lines = [f"HTTP/{self.version} {self.status}"]
        own = {"content-length", "connection"}
        given = set()
        for name, value in self.response_headers:
            lower = name.lower()
            if lower not in own:
                given.add(lower)
                lines.append(f"{name}: {value}")
        if self.content_length is not None:
            lines.append(f"Content-Length: {self.content_length}")
        elif self.chunked_response:
            lines.append("Transfer-Encoding: chunked")
        lines += self._server_lines(given)
        return "\r\n".join((*lines, "\r\n")).encode("latin-1")

    def write(self, data: bytes) -> None:
        """Send a piece of the body, and the header before the first."""
        if not self.complete:
            raise RuntimeError("start_response was not called before body written")
        head = b"" if self.wrote_header else self.build_response_header()
        self.wrote_header = True
        body = self._frame(data)
        if body and len(body) <= JOIN_MAX_BYTES:
            self.channel.write_soon(head + body)
        elif body:
            self.channel.write_soon(head, more=True)
            self.channel.write_soon(body)
        else:
            self.channel.write_soon(head, more=self.sends_body)  # a file follows at once

    def finish(self) -> None:
        """Send what is still missing."""
        if not self.wrote_header:
            self.wrote_header = True
            self.channel.write_soon(self.build_response_header())
        if self.chunked_response and self.sends_body:
            self.channel.write_soon(b"0\r\n\r\n")

    def _decide_framing(self) -> None:
        is_framed = not self.sends_body or self.content_length is not None
        connection = self.request.headers.get("CONNECTION", "").lower()
        wishes = {wish.strip() for wish in connection.split(",")}
        if self.version == "1.0":
            keep = "keep-alive" in wishes and is_framed
        else:
            keep = "close" not in wishes
            self.chunked_response = not is_framed
        if not keep or self.channel.closes_after(self.request):
            self.close_on_finish = True

    def _server_lines(self, given: set[str]) -> list[str]:
        lines = []
        if self.close_on_finish:
            lines.append("Connection: close")
        elif self.version == "1.0":
            lines.append("Connection: Keep-Alive")
        if "server" not in given:
            lines.append(f"Server: {self.channel.adj.ident}")
        if "date" not in given:
            lines.append(f"Date: {_http_date(int(self.start_time))}")
        return lines

    def _frame(self, data: bytes) -> bytes:
        if not self.sends_body:
            self.content_bytes_written += len(data)
            return b""
        if self.chunked_response:
            return b"%X\r\n%b\r\n" % (len(data), data) if data else b""
        if self.content_length is not None:
            data = data[: self.content_length - self.content_bytes_written]
        self.content_bytes_written += len(data)
        return data


class Task(ResponseMixin, WSGITask):
    """Calls the application for a request: before its body is received, or afterwards."""

    environ: dict[str, Any] | None

    def execute(self) -> None:
        """Call the application and send what it returns.

        Raises:
            BodyWanted: the application was asked for admission and wants the body.
        """
        try:
            super().execute()
        except BodyWanted as wanted:
            if self.request.awaits_admission and not self.wrote_header:
                raise
            if wanted.sink is not None:
                wanted.sink.close()
            raise RuntimeError("The application read the body again") from wanted
        finally:
            self._release_taken_sink()
            self._forget_login()

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        if self.environ is None:
            environ: dict[str, Any] = super().get_environment()
            environ[CONNECTOR] = self.channel.server.connector
            environ["wsgi.file_wrapper"] = wrap_file
            environ[SEND_GROWING] = GrowingResponse
            if not self.request.has_body:
                environ[RAW_REQUEST] = self.request.raw
            self.request.describe_body(environ)
            self.environ = environ
        return self.environ

    def _forget_login(self) -> None:
        # Errors hold on to the environment, some until the next collection of garbage.
        if self.environ is not None:
            self.environ.pop("HTTP_AUTHORIZATION", None)

    def _release_taken_sink(self) -> None:
        # receive_body() takes the sink out of the environment and with it the duty to close it.
        body = self.request.body
        if body is not None and self.environ is not None and RECEIVED not in self.environ:
            body.release()


class ErrorTask(ResponseMixin, WaitressErrorTask):
    """Answers a request that the application does not see."""

    def execute(self) -> None:
        """Send the error."""
        error = self.request.error
        log.info(
            "Refused a request from %s: %s %s: %s",
            self.channel.addr[0],
            error.code,
            error.reason,
            error.body.partition('"')[0],  # what waitress quotes may be a password
        )
        super().execute()


@lru_cache(maxsize=4)
def _http_date(second: int) -> str:
    return str(build_http_date(second))
