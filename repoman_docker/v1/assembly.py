"""Assembles a chain of images into one config and one manifest of Docker schema 2.

The same images always give the same bytes, so that a repeated push or fetch gives the same digest.
"""

import json
from typing import Any

from repoman.plugin import Invalid
from repoman_docker.protocol import media_types
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.reference import Digest
from repoman_docker.protocol.v1 import history_of, parse_fields, render_config
from repoman_docker.service import V1Image

HISTORY_MAX_BYTES = 4 << 20  # maximum bytes of the history of an image


class Assembly:
    """Takes images, the lowest first; keeps only the data it needs."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._histories: list[dict[str, Any]] = []
        self._diff_ids: list[str] = []
        self._layers: list[Descriptor] = []
        self._told = 0

    def add(self, image: V1Image) -> None:
        """Add the next image on top.

        Raises:
            BrokenJson: its JSON is not valid.
            Invalid: the history of all images is too long.
        """
        self._top = parse_fields(image.json)
        history = history_of(self._top)
        self._told += len(json.dumps(history))
        if self._told > HISTORY_MAX_BYTES:
            raise Invalid(
                f"The history of the images exceeds {HISTORY_MAX_BYTES} bytes. "
                "Build the image with fewer layers or shorter commands."
            )
        self._histories.append(history)
        self._diff_ids.append(image.diff_id)
        self._layers.append(_as_docker(image.layer))

    def config(self) -> bytes:
        """Return the config."""
        return render_config(self._top, self._histories, self._diff_ids)

    def manifest(self, config: bytes) -> bytes:
        """Return the manifest, given the config."""
        digest = Digest.of("sha256", config)
        fields = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": _render(Descriptor(media_types.DOCKER_CONFIG, digest, len(config))),
            "layers": [_render(each) for each in self._layers],
        }
        return json.dumps(fields, separators=(",", ":")).encode()


def _as_docker(layer: Descriptor) -> Descriptor:
    """Return a layer with its media type in Docker manifests."""
    is_gzip = layer.media_type in (media_types.OCI_LAYER_GZIP, media_types.DOCKER_LAYER)
    media_type = media_types.DOCKER_LAYER if is_gzip else media_types.DOCKER_LAYER_TAR
    return Descriptor(media_type, layer.digest, layer.size)


def _render(each: Descriptor) -> dict[str, object]:
    return {"mediaType": each.media_type, "size": each.size, "digest": str(each.digest)}
