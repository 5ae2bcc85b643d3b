"""Blobs: GET, HEAD, DELETE (OCI distribution-spec, Pulling blobs, Deleting blobs)."""

from flask import Response, request

from repoman.plugin import note_pull, send_content
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.paths import Route
from repoman_docker.routes.current import empty, repository


def get_blob(route: Route) -> Response:
    """Answer GET and HEAD of a blob: 200, 206, 304 or 416."""
    digest = Digest.parse(route.reference)
    blobs = repository().blobs
    find = blobs.head if request.method == "HEAD" else blobs.get
    response = send_content(find(route.name, digest))
    note_pull(f"{route.name}@{digest}", "pull blob")
    return response


def delete_blob(route: Route) -> Response:
    """Answer DELETE of a blob: 202."""
    repository().blobs.delete(route.name, Digest.parse(route.reference))
    return empty(202, {})
