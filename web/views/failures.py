"""What a browser shows when something went wrong."""

from http import HTTPStatus

from flask import Response, render_template, request, url_for

from repoman.plugin import Failure

TITLES: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "This request will not do",
    HTTPStatus.UNAUTHORIZED: "A login is needed",
    HTTPStatus.FORBIDDEN: "You may not do this",
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.METHOD_NOT_ALLOWED: "That does not work here",
    HTTPStatus.CONFLICT: "Something is in the way",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "This is too large",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many attempts",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not now",
}
# In place of what HTTP itself or a library has to say.
TEXTS: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "The address may be mistyped, or what was here is gone.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address takes no such request.",
}
FORGED = (
    "The form was made for another login, or is too old. Go back, load the page again and send it "
    "once more. Your browser has to accept cookies."
)


def render(failure: Failure) -> Response:
    """Return the page for a failure; a visitor who could log in is led to where that is done."""
    if failure.status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
        wanted = request.full_path if request.query_string else request.path
        target = url_for("login.show", next=request.script_root + wanted)
        return Response("", HTTPStatus.SEE_OTHER, {"Location": target})
    page = render_template(
        "repoman/failure.html",
        status=failure.status,
        title=TITLES.get(failure.status, "That did not work"),
        text=_text(failure),
    )
    return Response(page, failure.status)


def _text(failure: Failure) -> str:
    if failure.error is not None:
        return failure.message
    if failure.status == HTTPStatus.BAD_REQUEST and "CSRF" in failure.message:
        return FORGED
    return TEXTS.get(failure.status, failure.message)
