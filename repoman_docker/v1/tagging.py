"""Tags set by V1 clients: the chain of images becomes one V2 manifest, written once.

All images of the chain become images of the name, with their layers as its blobs, in the same
transaction as the tag.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from repoman.plugin import (
    Asset,
    BlobTarget,
    ContentStore,
    NewAsset,
    NotFound,
    StoredBlob,
    store_bytes,
)
from repoman_docker.layout import (
    TAG,
    V1_CHAIN,
    V1_IMAGE,
    blob_path,
    deletion_entries,
    manifest_path,
    new_blob,
    tag_path,
    v1_chain_name,
    v1_chain_path,
    v1_image_path,
)
from repoman_docker.protocol import media_types
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.protocol.v1 import EMPTY_LAYER, EMPTY_LAYER_DIGEST
from repoman_docker.service import (
    CheckDelete,
    CheckMove,
    Discard,
    ManifestService,
    Pusher,
    StoredManifest,
    V1Image,
    V1Images,
    failure,
)
from repoman_docker.v1.assembly import Assembly
from repoman_docker.v1.reading import read_asset
from repoman_docker.v1.records import ImageRecord, chain_paths, chains_with, new_chain

DELETED_TAGS = 100  # Tags that are deleted in one transaction, with their manifests and images.


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chain of images, ready to be stored under a name."""

    ancestry: tuple[str, ...]
    assets: list[NewAsset]
    manifest: bytes


class Tagging:
    """Sets tags of a hosted repository to V1 images, and removes all tags."""

    def __init__(
        self,
        content: ContentStore,
        blobs: BlobTarget,
        manifests: ManifestService,
        images: V1Images,
        discard: Discard,
    ) -> None:
        self._content = content
        self._blobs = blobs
        self._manifests = manifests
        self._images = images
        self._discard = discard

    def put(
        self, name: str, tag: Tag, pusher: Pusher, image_id: str, check_move: CheckMove
    ) -> StoredManifest:
        """Set a tag to an image; see :class:`repoman_docker.service.V1Pushes`."""
        known = self._find_manifest(name, image_id)
        if known is not None:
            body = read_asset(self._content, known)
            digest = Digest.parse(known.attributes["digest"])
            # By the tag where that leads to the same digest, so that it alone is what was pushed.
            is_usual = digest.algorithm == "sha256"
            what, more = (tag, ()) if is_usual else (digest, (tag,))
            return self._manifests.put(name, what, more, body, known.media_type, check_move)
        chain = self._prepare(name, pusher, image_id)
        blob = store_bytes(self._blobs, chain.manifest)
        media_type = media_types.DOCKER_MANIFEST
        with self._content.transaction(blob, *(each.blob for each in chain.assets)):
            for asset in chain.assets:
                self._content.save_asset(asset)
            stored = self._manifests.put(name, tag, (), chain.manifest, media_type, check_move)
            self._check_chain(name, stored.digest, image_id)
            self._content.save_asset(
                new_chain(name, stored.digest, blob, media_type, chain.ancestry)
            )
        return stored

    def delete_all(self, name: str, check_tag: CheckDelete) -> list[Tag]:
        """Remove all tags with their manifests; see :class:`repoman_docker.service.V1Pushes`."""
        tags = [Tag(each) for each in self._content.list_versions(TAG, name, "", -1)]
        if not tags:
            raise failure(
                ErrorCode.NAME_UNKNOWN, f"There are no tags of {name} in this repository."
            )
        for each in tags:
            check_tag(each)
        for start in range(0, len(tags), DELETED_TAGS):
            with self._content.transaction():
                self._delete_tags(name, tags[start : start + DELETED_TAGS])
        return tags

    def _delete_tags(self, name: str, tags: Sequence[Tag]) -> None:
        """Remove tags with the manifests that no other tag needs."""
        entries = deletion_entries(tag_path(name, each) for each in tags)
        found = self._content.existing(entries).values()
        digests = {Digest.parse(each.attributes["digest"]) for each in found}
        self._content.delete_assets(entries, entries)
        for digest in digests:
            path = manifest_path(name, digest)
            if not self._content.referring(path, TAG, "", 1):
                chain = chain_paths(self._content, name, digest)
                self._content.delete_assets(chain)
                self._discard([path], {})

    def _find_manifest(self, name: str, image_id: str) -> Asset | None:
        """Return the existing manifest of an image in an image name, whoever pushed it."""
        prefix = v1_chain_path(name, "")
        named = ((v1_image_path(image_id), V1_IMAGE), (v1_image_path(image_id, name), V1_CHAIN))
        for path, kind in named:
            for chain in chains_with(self._content, path, kind, prefix):
                if not chain.path.startswith(prefix):
                    break
                if chain.attributes["id"] == image_id and v1_chain_name(chain.path) == name:
                    digest = Digest.parse(chain.path.removeprefix(prefix))
                    found = self._content.find_asset(manifest_path(name, digest))
                    if found is not None and self._content.has_bytes(found):
                        return found
        return None

    def _check_chain(self, name: str, digest: Digest, image_id: str) -> None:
        """Check that V1 clients do not know a manifest by another id.

        Raises:
            RegistryFailure: DENIED, the id of the image would change.
        """
        chain = self._content.find_asset(v1_chain_path(name, digest))
        if chain is not None and chain.attributes["id"] != image_id:
            raise failure(
                ErrorCode.DENIED,
                f"{name} already has this image with the id {chain.attributes['id']}, which cannot "
                "change. Push another image, or delete that one first.",
            )

    def _prepare(self, name: str, pusher: Pusher, image_id: str) -> Prepared:
        """Store the bytes of a chain and return what to save; has one JSON in memory at a time."""
        assembly = Assembly()
        assets: list[NewAsset] = []
        ancestry = self._find(image_id, name, pusher).ancestry
        for each in reversed(ancestry):
            image = self._find(each, name, pusher)
            assembly.add(image)
            assets.extend(self._adopt(name, image, pusher))
        config = assembly.config()
        stored = store_bytes(self._blobs, config)
        assets.append(new_blob(name, Digest("sha256", stored.digest), stored))
        return Prepared(ancestry, assets, assembly.manifest(config))

    def _find(self, image_id: str, name: str, pusher: Pusher) -> V1Image:
        return find_usable(self._images, image_id, name, pusher)

    def _adopt(self, name: str, image: V1Image, pusher: Pusher) -> list[NewAsset]:
        """Return the assets that add an image to the name; nothing if it has the image."""
        mine = self._content.find_asset(v1_image_path(image.id, name))
        if mine is not None and ImageRecord.of(mine).is_complete:
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
            raise NotFound(f"The layer of the image {image.id} is missing.")
        return StoredBlob(asset.digest, asset.size)


def find_usable(images: V1Images, image_id: str, name: str, pusher: Pusher) -> V1Image:
    """Return an image of an image name, or else one that the pusher may read (NotFound)."""
    try:
        return images.find(image_id, lambda other: other == name)
    except NotFound:
        return images.find(image_id, pusher.may_read)
