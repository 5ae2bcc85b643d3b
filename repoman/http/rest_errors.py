"""Failures of the REST API as its clients know them.

Below ``/service/rest`` these are the forms of Sonatype Nexus Repository 3: what is wrong with
fields and parameters is a list, all else one object whose message is in quotes, and some statuses
have no body. Below ``/api/v1`` they are problem details (RFC 9457).
"""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Response, request
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from repoman.core import Repoman
from repoman.errors import Frozen, Invalid, QuotaExceeded, Unauthenticated
from repoman.http.current import current_environ
from repoman.http.errors import CHALLENGE, Failure, render_plain
from repoman.http.guard import parse_basic
from repoman.problems import problem_of
from repoman.rest.endpoints import API_ROOT, Endpoint
from repoman.rest.resources import FieldProblem, Problem, ProblemDetails
from repoman.security.actors import Credentials
from repoman.security.options import ANONYMOUS_OPTIONS, AnonymousOptions

ENDPOINT = "repoman.endpoint"  # environ: the Endpoint that a request reached
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
PROBLEMS_MAX = 100  # A body can have hundreds of thousands of them.
PARAMETER = "PARAMETER "  # In front of the name of a field or parameter that is invalid.
NEXUS_CHALLENGE = 'BASIC realm="Sonatype Nexus Repository Manager"'
# HTTP itself refuses the request, so there is nothing to say about it.
BARE = frozenset(
    {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    }
)
# Requests are refused with it before it is known which endpoint they reach.
BEFORE = frozenset({HTTPStatus.TOO_MANY_REQUESTS})


class InvalidInput(Invalid):
    """Several things are wrong with what a request has.

    Attributes:
        problems: each of them.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(
            " ".join(f"{each.id.removeprefix(PARAMETER)}: {each.message}" for each in problems)
        )
        self.problems = problems


def input_error(error: ValidationError, *, is_body: bool = False) -> Invalid:
    """Return what a client is told of a body or of parameters that are not as they must be."""
    found = error.errors(include_url=False)
    if found[0]["type"] == "json_invalid":
        return Invalid(f"Could not process the input: {found[0]['msg']}.")
    return InvalidInput(list(_problems(found[:PROBLEMS_MAX], is_body=is_body)))


def _problems(found: list[ErrorDetails], *, is_body: bool) -> Iterator[Problem]:
    for each in found:
        name = _name_of(each["loc"])
        is_wrong_type = is_body and each["type"].endswith("_type") and each["input"] is not None
        id_ = name if is_wrong_type else f"{PARAMETER}{name}"
        text = "is required" if each["input"] is None else problem_of(each)
        yield Problem(id=id_, message=f"{text}.")


def _name_of(path: tuple[int | str, ...]) -> str:
    """Return the last name of a path; an item of a list has that of its list."""
    return next((each for each in reversed(path) if isinstance(each, str)), "*")


class RestErrors:
    """Renders the failures of the REST API."""

    def __init__(self, repoman: Repoman) -> None:
        self._options = repoman.options
        is_compatible = bool(repoman.settings.server.nexus_compatibility)
        self._challenge = NEXUS_CHALLENGE if is_compatible else CHALLENGE

    def render(self, failure: Failure) -> Response:
        """Return the response to a failed request."""
        if request.path.startswith(f"{API_ROOT}/"):
            return _render_problem(failure)
        endpoint: Endpoint | None = current_environ().get(ENDPOINT)
        status = failure.status
        if isinstance(failure.error, Unauthenticated):
            return self._refuse()
        is_denied = status == HTTPStatus.FORBIDDEN and not isinstance(failure.error, QuotaExceeded)
        if is_denied or (failure.error is None and status in BARE):
            return empty(status)
        if endpoint is not None and status in endpoint.bare:
            return empty(status)
        if isinstance(failure.error, Frozen):
            return render_plain(failure)
        if endpoint is not None and endpoint.has_plain_errors and status not in BEFORE:
            text = f"ValidationErrorXO{{id='*', message='{failure.message}'}}"
            return Response(text, status, mimetype="text/plain")
        return _render_json(failure)

    def _refuse(self) -> Response:
        """Ask for a login, unless nobody has tried one and logins are not needed in general.

        Pages, which send ``X-Nexus-UI``, are not asked: the browser would open a dialog.
        """
        header = request.headers.get("Authorization")
        has_tried = header is not None and parse_basic(header) != Credentials("", "")
        options = self._options.get(ANONYMOUS_OPTIONS, AnonymousOptions)
        if not has_tried and (options.enabled or request.headers.get("X-Nexus-UI") == "true"):
            return empty(HTTPStatus.FORBIDDEN)
        response = empty(HTTPStatus.UNAUTHORIZED)
        response.headers["WWW-Authenticate"] = self._challenge
        return response


def empty(status: int) -> Response:
    """Return a response without a body, and so without a media type."""
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def _without_field(failure: Failure) -> str:
    """Return the message of a failure without the name of the field in front of it."""
    field: str | None = getattr(failure.error, "field", None)
    return failure.message.removeprefix(f"{field}: ") if field else failure.message


def _render_json(failure: Failure) -> Response:
    error = failure.error
    message = _without_field(failure)
    told: Any = {"id": "*", "message": f'"{message}"'}
    if isinstance(error, InvalidInput):
        told = [each.model_dump() for each in error.problems]
    elif isinstance(error, Invalid) and error.field:
        told = [{"id": error.field, "message": message}]
    elif failure.message.startswith("Could not process the input"):
        told["message"] = failure.message
    return Response(json.dumps(told, indent=2), failure.status, mimetype=JSON)


def _render_problem(failure: Failure) -> Response:
    error = failure.error
    wrong = None
    if isinstance(error, InvalidInput):
        wrong = [
            FieldProblem(field=each.id.removeprefix(PARAMETER), message=each.message)
            for each in error.problems
        ]
    elif isinstance(error, Invalid) and error.field:
        wrong = [FieldProblem(field=error.field, message=_without_field(failure))]
    told = ProblemDetails(
        title=HTTPStatus(failure.status).phrase,
        status=failure.status,
        detail=failure.message,
        errors=wrong,
    )
    text = told.model_dump_json(indent=2, exclude_none=True)
    return Response(text, failure.status, mimetype=PROBLEM_JSON)
