"""V2 images as chains of V1 images: one for each layer.

The ids of a manifest are stored once, when a V1 client first requests a tag, because the paths
by which it then reads images contain no image name. While they cannot be stored, they are in
memory. The images themselves are derived from manifest and config, and cached in memory.
"""

import hashlib
import logging
from collections.abc import Sequence

from repoman.plugin import (
    STORAGE_ERRORS,
    Content,
    ContentStore,
    LruCache,
    NewAsset,
    NotFound,
    Reference,
    StoredBlob,
)
from repoman_docker.layout import V1_CHAIN, V1_IMAGE, v1_chain_path, v1_image_path
from repoman_docker.protocol import media_types
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.manifest import Manifest, parse_manifest
from repoman_docker.protocol.reference import Digest
from repoman_docker.protocol.v1 import (
    CHAIN_MAX_IMAGES,
    EMPTY_DIFF_ID,
    EMPTY_LAYER,
    EMPTY_LAYER_DIGEST,
    BrokenJson,
    derive_chain,
    parse_diff_ids,
)
from repoman_docker.service import (
    BlobService,
    ManifestService,
    RegistryFailure,
    V1Image,
    failure,
    registry_failures,
)
from repoman_docker.v1.reading import read_content

CONFIG_MAX_BYTES = 4 << 20  # maximum bytes of a config
UNKEPT_MAX = 20  # Manifests of one image at most whose ids are in memory; the oldest go.
EMPTY = Descriptor(
    media_types.DOCKER_LAYER, Digest.parse(EMPTY_LAYER_DIGEST), size=len(EMPTY_LAYER)
)

_log = logging.getLogger(__name__)

Place = tuple[str, str]  # the name of an image, and the digest of a manifest


class Chains:
    """Derives V1 images from V2 images, and finds them again."""

    def __init__(
        self, content: ContentStore, manifests: ManifestService, blobs: BlobService, limit: int
    ) -> None:
        self._content = content
        self._manifests = manifests
        self._blobs = blobs
        self._limit = limit
        self._memory: LruCache[tuple[V1Image, ...]] = LruCache(_weigh)
        self._unkept: LruCache[tuple[Place, ...]] = LruCache(lambda found: 200 * len(found))

    def top(self, name: str, manifest: Content) -> str:
        """Return the V1 id of a manifest, and store the ids of its images if possible.

        Raises:
            RegistryFailure: MANIFEST_UNKNOWN, V1 engines cannot use the image.
        """
        path = v1_chain_path(name, manifest.etag)
        asset = self._content.find_asset(path)
        if asset is not None and not media_types.is_index(manifest.media_type):
            return str(asset.attributes["id"])
        # The image that is selected from an index changes when one is deleted.
        chain = self._images(name, manifest)
        if asset is None or asset.attributes["id"] != chain[-1].id:
            self._save(name, manifest, chain)
        return chain[-1].id

    def find(self, name: str, digest: Digest, image_id: str) -> V1Image | None:
        """Return an image of a chain; None if its manifest or its config no longer exists."""
        try:
            chain = self._images(name, self._manifests.get(name, digest))
        except (RegistryFailure, NotFound):
            return None
        return next((each for each in chain if each.id == image_id), None)

    def unkept(self, image_id: str) -> tuple[Place, ...]:
        """Return the manifests with an image whose ids could not be stored."""
        return self._unkept.find(image_id) or ()

    def _save(self, name: str, manifest: Content, chain: Sequence[V1Image]) -> None:
        """Store the ids of a manifest, or remember them: a pull must not fail for it."""
        body = read_content(manifest, self._limit)
        new = NewAsset(
            path=v1_chain_path(name, manifest.etag),
            kind=V1_CHAIN,
            blob=StoredBlob(hashlib.sha256(body).hexdigest(), len(body)),
            media_type=manifest.media_type,
            attributes={"id": chain[-1].id},
            references=tuple(Reference(V1_IMAGE, v1_image_path(each.id)) for each in chain),
        )
        try:
            with self._content.brief_waits():
                self._content.save_asset(new)
        except STORAGE_ERRORS as error:
            _log.warning("Cannot store %s: %s", new.path, error)
            place = (name, manifest.etag)
            for each in chain:
                others = [found for found in self.unkept(each.id) if found != place]
                self._unkept.save(each.id, (*others[1 - UNKEPT_MAX :], place))

    def _images(self, name: str, found: Content) -> tuple[V1Image, ...]:
        """Return the images of a manifest, or of the best existing child of an index."""
        if not media_types.is_index(found.media_type):
            return self._memory.get((name, found.etag), lambda: self._derive(name, found))
        index = self._parse(found)
        reason = _unusable("it is an index without a runnable image")
        for child in filter(_is_runnable, index.by_platform()):
            try:
                return self._images_of(name, child.digest)
            except RegistryFailure as error:
                reason = error
        raise reason

    def _images_of(self, name: str, child: Digest) -> tuple[V1Image, ...]:
        found = self._manifests.get(name, child)
        return self._memory.get((name, found.etag), lambda: self._derive(name, found))

    def _parse(self, found: Content) -> Manifest:
        body = read_content(found, self._limit)
        with registry_failures():
            return parse_manifest(body, found.media_type)

    def _derive(self, name: str, found: Content) -> tuple[V1Image, ...]:
        manifest = self._parse(found)
        config = _check(manifest)
        body = read_content(self._blobs.get(name, config.digest), CONFIG_MAX_BYTES)
        layers = manifest.layers or (EMPTY,)
        try:
            links = derive_chain(body, [each.digest.encoded for each in layers])
            diff_ids = _diff_ids(body, layers)
        except BrokenJson as error:
            raise _unusable(f"its config is not valid ({error})") from error
        images: list[V1Image] = []
        ancestry: tuple[str, ...] = ()
        for link, layer, diff_id in zip(links, layers, diff_ids, strict=True):
            ancestry = (link.id, *ancestry)
            images.append(V1Image(link.id, link.json, ancestry, name, layer, diff_id))
        return tuple(images)


def _weigh(chain: Sequence[V1Image]) -> int:
    # Besides its JSON each image has the ids of its ancestors, which share their strings.
    return sum(len(each.json) + 8 * len(each.ancestry) + 512 for each in chain)


def _is_runnable(child: Descriptor) -> bool:
    # Attestations are listed beside their images, with an unknown platform.
    is_fit = child.platform is None or child.platform.os in ("linux", "")
    return (
        is_fit and media_types.is_manifest(child.media_type) and "unknown" not in _platform(child)
    )


def _platform(child: Descriptor) -> tuple[str, str]:
    return (child.platform.os, child.platform.architecture) if child.platform else ("", "")


def _check(manifest: Manifest) -> Descriptor:
    """Return the config of an image, after checking that V1 engines can use it."""
    config = manifest.config
    if config is None or config.media_type not in media_types.IMAGE_CONFIGS:
        raise _unusable("it is not a container image")
    if len(manifest.layers) > CHAIN_MAX_IMAGES:
        raise _unusable(f"it has more than {CHAIN_MAX_IMAGES} layers")
    for layer in manifest.layers:
        if layer.media_type not in media_types.PLAIN_LAYERS:
            raise _unusable(f"it has a layer of the media type {layer.media_type}")
    return config


def _diff_ids(config: bytes, layers: Sequence[Descriptor]) -> list[str]:
    if layers == (EMPTY,):
        return [EMPTY_DIFF_ID]
    return parse_diff_ids(config, len(layers))


def _unusable(reason: str) -> RegistryFailure:
    return failure(
        ErrorCode.MANIFEST_UNKNOWN,
        f"Clients of the V1 API cannot use this image: {reason}. Pull it with Docker 1.10 or "
        "later.",
    )
