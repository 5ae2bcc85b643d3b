"""A worker's work on one request: admission, response, and what becomes of the connection."""

import logging
import threading
from typing import TYPE_CHECKING

from waitress.channel import ClientDisconnected
from waitress.utilities import InternalServerError

from repoman.http.body import BodyWanted
from repoman.server.loop import IN
from repoman.server.parser import Parser
from repoman.server.task import ErrorTask, Task

if TYPE_CHECKING:
    from repoman.server.channel import Channel

log = logging.getLogger("repoman.server")


class Service:
    """Runs the application for a request that a channel serves."""

    def __init__(self, channel: "Channel", request: Parser) -> None:
        self._channel = channel
        self._request = request

    def run(self) -> None:
        """Run the application for admission, for the response, or for both."""
        self._channel.worker = threading.current_thread()
        try:
            self._serve()
        except Exception:  # nobody else would ever go on with the connection
            log.exception("Closing a connection of %s after an error", self._channel.addr[0])
            self._channel.close_soon()
            self._request.close()

    def _serve(self) -> None:
        request = self._request
        try:
            close = self._run_task()
        except BodyWanted as wanted:
            wanted.__traceback__ = None  # which the frames of Flask, that hold it, are part of
            self._channel.intake.begin_body(request, wanted)
            if request.body is None or not request.body.is_over:
                self._channel.hub.main.call(self._channel.receive_body, request)
                return
            close = self._run_task()
        self._finish(close)

    def _run_task(self) -> bool:
        """Return whether the connection has to be closed afterwards."""
        channel, request = self._channel, self._request
        if request.error:
            request.close()  # first: a client that tries again must not find its session in use
        task = ErrorTask(channel, request) if request.error else Task(channel, request)
        channel.task = task
        if not channel.connected:
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
        task = self._channel.task = ErrorTask(self._channel, request)
        try:
            task.service()
        except ClientDisconnected:
            log.debug("The client disconnected before the error could be sent")
        return True

    def _finish(self, close: bool) -> None:
        channel, request = self._channel, self._request
        request.close()
        channel.task = None
        if close or channel.closes_after(request):
            channel.lingers = request.is_unread or request.error is not None
            channel.closing = True
        elif request.is_unread:
            request.discard()
            channel.intake.request = request
        channel.pace.begin()
        channel.serving = None  # from here on the loop may go on with the channel
        if (
            channel.closing
            or channel.draining  # since it was asked above; nobody else looks again
            or channel.intake.held
            or not channel.outbox.is_empty
            or not channel.loop.is_watching(channel, IN)
        ):
            channel.wake()
