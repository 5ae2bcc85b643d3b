"""A V2 view of a remote that supports only V1.

Its tags are converted into manifests when they are first requested. This fetches all layers of an
image, because a config has the digests of their content; after that, checking whether a tag has
moved takes one small request.
"""

from repoman.plugin import (
    Asset,
    BlobTarget,
    Body,
    ContentStore,
    Invalid,
    NotFound,
    ProxyCache,
    UpstreamUnavailable,
    store_bytes,
)
from repoman_docker.layout import (
    BLOB,
    MANIFEST,
    V1_CHAIN,
    V1_IMAGE,
    blob_path,
    new_blob,
    v1_chain_path,
    v1_image_path,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.manifest import parse_manifest
from repoman_docker.protocol.media_types import DOCKER_MANIFEST
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.remote import Budget, RemoteList, RemoteManifest, RemoteTag, V1Client
from repoman_docker.v1.assembly import Assembly
from repoman_docker.v1.fetching import Fetching
from repoman_docker.v1.reading import BytesBody, read_asset
from repoman_docker.v1.records import new_chain


class ConvertedRegistry:
    """Implements :class:`repoman_docker.remote.RemoteRegistry`."""

    budget: Budget | None = None

    def __init__(
        self, client: V1Client, content: ContentStore, blobs: BlobTarget, cache: ProxyCache
    ) -> None:
        self.remote = client.remote
        self._client = client
        self._content = content
        self._blobs = blobs
        self._fetching = Fetching(client, content, blobs, cache)

    def head_manifest(self, name: str, reference: Digest | Tag) -> RemoteTag | None:
        """See :class:`repoman_docker.remote.RemoteRegistry`; None for unknown images."""
        if isinstance(reference, Digest):
            chain = self._chain(name, reference)
        else:
            found = self._find_chain(name, self._client.tag(name, reference))
            if found is None:
                return None
            chain = found
        digest = Digest.parse(chain.path.rpartition("/")[2])
        return RemoteTag(digest, chain.size, chain.media_type)

    def get_manifest(self, name: str, reference: Digest | Tag) -> RemoteManifest:
        """See :class:`repoman_docker.remote.RemoteRegistry`; fetches the whole image."""
        if isinstance(reference, Digest):
            body = read_asset(self._content, self._chain(name, reference))
            return RemoteManifest(reference, body, parse_manifest(body, DOCKER_MANIFEST))
        image_id = self._client.tag(name, reference)
        chain = self._find_chain(name, image_id)
        body = self._make(name, image_id) if chain is None else read_asset(self._content, chain)
        digest = Digest.of("sha256", body)
        return RemoteManifest(digest, body, parse_manifest(body, DOCKER_MANIFEST))

    def open_blob(self, name: str, digest: Digest, start: int = 0) -> Body:
        """See :class:`repoman_docker.remote.RemoteRegistry`."""
        image = self._image_with(name, digest)
        if image is not None:
            return self._client.open_layer(name, image, start)
        return BytesBody(self._config(name, digest))

    def blob_size(self, name: str, digest: Digest) -> int:
        """See :class:`repoman_docker.remote.RemoteRegistry`."""
        image_id = self._image_with(name, digest)
        image = None if image_id is None else self._fetching.find(name, image_id)
        return len(self._config(name, digest)) if image is None else image.layer.size

    def list_tags(self, name: str) -> RemoteList[str]:
        """See :class:`repoman_docker.remote.RemoteRegistry`."""
        return RemoteList(self._client.tags(name))

    def list_referrers(self, name: str, subject: Digest) -> RemoteList[Descriptor]:
        """See :class:`repoman_docker.remote.RemoteRegistry`; V1 has none."""
        return RemoteList([])

    # Inside -------------------------------------------------------------------------------------

    def _make(self, name: str, image_id: str) -> bytes:
        """Return the manifest of an image, after fetching what is missing."""
        ancestry = self._client.ancestry(name, image_id)
        config, body = self._assemble(name, ancestry)
        stored = store_bytes(self._blobs, config)
        manifest = store_bytes(self._blobs, body)
        with self._content.brief_waits(), self._content.transaction(stored, manifest):
            self._content.save_asset(new_blob(name, Digest("sha256", stored.digest), stored))
            digest = Digest("sha256", manifest.digest)
            self._content.save_asset(new_chain(name, digest, manifest, DOCKER_MANIFEST, ancestry))
        return body

    def _assemble(self, name: str, ancestry: tuple[str, ...]) -> tuple[bytes, bytes]:
        """Return config and manifest of a chain."""
        assembly = Assembly()
        for number in reversed(range(len(ancestry))):
            image = self._fetching.get(name, ancestry[number:])
            try:
                assembly.add(image)
            except Invalid as error:
                raise UpstreamUnavailable(
                    f"{name} of {self.remote} is too large: {error}"
                ) from error
        config = assembly.config()
        return config, assembly.manifest(config)

    def _find_chain(self, name: str, image_id: str) -> Asset | None:
        """Return the chain of an image that was converted before."""
        chains = self._content.referring(v1_image_path(image_id, name), V1_CHAIN)
        mine = (each for each in chains if each.attributes["id"] == image_id)
        return next((each for each in mine if self._content.has_bytes(each)), None)

    def _chain(self, name: str, digest: Digest) -> Asset:
        asset = self._content.find_asset(v1_chain_path(name, digest))
        if asset is None or not self._content.has_bytes(asset):
            raise NotFound(f"The remote {self.remote} serves images only by tag.")
        return asset

    def _image_with(self, name: str, digest: Digest) -> str | None:
        """Return the id of an image that has a blob as its layer."""
        for asset in self._content.referring(blob_path(name, digest), BLOB):
            if asset.kind == V1_IMAGE:
                return asset.path.split("/")[1]
        return None

    def _config(self, name: str, digest: Digest) -> bytes:
        """Assemble a config again that was evicted from the cache."""
        for asset in self._content.referring(blob_path(name, digest), BLOB):
            if asset.kind == MANIFEST:
                chain = self._chain(name, Digest.parse(asset.attributes["digest"]))
                top = self._fetching.find(name, chain.attributes["id"])
                config = b"" if top is None else self._assemble(name, top.ancestry)[0]
                if Digest.of("sha256", config) == digest:
                    return config
        raise NotFound(f"The remote {self.remote} does not have it.")
