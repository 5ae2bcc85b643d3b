"""The pages that a browser shows when a request fails."""

from http import HTTPStatus

from flask import Response, render_template, request, url_for

from repoman.plugin import Failure

TITLES: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "Bad request",
    HTTPStatus.UNAUTHORIZED: "Sign in required",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "Page not found",
    HTTPStatus.METHOD_NOT_ALLOWED: "Method not allowed",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request too large",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal server error",
    HTTPStatus.SERVICE_UNAVAILABLE: "Service unavailable",
}
MISSING = "The address may be mistyped, or the page was removed."
FORGED = (
    "The form belongs to another session or has expired. Go back, reload the page and submit the "
    "form again. Your browser must accept cookies."
)


def render(failure: Failure) -> Response:
    """Return the page for a failure; redirect to the login page where signing in may help."""
    if failure.status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
        wanted = request.full_path if request.query_string else request.path
        target = url_for("login.show", next=request.script_root + wanted)
        return Response("", HTTPStatus.SEE_OTHER, {"Location": target})
    page = render_template(
        "repoman/failure.html",
        status=failure.status,
        title=TITLES.get(failure.status, "Request failed"),
        text=_text(failure),
    )
    return Response(page, failure.status)


def _text(failure: Failure) -> str:
    if failure.error is not None:
        return failure.message
    if failure.status == HTTPStatus.BAD_REQUEST and "CSRF" in failure.message:
        return FORGED
    return MISSING if failure.status == HTTPStatus.NOT_FOUND else failure.message
