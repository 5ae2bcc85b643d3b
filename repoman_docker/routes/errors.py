"""Error responses: every failure as the JSON of the registry API, with a readable message."""

from flask import Response, request

from repoman.plugin import (
    Conflict,
    Denied,
    Failure,
    NotFound,
    RangeInvalid,
    ReadOnly,
    RepomanError,
    StorageFull,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unsupported,
    UpstreamBlocked,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from repoman_docker.protocol.errors import ErrorCode, RegistryError, render_errors
from repoman_docker.protocol.ranges import render_range
from repoman_docker.protocol.reference import Resource
from repoman_docker.routes.access import challenge, current_route
from repoman_docker.service import RegistryFailure

CODES: dict[type[RepomanError], ErrorCode] = {
    Unauthenticated: ErrorCode.UNAUTHORIZED,
    Denied: ErrorCode.DENIED,
    ReadOnly: ErrorCode.DENIED,
    Unsupported: ErrorCode.UNSUPPORTED,
    TooLarge: ErrorCode.SIZE_INVALID,
    Conflict: ErrorCode.BLOB_UPLOAD_INVALID,
    RangeInvalid: ErrorCode.RANGE_INVALID,
    StorageFull: ErrorCode.DENIED,
    Unavailable: ErrorCode.UNAVAILABLE,
    UpstreamUnavailable: ErrorCode.UNAVAILABLE,
    UpstreamBlocked: ErrorCode.UNAVAILABLE,
    UpstreamRefused: ErrorCode.UNAVAILABLE,
    TooManyRequests: ErrorCode.TOOMANYREQUESTS,
    UpstreamRateLimited: ErrorCode.TOOMANYREQUESTS,
}
NOT_FOUND = {  # for content in the database whose bytes are missing
    Resource.BLOB: ErrorCode.BLOB_UNKNOWN,
    Resource.MANIFEST: ErrorCode.MANIFEST_UNKNOWN,
    Resource.UPLOAD: ErrorCode.BLOB_UPLOAD_UNKNOWN,
}
BY_STATUS = {
    400: ErrorCode.UNSUPPORTED,
    404: ErrorCode.NAME_UNKNOWN,
    405: ErrorCode.UNSUPPORTED,
    413: ErrorCode.SIZE_INVALID,
}


def render_registry_error(error: RegistryError) -> Response:
    """Return the response for an error of the protocol."""
    response = Response(render_errors(error), error.status, mimetype="application/json")
    response.headers.update(error.headers)
    return response


def render_failure(failure: Failure) -> Response:
    """Return the response for a failure that the core reports."""
    if isinstance(failure.error, RegistryFailure):
        return render_registry_error(failure.error.error)
    headers = {}
    if isinstance(failure.error, Unauthenticated) and (way := challenge()) is not None:
        headers = {"WWW-Authenticate": way}
    if isinstance(failure.error, RangeInvalid):
        # The session stays open: the client learns its address and the next byte.
        headers = {
            "Location": request.script_root + request.path,
            "Range": render_range(failure.error.offset),
        }
    code = _code_of(failure)
    error = RegistryError(code, failure.message, status=failure.status, headers=headers)
    return render_registry_error(error)


def _code_of(failure: Failure) -> ErrorCode:
    usual = BY_STATUS.get(failure.status, ErrorCode.UNKNOWN)
    if isinstance(failure.error, NotFound):
        route = current_route()
        return usual if route is None else NOT_FOUND.get(route.resource, usual)
    return next((CODES[kind] for kind in type(failure.error).__mro__ if kind in CODES), usual)
