"""Both versions of the registry API at one address: selects the version for a request."""

from http import HTTPStatus

from flask import Request, Response, request

from repoman.plugin import Access, Failure, bearer_token
from repoman_docker.routes import access, errors, v1, v1_rights, v2


def access_of(request: Request) -> Access | None:
    """Return the access that a request needs; None if none, not even a valid login."""
    if v1.is_v1(request.path):
        return v1.access_of(request)
    return access.access_of(request)


def token_of(request: Request) -> str | None:
    """Return the token of a request of either API."""
    if v1.is_v1(request.path) and (token := v1_rights.token_of(request)) is not None:
        return token
    return bearer_token(request)


def render_failure(failure: Failure) -> Response:
    """Return the response for a failure, in the format of the API of the request."""
    if v1.is_v1(request.path):
        return v1.render_failure(failure)
    return errors.render_failure(failure)


@v2.v2.app_errorhandler(HTTPStatus.METHOD_NOT_ALLOWED)
def _unknown_method(_: Exception) -> Response:
    return v1.unknown_method() if v1.is_v1(request.path) else v2.unknown_method()
