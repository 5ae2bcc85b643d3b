"""The pages that a browser shows when a request fails."""

from http import HTTPStatus

from flask import Response, render_template, request, url_for

from repoman.plugin import Failure, current_actor, has_lost_session
from repoman_web.views.login import render_expired

TITLES: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "Bad request",
    HTTPStatus.UNAUTHORIZED: "Sign in required",
    HTTPStatus.FORBIDDEN: "You may not do this",
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.METHOD_NOT_ALLOWED: "Method not allowed",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request too large",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here",
    HTTPStatus.SERVICE_UNAVAILABLE: "Service unavailable",
}
MISSING = "The address may be mistyped, what was here may have been removed, or you may not see it."
FORGED = (
    "The form belongs to another session or has expired. Go back, reload the page and submit the "
    "form again. Your browser must accept cookies."
)
BROKEN = "This is a fault of the server. Its log has the details under this number:"
# What is refused where a session has ended while somebody filled in a form.
ENDED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def render(failure: Failure) -> Response:
    """Return the page for a failure; redirect to the login page where signing in may help."""
    if failure.status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
        wanted = request.full_path if request.query_string else request.path
        target = url_for("login.show", next=request.script_root + wanted)
        return Response("", HTTPStatus.SEE_OTHER, {"Location": target})
    if request.method == "POST" and failure.status in ENDED and _has_session_ended():
        return Response(render_expired(), failure.status)
    page = render_template(
        "repoman/failure.html",
        status=failure.status,
        title=TITLES.get(failure.status, "Request failed"),
        text=_text(failure),
        number=failure.number,
        # Behind "-" are words of pages, such as "delete", that nobody looks for.
        searched="" if "/-/" in request.path else request.path.rpartition("/")[2],
    )
    return Response(page, failure.status)


def _has_session_ended() -> bool:
    return current_actor().is_anonymous and has_lost_session()


def _text(failure: Failure) -> str:
    if failure.error is not None:
        return failure.message
    if failure.number:
        return BROKEN
    if failure.status == HTTPStatus.BAD_REQUEST and "CSRF" in failure.message:
        return FORGED
    return MISSING if failure.status == HTTPStatus.NOT_FOUND else failure.message
