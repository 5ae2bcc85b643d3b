"""Manifests and configs, read from their blobs once and remembered by their digests."""

from repoman.plugin import LruCache, NotFound, RepositoryView, StoredAsset, Unavailable
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.image_config import ImageConfig, parse_config
from repoman_docker.protocol.manifest import Kind, Manifest, read_manifest

MANIFEST_MAX_BYTES = 8 << 20  # A larger manifest is not read; its page says what else is known.
CONFIG_MAX_BYTES = 4 << 20


class ImageReader:
    """Reads what is stored; thread safe. What cannot be understood is empty."""

    def __init__(self) -> None:
        self._manifests: LruCache[Manifest] = LruCache()
        self._configs: LruCache[ImageConfig] = LruCache()

    def manifest(self, view: RepositoryView, stored: StoredAsset) -> Manifest:
        """Return a manifest; one of the kind OTHER if its bytes say nothing."""
        key = (stored.digest, stored.media_type)
        found = self._manifests.find(key)
        if found is None:
            found = _parse(self.body(view, stored, MANIFEST_MAX_BYTES), stored.media_type)
            self._manifests.save(key, found)
        return found

    def config(self, view: RepositoryView, stored: StoredAsset) -> ImageConfig:
        """Return the config of an image; an empty one if its bytes say nothing."""
        found = self._configs.find(stored.digest)
        if found is None:
            body = self.body(view, stored, CONFIG_MAX_BYTES)
            found = parse_config(body) or ImageConfig()
            if body:
                self._configs.save(stored.digest, found)
        return found

    @staticmethod
    def body(view: RepositoryView, stored: StoredAsset, limit: int) -> bytes:
        """Return the bytes of an asset; none if they are lost, or more than the limit."""
        if stored.size > limit:
            return b""
        try:
            with view.open(stored) as file:
                return file.read()
        except (NotFound, Unavailable, OSError):
            return b""


def _parse(body: bytes, media_type: str) -> Manifest:
    try:
        return read_manifest(body, media_type)
    except RegistryError:
        return Manifest(media_type, Kind.OTHER)


READER = ImageReader()
"""The one of the process: what it remembers is named by digests, so it is true everywhere."""
