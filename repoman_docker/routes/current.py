"""What the routes share: the repository of the request, and addresses for the client."""

import json
from typing import cast

from flask import Response, request

from repoman.plugin import current_repository
from repoman_docker.protocol.paths import Route, match
from repoman_docker.service import DockerRepository

VIEW = "repoman_docker.view"  # environ: the services in place of the repository's own


def speaks(path: str) -> bool:
    """Return whether a path is one of the registry's API, in either version."""
    return path.removeprefix("/").partition("/")[0] in ("v1", "v2", "_ping")


def current_route() -> Route | None:
    """Return what the address of the request names, or None if it is none of this API."""
    return route_of(request.path)


def route_of(path: str) -> Route | None:
    """Return what a path names, or None if it is none of this API."""
    root, _, rest = path.removeprefix("/").partition("/")
    return match(rest) if root == "v2" else None


def name_of(path: str) -> str:
    """Return the image name in a path; of any other path all of it, which is no image's name."""
    route = route_of(path)
    return path if route is None else route.name or path


def repository() -> DockerRepository:
    """Return the services of the repository that the request came to."""
    return cast("DockerRepository", request.environ.get(VIEW) or current_repository().service)


def address(path: str) -> str:
    """Return a path below ``/v2/`` as the client reaches it.

    It has no scheme and no host, so that it is right behind any proxy; the prefix comes from the
    way the request took (a connector, ``/repository/<name>``, a proxy's path).
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
    if status != 204:  # which must not have one
        response.headers["Content-Length"] = "0"
    response.headers.pop("Content-Type", None)
    return response
