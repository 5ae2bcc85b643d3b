"""The registry API V2: one route that finds the resource, then its handler.

Image names contain slashes and even words like ``blobs``, so :mod:`repoman_docker.protocol.paths`
parses the path from the right, not the patterns of the router.
"""

from collections.abc import Callable, Mapping

from flask import Blueprint, Response, request

from repoman.plugin import allow_caching
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.paths import Resource, Route, match
from repoman_docker.protocol.reference import parse_name
from repoman_docker.routes import blobs, lists, manifests, uploads
from repoman_docker.routes.access import check_ping, check_scopes
from repoman_docker.routes.current import current_route
from repoman_docker.routes.errors import render_registry_error
from repoman_docker.routes.namespace import check_namespace

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
    Resource.UPLOAD_START: {"POST": uploads.start_upload},
    Resource.UPLOAD: {
        "GET": uploads.get_upload,
        "PATCH": uploads.append_upload,
        "PUT": uploads.finish_upload,
        "DELETE": uploads.cancel_upload,
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
    route = match(path)
    if route is None:
        raise RegistryError(
            ErrorCode.NAME_UNKNOWN,
            "This is not an address of the registry API.",
            {"path": path[:200]},
        )
    method, handlers = request.method, HANDLERS[route.resource]
    handler = handlers.get("GET" if method == "HEAD" else method)
    if handler is None:
        raise _unsupported(handlers)
    if route.name or route.resource not in (Resource.BASE, Resource.CATALOG):
        parse_name(route.name)
    check_scopes(route)
    namespace = check_namespace()
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
        f"The method {request.method} is not allowed here.",
        headers={"Allow": ", ".join(allowed)},
    )
