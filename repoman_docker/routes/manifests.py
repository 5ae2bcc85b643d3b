"""Manifests: GET, HEAD, PUT, DELETE (OCI distribution-spec, Pulling and Pushing manifests)."""

from functools import partial

from flask import Response, request

from repoman.plugin import current_environ, note_pull, read_body, send_content
from repoman_docker.protocol.errors import ErrorCode, MissingBlob, RegistryError
from repoman_docker.protocol.reference import (
    Digest,
    Route,
    Tag,
    full_name,
    parse_reference,
    parse_tag,
)
from repoman_docker.routes.access import (
    address,
    check_delete,
    check_move,
    check_tags,
    empty,
    may_mount,
    repository,
)
from repoman_docker.service import RegistryFailure


def get_manifest(route: Route) -> Response:
    """Answer GET and HEAD: 200 or 304. Serves the stored manifest, whatever Accept says."""
    manifests = repository().manifests
    find = manifests.head if request.method == "HEAD" else manifests.get
    response = send_content(find(route.name, _reference(route)))
    note_pull(full_name(route.name, route.reference))
    return response


def put_manifest(route: Route) -> Response:
    """Answer PUT: 201."""
    reference = parse_reference(route.reference)
    tags = tuple(parse_tag(text) for text in request.args.getlist("tag"))
    check_tags(route.name, tags)
    manifests = repository().manifests
    manifests.check_push(route.name, reference)
    body = read_body(current_environ(), repository().settings.manifest_limit)
    content_type = request.headers.get("Content-Type")
    put = partial(
        manifests.put,
        route.name,
        reference,
        tags,
        body,
        content_type,
        partial(check_move, route.name),
    )
    try:
        stored = put()
    except RegistryFailure as failure:
        if not _obtain_missing(route.name, failure.error):
            raise
        stored = put()
    headers = {
        "Location": address(f"{route.name}/manifests/{stored.digest}"),
        "Docker-Content-Digest": str(stored.digest),
    }
    if stored.subject is not None:
        headers["OCI-Subject"] = str(stored.subject)
    if tags:
        headers["OCI-Tag"] = ", ".join(tags)
    return empty(201, headers)


def _obtain_missing(name: str, error: RegistryError) -> bool:
    """Get the blobs that a refused manifest lacks; return whether the image now has them all.

    A group gets them from the members that serve its pulls: clients that only set another tag do
    not push what they can pull. A blob is linked only if the user may read it.
    """
    lacking = [each.digest for each in error.errors if isinstance(each, MissingBlob)]
    blobs = repository().blobs
    return bool(lacking) and all(
        may_mount(name, digest) and blobs.obtain(name, Digest.parse(digest)) for digest in lacking
    )


def delete_manifest(route: Route) -> Response:
    """Answer DELETE of a tag or a manifest: 202."""
    check = partial(check_delete, route.name)
    repository().manifests.delete(route.name, _reference(route), check)
    return empty(202, {})


def _reference(route: Route) -> Digest | Tag:
    """Return the reference of a read request; an invalid tag counts as unknown."""
    try:
        return parse_reference(route.reference)
    except RegistryError as error:
        if error.code is ErrorCode.TAG_INVALID:
            raise RegistryError(ErrorCode.MANIFEST_UNKNOWN, error.message) from error
        raise
