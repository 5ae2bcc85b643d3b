"""A tag set by version 1: its chain of images becomes one manifest of version 2, written once.

All images of the chain are made images of the name, with their layers as its blobs, in the same
transaction as the tag.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repoman.plugin import (
    BlobStore,
    ContentStore,
    NewAsset,
    NotFound,
    StoredBlob,
    store_bytes,
)
from repoman_docker.hosted.assets import new_blob
from repoman_docker.layout import blob_path, v1_image_path
from repoman_docker.protocol import media_types
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.reference import Tag
from repoman_docker.protocol.v1_ids import EMPTY_LAYER, EMPTY_LAYER_DIGEST
from repoman_docker.protocol.v1_json import history_of, parse_fields, render_config
from repoman_docker.service import (
    CheckMove,
    ManifestService,
    Pusher,
    StoredManifest,
    V1Image,
    V1Images,
)
from repoman_docker.v1.records import ImageRecord, new_chain


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chain of images, ready to be stored under a name."""

    ancestry: tuple[str, ...]
    assets: list[NewAsset]
    manifest: bytes


class Tagging:
    """Sets tags of a hosted repository to images of version 1."""

    def __init__(
        self, content: ContentStore, blobs: BlobStore, manifests: ManifestService, images: V1Images
    ) -> None:
        self._content = content
        self._blobs = blobs
        self._manifests = manifests
        self._images = images

    def put(
        self, name: str, tag: Tag, pusher: Pusher, image_id: str, check_move: CheckMove
    ) -> StoredManifest:
        """Set a tag to an image; see :class:`repoman_docker.service.V1Pushes`."""
        chain = self._prepare(name, pusher, image_id)
        blob = store_bytes(self._blobs, chain.manifest)
        media_type = media_types.DOCKER_MANIFEST
        with self._content.transaction():
            for asset in chain.assets:
                self._content.save_asset(asset)
            stored = self._manifests.put(name, tag, (), chain.manifest, media_type, check_move)
            self._content.save_asset(
                new_chain(name, stored.digest, blob, media_type, chain.ancestry)
            )
        return stored

    def _prepare(self, name: str, pusher: Pusher, image_id: str) -> Prepared:
        """Store the bytes of what is to be stored, and return it; one JSON in memory at a time."""
        fields: dict[str, Any] = {}
        histories: list[dict[str, Any]] = []
        layers: list[Descriptor] = []
        diff_ids: list[str] = []
        assets: list[NewAsset] = []
        ancestry = self._find(image_id, name, pusher).ancestry
        for each in reversed(ancestry):
            image = self._find(each, name, pusher)
            fields = parse_fields(image.json)
            histories.append(history_of(fields))
            layers.append(image.layer)
            diff_ids.append(image.diff_id)
            assets.extend(self._adopt(name, image, pusher))
        config = render_config(fields, histories, diff_ids)
        stored = store_bytes(self._blobs, config)
        digest = Digest("sha256", stored.digest)
        assets.append(new_blob(name, digest, stored))
        manifest = render_manifest(
            Descriptor(media_types.DOCKER_CONFIG, digest, len(config)), layers
        )
        return Prepared(ancestry, assets, manifest)

    def _find(self, image_id: str, name: str, pusher: Pusher) -> V1Image:
        return self._images.find(image_id, lambda other: other == name or pusher.may_read(other))

    def _adopt(self, name: str, image: V1Image, pusher: Pusher) -> list[NewAsset]:
        """Return what makes an image one of the name; nothing if it is."""
        if v1_image_path(image.id, name) in self._content.existing([v1_image_path(image.id, name)]):
            return []
        record = ImageRecord(
            actor=pusher.actor,
            ancestry=image.ancestry,
            layer=image.layer,
            diff_id=image.diff_id,
            checksum=image.checksum,
            is_complete=True,
        )
        json_blob = store_bytes(self._blobs, image.json)
        layer = self._blob_of(image)
        return [new_blob(name, image.layer.digest, layer), record.asset(name, json_blob)]

    def _blob_of(self, image: V1Image) -> StoredBlob:
        if str(image.layer.digest) == EMPTY_LAYER_DIGEST:
            return store_bytes(self._blobs, EMPTY_LAYER)
        asset = self._content.find_asset(blob_path(image.name, image.layer.digest))
        if asset is None:
            raise NotFound(f"The layer of the image {image.id} is not here.")
        return StoredBlob(asset.digest, asset.size)


def render_manifest(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """Return a manifest of docker's schema 2, always in the same bytes."""
    fields = {
        "schemaVersion": 2,
        "mediaType": media_types.DOCKER_MANIFEST,
        "config": _descriptor(config),
        "layers": [_descriptor(_as_docker(each)) for each in layers],
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def _as_docker(layer: Descriptor) -> Descriptor:
    """Return a layer under the media type that docker's manifests have for it."""
    is_gzip = layer.media_type in (media_types.OCI_LAYER_GZIP, media_types.DOCKER_LAYER)
    media_type = media_types.DOCKER_LAYER if is_gzip else media_types.DOCKER_LAYER_TAR
    return Descriptor(media_type, layer.digest, layer.size)


def _descriptor(each: Descriptor) -> dict[str, object]:
    return {"mediaType": each.media_type, "size": each.size, "digest": str(each.digest)}
