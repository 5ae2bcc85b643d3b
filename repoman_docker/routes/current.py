"""What the routes share: the repository of the request, and addresses for clients."""

import json
from typing import cast

from flask import Response, request

from repoman.plugin import current_repository
from repoman_docker.protocol.paths import Route, match
from repoman_docker.service import DockerRepository

VIEW = "repoman_docker.view"  # environ: the services that replace those of the repository


def speaks(path: str) -> bool:
    """Return whether a path belongs to the registry API, in either version."""
    return path.removeprefix("/").partition("/")[0] in ("v1", "v2", "_ping")


def current_route() -> Route | None:
    """Return the parsed path of the request, or None if it is not of this API."""
    return route_of(request.path)


def route_of(path: str) -> Route | None:
    """Return a parsed path, or None if it is not of this API."""
    root, _, rest = path.removeprefix("/").partition("/")
    return match(rest) if root == "v2" else None


def name_of(path: str) -> str:
    """Return the image name in a path; any other path is returned whole."""
    route = route_of(path)
    return path if route is None else route.name or path


def repository() -> DockerRepository:
    """Return the services of the repository of the request."""
    return cast("DockerRepository", request.environ.get(VIEW) or current_repository().service)


def address(path: str) -> str:
    """Return a path below ``/v2/`` as the client reaches it.

    It has no scheme and no host, so that it works behind any proxy; the prefix depends on how the
    request arrived (a connector, ``/repository/<name>``, a proxy's path).
    """
    return f"{request.script_root}/v2/{path}"


def blob_address(route: Route, digest: object) -> str:
    """Return the address of a blob of the request's image."""
    return address(f"{route.name}/blobs/{digest}")


def answer(body: object, status: int = 200) -> Response:
    """Return a response with a JSON body."""
    return Response(json.dumps(body).encode(), status, mimetype="application/json")


def empty(status: int, headers: dict[str, str]) -> Response:
    """Return a response without a body."""
    response = Response(status=status, headers=headers)
    if status != 204:  # a 204 must not have one
        response.headers["Content-Length"] = "0"
    response.headers.pop("Content-Type", None)
    return response
