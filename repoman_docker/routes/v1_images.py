"""Version 1, what is about images: their JSON, what is below them, and their layers."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from flask import Response, request

from repoman.plugin import Content, NotFound, Unsupported, send_content
from repoman_docker.protocol.media_types import JSON, OCTET_STREAM
from repoman_docker.protocol.v1_ids import EMPTY_LAYER, EMPTY_LAYER_DIGEST, is_image_id
from repoman_docker.routes.current import answer, repository
from repoman_docker.routes.v1_rights import may_pull
from repoman_docker.service import V1Image

Handler = Callable[[str], Response]  # of an image id

IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
LONG_AGO = 0.0  # when each image was last changed, as these clients are told


def get_json(image_id: str) -> Response:
    """Answer the JSON of an image, and how long its layer is as :func:`get_layer` sends it."""
    image = _find(image_id)
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
    """Answer the ids from an image down to the lowest."""
    response = answer(list(_find(image_id).ancestry))
    response.headers.update(IMMUTABLE)
    return response


def get_layer(image_id: str) -> Response:
    """Answer the layer of an image as it is stored, whole or a range."""
    return send_content(_layer(_find(image_id)))


def _layer(image: V1Image) -> Content:
    digest = image.layer.digest
    if str(digest) == EMPTY_LAYER_DIGEST:  # which images may have that no manifest has it in
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


HANDLERS: Mapping[str, Mapping[str, Handler]] = {
    "json": {"GET": get_json},
    "ancestry": {"GET": get_ancestry},
    "layer": {"GET": get_layer},
}


def serve(path: str) -> Response:
    """Answer a request below ``/v1/images/``."""
    image_id, _, what = path.rstrip("/").partition("/")
    handlers = HANDLERS.get(what)
    if handlers is None:
        raise NotFound("There is nothing at this address of the V1 API.")
    if not is_image_id(image_id):
        raise NotFound("Invalid image ID")
    handler = handlers.get("GET" if request.method == "HEAD" else request.method)
    if handler is None:
        raise Unsupported(f"{request.method} is not possible here.")
    return handler(image_id)
