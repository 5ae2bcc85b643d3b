"""The V1 routes for images: their JSON, their ancestry, and their layers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from flask import Response, request

from repoman.plugin import (
    Content,
    Invalid,
    NotFound,
    Unavailable,
    Unsupported,
    current_environ,
    note_pull,
    read_body,
    receive_body,
    send_content,
)
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.media_types import JSON, OCTET_STREAM
from repoman_docker.protocol.v1 import EMPTY_LAYER, EMPTY_LAYER_DIGEST, is_image_id
from repoman_docker.routes.access import answer, repository
from repoman_docker.routes.v1_rights import actor_as_pusher, check_blob, current_pusher, may_pull
from repoman_docker.service import RegistryFailure, V1Image

Handler = Callable[[str], Response]  # of an image id

IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
JSON_MAX_BYTES = 1 << 20  # maximum bytes of an image's JSON
# In order of preference; the second is a spelling in some tests.
CHECKSUMS = ("X-Docker-Checksum-Payload", "X-Docker-Payload-Checksum", "X-Docker-Checksum")
NO_CHECKSUM = "Missing Image's checksum"
LONG_AGO = 0.0  # the modification time of each image for these clients

_SHA256 = re.compile(r"sha256:([a-f0-9]{64})")


def get_json(image_id: str) -> Response:
    """Return the JSON of an image, and the length of its layer as :func:`get_layer` sends it."""
    image = _find_pushed(image_id) or _find(image_id)
    check_blob(image.name, image.layer.digest)
    headers = {**IMMUTABLE, "X-Docker-Size": str(image.layer.size)}
    if image.checksum:
        headers["X-Docker-Checksum-Payload"] = f"sha256:{image.checksum}"
    return send_content(
        Content(
            size=len(image.json),
            media_type=JSON,
            open=lambda: image.json,
            etag=f"{image.id}-json",
            last_modified=LONG_AGO,
            headers=headers,
        )
    )


def get_ancestry(image_id: str) -> Response:
    """Return the ids from an image down to the lowest."""
    response = answer(list(_find(image_id).ancestry))
    response.headers.update(IMMUTABLE)
    return response


def get_layer(image_id: str) -> Response:
    """Return the layer of an image as it is stored, whole or a range."""
    image = _find(image_id)
    check_blob(image.name, image.layer.digest)
    response = send_content(_layer(image))
    note_pull(f"{image.name}@{image_id}")
    return response


def put_json(image_id: str) -> Response:
    """Store the JSON of an image."""
    pushes, pusher = repository().v1_pushes(None), current_pusher()
    body = read_body(current_environ(), JSON_MAX_BYTES)
    pushes.put_json(pusher, image_id, body)
    return answer(True)


def put_layer(image_id: str) -> Response:
    """Store the layer of an image."""
    pushes, pusher = repository().v1_pushes(None), current_pusher()
    with receive_body(current_environ(), lambda: pushes.open_layer(pusher, image_id)) as upload:
        pushes.put_layer(pusher, image_id, upload)
    return answer(True)


def put_checksum(image_id: str) -> Response:
    """Verify the checksum of an image, which completes it."""
    pushes, pusher = repository().v1_pushes(None), current_pusher()
    pushes.finish_image(pusher, image_id, _sent_checksum())
    return answer(True)


def _sent_checksum() -> str:
    """Return the sha256 of JSON and layer that an engine sent, in hex; empty for old engines."""
    found = [each for each in CHECKSUMS if each in request.headers]
    if not found:
        raise RegistryError(ErrorCode.DIGEST_INVALID, NO_CHECKSUM, status=412)
    sent = request.headers[found[0]].strip()
    if not sent:
        raise Invalid(NO_CHECKSUM)
    payload = _SHA256.fullmatch(sent)
    if payload is not None:
        return payload[1]
    # Engines before 0.10 send only a checksum of the files in the tar, which is not sufficient.
    if found[0] == CHECKSUMS[-1] and sent.startswith("tarsum"):
        return ""
    raise Invalid("The checksum of the image must be sha256: followed by 64 hexadecimal digits.")


def _layer(image: V1Image) -> Content:
    digest = image.layer.digest
    if str(digest) == EMPTY_LAYER_DIGEST:  # images may have it although no manifest lists it
        return Content(
            size=len(EMPTY_LAYER),
            media_type=OCTET_STREAM,
            open=lambda: EMPTY_LAYER,
            etag=str(digest),
            last_modified=LONG_AGO,
            headers=IMMUTABLE,
        )
    content = repository().blobs.get(image.name, digest)
    return replace(content, media_type=OCTET_STREAM, last_modified=LONG_AGO)


def _find(image_id: str) -> V1Image:
    return repository().v1_images.find(image_id, may_pull)


def _find_pushed(image_id: str) -> V1Image | None:
    """Return an image for an engine that has announced it and is about to push it.

    The engine does not push an existing image, so only the repository of the push counts, not the
    other members of a group.
    """
    try:
        pushes = repository().v1_pushes(None)
    except (Unavailable, Unsupported, RegistryFailure):  # a group, a proxy
        return None
    return pushes.find(actor_as_pusher(), image_id)


HANDLERS: Mapping[str, Mapping[str, Handler]] = {
    "json": {"GET": get_json, "PUT": put_json},
    "ancestry": {"GET": get_ancestry},
    "layer": {"GET": get_layer, "PUT": put_layer},
    "checksum": {"PUT": put_checksum},
}


def serve(path: str) -> Response:
    """Answer a request below ``/v1/images/``."""
    image_id, _, what = path.rstrip("/").partition("/")
    handlers = HANDLERS.get(what)
    if handlers is None:
        raise NotFound("This is not an address of the V1 API.")
    if not is_image_id(image_id):
        raise NotFound("Invalid image ID")
    handler = handlers.get("GET" if request.method == "HEAD" else request.method)
    if handler is None:
        raise Unsupported(f"The method {request.method} is not allowed here.")
    return handler(image_id)
