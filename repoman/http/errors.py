"""From an error to an HTTP response: the status in one place, the wording by the format."""

import logging
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as BaseResponse

from repoman import errors
from repoman.disk_space import RefusalLog
from repoman.http.current import note_refused
from repoman.printable import escaped

STATUS: dict[type[errors.RepomanError], HTTPStatus] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.RangeInvalid: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.PageKeyInvalid: HTTPStatus.NOT_ACCEPTABLE,  # as Nexus Repository 3 answers
    errors.Unprocessable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Denied: HTTPStatus.FORBIDDEN,
    errors.ReadOnly: HTTPStatus.FORBIDDEN,
    errors.Unsupported: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.QuotaExceeded: HTTPStatus.FORBIDDEN,  # Clients show its text, and do not try again.
    errors.UpstreamError: HTTPStatus.BAD_GATEWAY,
    errors.UpstreamTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    errors.UpstreamBlocked: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UpstreamRateLimited: HTTPStatus.TOO_MANY_REQUESTS,
}
# These replace texts of Werkzeug that speak to people who type addresses; routes word the others.
HTTP_TEXTS: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not support the method of the request.",
}
NUMBER_BYTES = 4  # Random bytes of the number of an unexpected error.
MESSAGE_MAX_CHARS = 2000  # What a client is told of an error, which may name what it has sent.
PATH_MAX = 1000  # characters of a path in the log
REASON_MAX_CHARS = 500  # Of a message in the status line.
CHALLENGE = 'Basic realm="repoman"'

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed: what a format needs to render it.

    Attributes:
        status: the HTTP status.
        message: a sentence, free of secrets.
        error: the core's error, or None for one of HTTP itself or an unexpected one.
        number: what the server log calls an unexpected error; else nothing.
    """

    status: int
    message: str
    error: errors.RepomanError | None = None
    number: str = ""


def render_plain(failure: Failure) -> Response:
    """Return the message as plain text."""
    return Response(failure.message + "\n", failure.status, mimetype="text/plain")


def render_with_reason(failure: Failure) -> Response:
    """Return the message as plain text, and as the reason, which is all that many clients show."""
    response = render_plain(failure)
    reason = "".join(each if " " <= each <= "~" else "?" for each in failure.message)
    response.status = f"{failure.status} {reason[:REASON_MAX_CHARS]}"
    return response


def status_of(error: errors.RepomanError) -> int:
    """Return the HTTP status of a core error, by the nearest class that has one."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def install_error_handlers(app: Flask, render: Callable[[Failure], Response]) -> None:
    """Have every failure of the app answered by ``render``; nothing unexpected leaks."""

    @app.errorhandler(errors.RepomanError)
    def _expected(error: errors.RepomanError) -> Response:
        _tell(error)
        response = render(Failure(status_of(error), _shortened(escaped(str(error))), error))
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return _finish(response)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> BaseResponse:
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        if error.response is not None or status < HTTPStatus.BAD_REQUEST:
            return error.get_response()  # it is worded already, or a redirect, which is no failure
        response = render(Failure(status, _text_of(error, status)))
        if isinstance(error, MethodNotAllowed):
            response.allow.update(error.valid_methods or ())
        return _finish(response)

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        return _finish(render(_describe(error)))


def _shortened(text: str) -> str:
    return text if len(text) <= MESSAGE_MAX_CHARS else f"{text[: MESSAGE_MAX_CHARS - 1]}…"


def _text_of(error: HTTPException, status: int) -> str:
    is_usual = error.description == type(error).description
    text = (is_usual and HTTP_TEXTS.get(status)) or error.description or error.name
    return escaped(text)


def _describe(error: Exception) -> Failure:
    """Return the message for an error outside the core; the log has the rest."""
    if isinstance(error, sqlite3.DatabaseError):
        # Raised while rows are read; an error of the statement itself is one of the core's.
        _log.error("The database cannot be used: %s", error)
        outage = errors.Unavailable("The database cannot be used at the moment.")
        return Failure(HTTPStatus.SERVICE_UNAVAILABLE, str(outage), outage)
    number = secrets.token_hex(NUMBER_BYTES)
    path = request.path[:PATH_MAX]
    _log.error("%s %r failed (%s)", request.method, path, number, exc_info=error)
    message = "Internal server error. The server log has the details."
    return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, message, number=number)


class _Teller:
    """Records refusals in the audit log, and those for lack of space in the server log."""

    def __init__(self) -> None:
        self._refusals = RefusalLog()

    def __call__(self, error: errors.RepomanError) -> None:
        if isinstance(error, errors.Denied):
            note_refused()
        elif isinstance(error, errors.StorageFull):
            self._refusals.note(f"{request.method} {request.path[:PATH_MAX]!r}", error)


_tell = _Teller()  # one for all apps, so that the log is not filled by each


def _finish(response: Response) -> Response:
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.headers.setdefault("WWW-Authenticate", CHALLENGE)
    return response
