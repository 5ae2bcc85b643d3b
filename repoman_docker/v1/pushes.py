"""V1 pushes to a hosted repository.

An engine announces the images, sends the JSON, the layer and a checksum of each, and then sets the
tag. An image is invisible until its checksum has arrived. The next push takes over the leftovers of
an abandoned one; a task removes them.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from repoman.plugin import (
    Asset,
    BlobTarget,
    BlobUpload,
    Conflict,
    ContentStore,
    Invalid,
    NotFound,
    RepositoryContext,
    StoredBlob,
    store_bytes,
)
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.layout import (
    V1_PUSH,
    new_blob,
    tag_path,
    v1_announced_path,
    v1_chain_path,
    v1_image_path,
    v1_push_path,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.protocol.v1 import CHAIN_MAX_IMAGES, BrokenJson, is_image_id, parse_fields
from repoman_docker.service import (
    CheckDelete,
    CheckMove,
    Discard,
    ManifestService,
    Pusher,
    StoredManifest,
    V1Image,
)
from repoman_docker.v1.images import StoredImages
from repoman_docker.v1.layers import inspect_layer
from repoman_docker.v1.leftovers import Leftovers
from repoman_docker.v1.reading import read_asset
from repoman_docker.v1.records import ImageRecord, has_lost_layer, new_push
from repoman_docker.v1.tagging import Tagging, find_usable

PUSH_MAX_S = 3600.0  # A push takes at most this time, as long as the token of its client is valid.
PUSH_MAX_IMAGES = 10_000  # The images of a push, over all its tags.
NOWHERE = Digest("sha256", "0" * 64)  # the digest of a tag that is not known yet

EXISTS = "Image already exists"  # engines compare this text, and skip the image
UNKNOWN = "Image not found"
TAKEN = "Another image already has this id. Build the image again to give it a new id."


def open_pushes(
    context: RepositoryContext,
    policy: DeploymentPolicy,
    manifests: ManifestService,
    images: StoredImages,
    discard: Discard,
) -> "HostedPushes":
    """Return the V1 pushes of a hosted repository, given its V2 services."""
    tagging = Tagging(context.content, context.blobs, manifests, images, discard)
    return HostedPushes(context.content, context.blobs, policy, images, tagging)


class HostedPushes:
    """Implements :class:`repoman_docker.service.V1Pushes`."""

    def __init__(
        self,
        content: ContentStore,
        blobs: BlobTarget,
        policy: DeploymentPolicy,
        images: StoredImages,
        tagging: Tagging,
    ) -> None:
        self._content = content
        self._blobs = blobs
        self._policy = policy
        self._images = images
        self._tagging = tagging
        self._leftovers = Leftovers(content)
        self.drop_old = self._leftovers.drop_old

    def begin(self, name: str, pusher: Pusher, ids: Sequence[str], tags: Mapping[Tag, str]) -> None:
        """See :class:`repoman_docker.service.V1Pushes`."""
        self._policy.check_write()
        for tag, image_id in tags.items():
            self._check_tag(name, tag, image_id)
        if len(ids) > PUSH_MAX_IMAGES:
            raise Invalid(
                f"A push may have at most {PUSH_MAX_IMAGES} images. Push fewer tags at once."
            )
        listed = store_bytes(self._blobs, json.dumps(sorted(set(ids))).encode())
        self._content.save_asset(new_push(name, pusher.actor, ids, listed))

    def begun_at(self, name: str, pusher: Pusher) -> float:
        """See :class:`repoman_docker.service.V1Pushes`."""
        return max((each.updated_at for each in self._open_pushes(name, pusher)), default=0.0)

    def put_json(self, pusher: Pusher, image_id: str, body: bytes) -> None:
        """See :class:`repoman_docker.service.V1Pushes`."""
        self._policy.check_write()
        name = self._names(pusher, image_id)[0]
        ancestry = self._check_json(pusher, name, image_id, body)
        was_lost = self._has_lost(name, image_id)
        stored = store_bytes(self._blobs, body)
        with self._content.transaction(stored):
            asset = self._content.find_asset(v1_image_path(image_id, name))
            if asset is not None and ImageRecord.of(asset).is_complete:
                if was_lost and asset.digest == stored.digest:
                    return  # its lost bytes are being pushed
                raise Conflict(EXISTS)
            self._check_free(image_id, stored.digest)
            if asset is not None and asset.digest == stored.digest:
                return  # another push sends it too, and may have sent the layer already
            self._save(name, ImageRecord(pusher.actor, ancestry), stored, asset)

    def find(self, pusher: Pusher, image_id: str) -> V1Image | None:
        """See :class:`repoman_docker.service.V1Pushes`."""
        names = self._announced_for(pusher, image_id, since=time.time() - PUSH_MAX_S)
        if not names:
            return None
        image = find_usable(self._images, image_id, names[0], pusher)
        if has_lost_layer(self._content, image.name, image.layer):
            raise NotFound(UNKNOWN)  # the engine pushes it again, which repairs all images
        return image

    def open_layer(self, pusher: Pusher, image_id: str) -> BlobUpload:
        """See :class:`repoman_docker.service.V1Pushes`."""
        self._policy.check_write()
        self._find_any(pusher, image_id)
        return BlobUpload(self._blobs)

    def put_layer(self, pusher: Pusher, image_id: str, upload: BlobUpload) -> None:
        """See :class:`repoman_docker.service.V1Pushes`."""
        name, asset, _ = self._find_any(pusher, image_id)
        with upload.open_reader() as file:
            layer = inspect_layer(file, read_asset(self._content, asset))
        blob = upload.commit()
        digest = Digest("sha256", blob.digest)
        with self._content.transaction(blob):
            name, now, record = self._find_any(pusher, image_id)
            if record.is_complete and record.checksum == layer.checksum:
                return  # another push was faster
            if record.is_complete and not has_lost_layer(self._content, name, record.layer):
                raise Conflict(EXISTS)
            if now.digest != asset.digest:
                raise Conflict(
                    "The JSON of the image was replaced while its layer was being pushed. "
                    "Push it again."
                )
            record = replace(
                record,
                layer=Descriptor(layer.media_type, digest, blob.size),
                diff_id=layer.diff_id,
                checksum=layer.checksum,
                is_complete=False,
            )
            self._content.save_asset(new_blob(name, digest, blob))
            self._save(name, record, _json_of(asset), now)

    def finish_image(self, pusher: Pusher, image_id: str, checksum: str) -> None:
        """See :class:`repoman_docker.service.V1Pushes`."""
        self._policy.check_write()
        with self._content.transaction():
            name, asset, record = self._find_any(pusher, image_id)
            is_right = not checksum or checksum == record.checksum
            if record.is_complete and is_right:
                return
            if record.is_complete or record.layer is None:
                raise Conflict("Cannot set this image checksum")
            if is_right:
                self._check_free(image_id, asset.digest, record.diff_id)
                self._content.save_asset(record.completed().asset(name, _json_of(asset)))
                return
            self._leftovers.drop([asset])
        raise Invalid("Checksum mismatch")

    def put_tag(
        self, name: str, tag: Tag, pusher: Pusher, image_id: str, check_move: CheckMove
    ) -> StoredManifest:
        """See :class:`repoman_docker.service.V1Pushes`."""
        self._policy.check_write()
        return self._tagging.put(name, tag, pusher, image_id, check_move)

    def finish(self, name: str, pusher: Pusher) -> None:
        """See :class:`repoman_docker.service.V1Pushes`."""
        ended = {each.path: each for each in self._open_pushes(name, pusher)}
        ended = {path: each for path, each in ended.items() if self._leftovers.has_ended(each)}
        with self._content.transaction():
            now = self._content.existing(ended)
            # Keep a push that has started again since.
            same = [p for p, each in now.items() if each.updated_at == ended[p].updated_at]
            self._content.delete_assets(same)

    def delete_all(self, name: str, check_tag: CheckDelete) -> list[Tag]:
        """See :class:`repoman_docker.service.V1Pushes`."""
        self._policy.check_write()

        def check(tag: Tag) -> None:
            check_tag(tag)
            self._policy.check_delete(name, tag)

        return self._tagging.delete_all(name, check)

    # Inside -------------------------------------------------------------------------------------

    def _check_tag(self, name: str, tag: Tag, image_id: str) -> None:
        """Refuse early what would be refused after the layers."""
        asset = self._content.find_asset(tag_path(name, tag))
        if asset is None:
            return
        digest = asset.attributes["digest"]
        chain = self._content.find_asset(v1_chain_path(name, digest))
        if chain is None or chain.attributes["id"] != image_id:
            self._policy.check_tag(name, tag, digest, NOWHERE)

    def _check_json(self, pusher: Pusher, name: str, image_id: str, body: bytes) -> tuple[str, ...]:
        """Return the ancestry of an image that is being pushed."""
        try:
            fields = parse_fields(body)
        except BrokenJson as error:
            raise Invalid(str(error)) from error
        if "id" not in fields:
            raise Invalid("Missing key `id' in JSON")
        if fields["id"] != image_id:
            raise Invalid("JSON data contains invalid id")
        parent = fields.get("parent")
        if not parent:
            return (image_id,)
        try:
            if not (isinstance(parent, str) and is_image_id(parent)):
                raise NotFound(UNKNOWN)
            below = find_usable(self._images, parent, name, pusher).ancestry
        except NotFound as error:
            raise Invalid("Image depends on a non existing parent") from error
        if len(below) >= CHAIN_MAX_IMAGES or image_id in below:
            raise Invalid(
                f"An image has at most {CHAIN_MAX_IMAGES} ancestors, and is not its own ancestor."
            )
        return (image_id, *below)

    def _check_free(self, image_id: str, json: str, diff_id: str = "") -> None:
        # Paths of images contain no image name: with a duplicate id, anybody could replace an
        # image of another name. The message reveals nothing else about that image.
        if self._images.is_taken(image_id, json, diff_id):
            raise Conflict(TAKEN)

    def _names(self, pusher: Pusher, image_id: str) -> list[str]:
        """Return the image names to which an image is being pushed, the latest first."""
        names = self._announced_for(pusher, image_id)
        if not names:
            raise Invalid("This image does not belong to the repository")
        return names

    def _announced_for(self, pusher: Pusher, image_id: str, since: float = 0.0) -> list[str]:
        pushes = self._content.referring(v1_announced_path(image_id, pusher.actor), V1_PUSH)
        mine = [each for each in pushes if each.updated_at >= since]
        mine.sort(key=lambda each: each.updated_at, reverse=True)
        names = dict.fromkeys(str(each.attributes["name"]) for each in mine)
        return [name for name in names if pusher.may_push(name)]

    def _find_any(self, pusher: Pusher, image_id: str) -> tuple[str, Asset, ImageRecord]:
        """Return an image that is being pushed, or else a complete one."""
        found = list(self._records(pusher, image_id))
        if not found:
            raise NotFound(UNKNOWN)
        return next((each for each in found if not each[2].is_complete), found[0])

    def _has_lost(self, name: str, image_id: str) -> bool:
        """Return whether an image of the image name has lost bytes."""
        asset = self._content.find_asset(v1_image_path(image_id, name))
        if asset is None:
            return False
        is_lost = has_lost_layer(self._content, name, ImageRecord.of(asset).layer)
        return is_lost or not self._content.has_bytes(asset)

    def _save(self, name: str, record: ImageRecord, json: StoredBlob, former: Asset | None) -> None:
        """Store an image that is being pushed; its previous layer is removed."""
        self._content.save_asset(record.asset(name, json))
        if former is not None:
            self._leftovers.drop_layers([former])

    def _records(self, pusher: Pusher, image_id: str) -> Iterator[tuple[str, Asset, ImageRecord]]:
        for name in self._names(pusher, image_id):
            asset = self._content.find_asset(v1_image_path(image_id, name))
            if asset is not None:
                yield name, asset, ImageRecord.of(asset)

    def _open_pushes(self, name: str, pusher: Pusher) -> list[Asset]:
        return self._content.list_assets(V1_PUSH, "", -1, v1_push_path(name, pusher.actor))


def _json_of(asset: Asset) -> StoredBlob:
    return StoredBlob(asset.digest, asset.size)
