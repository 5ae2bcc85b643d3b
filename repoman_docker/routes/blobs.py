"""Blobs and their uploads (OCI distribution-spec, Pulling, Pushing and Deleting blobs)."""

from flask import Response

from repoman.plugin import (
    Upload,
    body_length,
    current_actor,
    current_environ,
    note_pull,
    receive_body,
    send_content,
)
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.ranges import check_length, parse_content_range, render_range
from repoman_docker.protocol.reference import Digest, Route, parse_algorithm, parse_name
from repoman_docker.routes.access import (
    address,
    blob_address,
    current_request,
    empty,
    may_mount,
    repository,
)


def get_blob(route: Route) -> Response:
    """Answer GET and HEAD of a blob: 200, 206, 304 or 416."""
    digest = Digest.parse(route.reference)
    blobs = repository().blobs
    find = blobs.head if current_environ()["REQUEST_METHOD"] == "HEAD" else blobs.get
    response = send_content(find(route.name, digest))
    note_pull(f"{route.name}@{route.reference}", "pull blob")
    return response


def delete_blob(route: Route) -> Response:
    """Answer DELETE of a blob: 202."""
    repository().blobs.delete(route.name, Digest.parse(route.reference))
    return empty(202, {})


def start_upload(route: Route) -> Response:
    """Answer POST: 201 for a mount or a whole blob, else 202 and a session."""
    args = current_request().args
    if "mount" in args and _mount(route):
        return _created(route, Digest.parse(args["mount"]))
    if "digest" in args and "mount" not in args:
        return _take_whole(route)
    algorithm = parse_algorithm(args.get("digest-algorithm", "sha256"))
    upload = repository().uploads.start(route.name, current_actor().owner, algorithm)
    response = _state(route, upload, 202)
    if length := repository().settings.chunk_min_length:
        response.headers["OCI-Chunk-Min-Length"] = str(length)
    return response


def get_upload(route: Route) -> Response:
    """Answer GET: 204 with the range that has arrived."""
    return _state(route, _find(route), 204)


def append_upload(route: Route) -> Response:
    """Answer PATCH, a chunk or a stream: 202."""
    upload = _find(route)
    start, announced = _announced()
    uploads = repository().uploads
    with receive_body(current_environ(), lambda: uploads.open(upload, start)) as sink:
        _check_received(announced, sink.received)
    return _state(route, upload, 202)


def finish_upload(route: Route) -> Response:
    """Answer PUT, with the last chunk, the whole blob or no body: 201."""
    upload = _find(route)
    digest = _digest()
    start, announced = _announced()
    uploads = repository().uploads
    with receive_body(current_environ(), lambda: uploads.open(upload, start)) as sink:
        _check_received(announced, sink.received)
        uploads.finish(upload, sink, digest)
    return _created(route, digest)


def cancel_upload(route: Route) -> Response:
    """Answer DELETE: 204."""
    repository().uploads.cancel(_find(route))
    return empty(204, {})


def _mount(route: Route) -> bool:
    args = current_request().args
    source, digest = args.get("from"), Digest.parse(args["mount"])
    if source is not None:
        parse_name(source)
    if not may_mount(source, str(digest)):
        return False  # as if the blob did not exist: the client uploads it
    return repository().blobs.mount(route.name, digest, source)


def _take_whole(route: Route) -> Response:
    digest = _digest()
    uploads = repository().uploads
    with receive_body(
        current_environ(), lambda: uploads.open_blob_upload(route.name, digest)
    ) as upload:
        uploads.finish_blob_upload(route.name, upload, digest)
    return _created(route, digest)


def _find(route: Route) -> Upload:
    return repository().uploads.get(route.name, route.reference, current_actor().owner)


def _digest() -> Digest:
    text = current_request().args.get("digest")
    if not text:
        raise RegistryError(ErrorCode.DIGEST_INVALID, "The parameter digest is missing.")
    return Digest.parse_supported(text)


def _announced() -> tuple[int | None, int | None]:
    """Return the start and the length of the chunk, as far as the client states them."""
    header = current_environ().get("HTTP_CONTENT_RANGE")
    if header is None:
        return None, None
    start, end = parse_content_range(header)
    length = body_length(current_environ())
    if length is not None:
        check_length(start, end, length)
    return start, end - start + 1


def _check_received(announced: int | None, received: int) -> None:
    if announced is not None:
        check_length(0, announced - 1, received)


def _state(route: Route, upload: Upload, status: int) -> Response:
    headers = {
        "Location": address(f"{route.name}/blobs/uploads/{upload.id}"),
        "Range": render_range(repository().uploads.offset(upload)),
        "Docker-Upload-UUID": upload.id,
    }
    return empty(status, headers)


def _created(route: Route, digest: Digest) -> Response:
    headers = {"Location": blob_address(route, digest), "Docker-Content-Digest": str(digest)}
    return empty(201, headers)
