"""The records of V1 pushes, in addition to those of any push."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from repoman.plugin import Asset, ContentStore, NewAsset, Reference, StoredBlob
from repoman_docker.layout import (
    BLOB,
    V1_CHAIN,
    V1_IMAGE,
    V1_PUSH,
    blob_path,
    v1_announced_path,
    v1_chain_path,
    v1_image_path,
    v1_push_path,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.media_types import JSON
from repoman_docker.protocol.reference import Digest
from repoman_docker.service import V1Image
from repoman_docker.v1.reading import read_asset

BATCH_ASSETS = 100  # Tags, chains, images or pushes that are read at a time.


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A V1 image of an image name, complete or being pushed.

    Attributes:
        actor: who pushes it.
        ancestry: the ids from this image down to the lowest.
        layer: None until it has arrived.
        diff_id: the digest of the uncompressed layer.
        checksum: the sha256 of JSON and layer, in hex.
        is_complete: whether the checksum has arrived too; only then is the image visible.
    """

    actor: str
    ancestry: tuple[str, ...]
    layer: Descriptor | None = None
    diff_id: str = ""
    checksum: str = ""
    is_complete: bool = False

    @classmethod
    def of(cls, asset: Asset) -> Self:
        """Return the record in an asset."""
        fields: dict[str, Any] = dict(asset.attributes)
        layer = fields.pop("layer")
        if layer is not None:
            digest = Digest.parse(layer["digest"])
            layer = Descriptor(layer["media_type"], digest, layer["size"])
        return cls(**{**fields, "layer": layer, "ancestry": tuple(fields["ancestry"])})

    def asset(self, name: str, json: StoredBlob) -> NewAsset:
        """Return the asset of this record; ``json`` is that of the image."""
        return NewAsset(
            path=v1_image_path(self.ancestry[0], name),
            kind=V1_IMAGE,
            blob=json,
            media_type=JSON,
            attributes=self._attributes(),
            references=() if self.layer is None else (_to_blob(name, self.layer),),
        )

    def layer_paths(self, asset: Asset) -> tuple[str, ...]:
        """Return the path of the layer, if it has arrived; ``asset`` holds this record."""
        name = asset.path.removeprefix(v1_image_path(self.ancestry[0]))
        return () if self.layer is None else (blob_path(name, self.layer.digest),)

    def completed(self) -> Self:
        """Return the record as complete, and thus visible."""
        return replace(self, is_complete=True)

    def _attributes(self) -> Mapping[str, object]:
        layer = self.layer and {
            "media_type": self.layer.media_type,
            "digest": str(self.layer.digest),
            "size": self.layer.size,
        }
        return {
            "actor": self.actor,
            "ancestry": list(self.ancestry),
            "layer": layer,
            "diff_id": self.diff_id,
            "checksum": self.checksum,
            "is_complete": self.is_complete,
        }


def stored_image(content: ContentStore, asset: Asset, name: str) -> V1Image | None:
    """Return the image in an asset of ``name``; None if its JSON or layer is missing."""
    record = ImageRecord.of(asset)
    if record.layer is None or not content.has_bytes(asset):
        return None
    return V1Image(
        id=record.ancestry[0],
        json=read_asset(content, asset),
        ancestry=record.ancestry,
        name=name,
        layer=record.layer,
        diff_id=record.diff_id,
        checksum=record.checksum,
    )


def has_lost_layer(content: ContentStore, name: str, layer: Descriptor | None) -> bool:
    """Return whether the blob store has lost the bytes of a layer of an image name."""
    if layer is None:
        return False
    asset = content.find_asset(blob_path(name, layer.digest))
    return asset is not None and not content.has_bytes(asset)


def _to_blob(name: str, layer: Descriptor) -> Reference:
    return Reference(BLOB, blob_path(name, layer.digest))


def new_chain(
    name: str, digest: Digest, manifest: StoredBlob, media_type: str, ancestry: Iterable[str]
) -> NewAsset:
    """Return the asset with the images of which a manifest was made, the top one first."""
    ids = list(ancestry)
    return NewAsset(
        path=v1_chain_path(name, digest),
        kind=V1_CHAIN,
        blob=manifest,
        media_type=media_type,
        attributes={"id": ids[0]},
        references=tuple(Reference(V1_CHAIN, v1_image_path(each, name)) for each in ids),
    )


def new_push(name: str, actor: str, ids: Iterable[str], listed: StoredBlob) -> NewAsset:
    """Return the asset of a push: who may send which images for an image name.

    ``listed`` are the ids. One actor may have several concurrent pushes to one name.
    """
    named = sorted(set(ids))
    key = hashlib.sha256("\n".join(named).encode()).hexdigest()
    paths = (
        p for each in named for p in (v1_image_path(each, name), v1_announced_path(each, actor))
    )
    return NewAsset(
        path=v1_push_path(name, actor, key),
        kind=V1_PUSH,
        blob=listed,
        media_type=JSON,
        attributes={"actor": actor, "name": name},
        references=tuple(Reference(V1_PUSH, each) for each in paths),
    )


def chains_with(content: ContentStore, image: str, kind: str, after: str = "") -> Iterator[Asset]:
    """Yield the chains that refer to an image by its path, derived or pushed."""
    while chains := content.referring(image, kind, after, BATCH_ASSETS):
        yield from chains
        after = chains[-1].path


def chain_paths(content: ContentStore, name: str, digest: Digest) -> list[str]:
    """Return what is deleted with a manifest: its chain, and images of no other chain or push."""
    path = v1_chain_path(name, digest)
    asset = content.find_asset(path)
    if asset is None:
        return []
    top = content.find_asset(v1_image_path(asset.attributes["id"], name))
    ancestry = () if top is None else ImageRecord.of(top).ancestry
    images = [v1_image_path(each, name) for each in ancestry]
    return [path, *(each for each in images if not _is_shared(content, each))]


def _is_shared(content: ContentStore, image: str) -> bool:
    # A client that has begun a push was told that it need not send the image.
    is_pushed = bool(content.referring(image, V1_PUSH, limit=1))
    return is_pushed or len(content.referring(image, V1_CHAIN, limit=2)) > 1
