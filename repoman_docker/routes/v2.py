"""The registry API V2: one route that finds the resource, then its handler; and the choice of V1.

Image names contain slashes and even words like ``blobs``, so paths are parsed from the right,
and not by the patterns of the router.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from flask import Blueprint, Request, Response

from repoman.plugin import Access, Credentials, Failure, allow_caching, bearer_token
from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted
from repoman_docker.protocol.reference import Resource, Route, parse_name
from repoman_docker.routes import access, blobs, errors, lists, manifests, tokens, v1, v1_rights
from repoman_docker.routes.access import (
    TOKEN_PATH,
    VIEW,
    check_ping,
    check_scopes,
    current_request,
    current_route,
    is_v1,
    repository,
)
from repoman_docker.routes.errors import render_registry_error

API_VERSION = "Docker-Distribution-Api-Version"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

Handler = Callable[[Route], Response]

v2 = Blueprint("docker_v2", __name__)


def _base(_: Route) -> Response:
    check_ping()
    allow_caching()
    return Response(b"{}", mimetype="application/json")


HANDLERS: Mapping[Resource, Mapping[str, Handler]] = {
    Resource.BASE: {"GET": _base},
    Resource.CATALOG: {"GET": lists.get_catalog},
    Resource.BLOB: {"GET": blobs.get_blob, "DELETE": blobs.delete_blob},
    Resource.UPLOAD_START: {"POST": blobs.start_upload},
    Resource.UPLOAD: {
        "GET": blobs.get_upload,
        "PATCH": blobs.append_upload,
        "PUT": blobs.finish_upload,
        "DELETE": blobs.cancel_upload,
    },
    Resource.MANIFEST: {
        "GET": manifests.get_manifest,
        "PUT": manifests.put_manifest,
        "DELETE": manifests.delete_manifest,
    },
    Resource.TAGS: {"GET": lists.get_tags},
    Resource.REFERRERS: {"GET": lists.get_referrers},
}


@v2.route("/v2", methods=METHODS, provide_automatic_options=False)
@v2.route("/v2/<rest:path>", methods=METHODS, provide_automatic_options=False)
def serve(path: str = "") -> Response:
    """Answer any request of the API."""
    route = current_route()
    if route is None:
        raise RegistryError(
            ErrorCode.NAME_UNKNOWN,
            "This is not an address of the registry API.",
            {"path": path[:200]},
        )
    request = current_request()
    method, handlers = request.method, HANDLERS[route.resource]
    handler = handlers.get("GET" if method == "HEAD" else method)
    if handler is None:
        raise _unsupported(handlers)
    if route.name or route.resource not in (Resource.BASE, Resource.CATALOG):
        parse_name(route.name)
    check_scopes(route)
    namespace = check_namespace() if request.query_string and "ns" in request.args else None
    response = handler(route)
    if namespace is not None:
        response.headers["OCI-Namespace"] = namespace
    return response


@v2.errorhandler(RegistryError)
def _registry_error(error: RegistryError) -> Response:
    return render_registry_error(error)


def unknown_method() -> Response:
    """Answer a method that no resource supports; the router refuses it before the dispatch."""
    route = current_route()
    return render_registry_error(_unsupported({} if route is None else HANDLERS[route.resource]))


@v2.after_app_request
def _mark(response: Response) -> Response:
    response.headers[API_VERSION] = "registry/2.0"
    return response


def _unsupported(handlers: Mapping[str, Handler]) -> RegistryError:
    allowed = [*handlers, *(["HEAD"] if "GET" in handlers else [])]
    return RegistryError(
        ErrorCode.UNSUPPORTED,
        f"The method {current_request().method} is not allowed here.",
        headers={"Allow": ", ".join(allowed)},
    )


def access_of(request: Request) -> Access | None:
    """Return the access that a request needs; None if none, not even a valid login."""
    if is_v1(request.path):
        return v1.access_of(request)
    return access.access_of(request)


def token_of(request: Request) -> str | None:
    """Return the token of a request of either API."""
    if "HTTP_AUTHORIZATION" not in request.environ:
        return None
    if is_v1(request.path) and (token := v1_rights.token_of(request)) is not None:
        return token
    return bearer_token(request)


def credentials_of(request: Request) -> Credentials | None:
    """Return the login in an OAuth2 form; None for every other request.

    Raises:
        Invalid: the body is not a form, or requests another grant.
        TooLarge: the form is too long.
    """
    is_form = request.path == TOKEN_PATH and request.method == "POST"
    return tokens.credentials_of_form() if is_form else None


def render_failure(failure: Failure) -> Response:
    """Return the response for a failure, in the format of the API of the request."""
    if is_v1(current_request().path):
        return v1.render_failure(failure)
    return errors.render_failure(failure)


@v2.app_errorhandler(HTTPStatus.METHOD_NOT_ALLOWED)
def _unknown_method(_: Exception) -> Response:
    return v1.unknown_method() if is_v1(current_request().path) else unknown_method()


def check_namespace() -> str | None:
    """Return the registry that the client names with ``ns``, if it matters for this repository.

    Afterwards :func:`repository` returns the view of that registry.

    Raises:
        RegistryError: NAME_UNKNOWN, this repository is not a mirror of that registry; the client
            continues with the next mirror.
    """
    request = current_request()
    asked = request.args["ns"]
    found = repository().as_mirror_of(asked)
    # Other letters may become those of a host in lower case, but a header cannot have them.
    if found is None or not (found.namespaces is None or asked.isascii()):
        raise RegistryError(
            ErrorCode.NAME_UNKNOWN,
            f"This repository is not a mirror of {quoted(asked)}.",
            {"ns": asked[:80]},
        )
    request.environ[VIEW] = found
    return None if found.namespaces is None else asked
