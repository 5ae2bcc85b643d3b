"""A worker's work on one request: admission, response, and what becomes of the connection."""

import logging
import threading
from typing import TYPE_CHECKING

from waitress.channel import ClientDisconnected
from waitress.utilities import InternalServerError

from repoman.http.body import BodyWanted
from repoman.server.loop import IN
from repoman.server.parser import Request
from repoman.server.task import ErrorTask, Task

if TYPE_CHECKING:
    from repoman.server.connection import Connection

log = logging.getLogger("repoman.server")


class RequestRunner:
    """Runs the application for a request that a connection serves."""

    def __init__(self, connection: "Connection", request: Request) -> None:
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
            self._connection.reader.begin_body(request, wanted)
            if request.body is None or not request.body.is_over:
                self._connection.host.main.call(self._connection.receive_body, request)
                return
            close = self._run_task()
        self._finish(close)

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

    def _finish(self, close: bool) -> None:
        connection, request = self._connection, self._request
        request.close()
        connection.task = None
        if close or connection.closes_after(request):
            connection.lingers = request.is_unread or request.error is not None
            connection.closing = True
        elif request.is_unread:
            request.discard()
            connection.reader.request = request
        connection.progress.begin()
        connection.serving = None  # from here on the loop may go on with the connection
        if (
            connection.closing
            or connection.draining  # since it was asked above; nobody else looks again
            or connection.reader.held
            or not connection.send_queue.is_empty
            or not connection.loop.is_watching(connection, IN)
        ):
            connection.wake()
