"""Tags of a proxy: when one is fresh, when it is revalidated, and when it may move."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock

from repoman.plugin import Asset, LruCache, NewAsset, NotFound, StoredBlob, Unavailable, store_bytes
from repoman_docker.layout import manifest_path, new_manifest, new_tag, size_indexes, tag_path
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.manifest import read_manifest
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.protocol.texts import searchable_labels
from repoman_docker.proxy.site import ProxySite
from repoman_docker.remote import RemoteManifest, RemoteTag
from repoman_docker.v1.reading import read_asset

HOUR_S = 3600
# The attribute of a tag's asset with the digest to which the remote moved it, and since when.
PENDING = "pending"
SEEN_TAGS_MAX = 1_000
"""So many tags of an image are remembered as seen; the oldest go."""
SEEN_BYTES = 1_000
"""About what it takes to remember one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The remote's answer about a tag whose manifest is not cached yet; times since the epoch."""

    tag: RemoteTag
    at: float
    renewals: int


class TagStore:
    """The tags in the cache, and those that were only requested by HEAD; thread safe."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site
        self._content = site.content
        # By image. They are replaced and never changed, so that reading takes no lock.
        self._seen: LruCache[dict[Tag, Seen]] = LruCache(lambda tags: SEEN_BYTES * len(tags))
        self._lock = Lock()

    def find(self, image: str, tag: Tag) -> Asset | None:
        """Return the tag's asset, whatever its age."""
        return self._site.cache.find(tag_path(image, tag))

    def find_manifest(self, image: str, digest: Digest) -> Asset | None:
        """Return the asset of a manifest."""
        return self._site.cache.find(manifest_path(image, digest))

    # Seen only ----------------------------------------------------------------------------------

    def see(self, image: str, tag: Tag, found: RemoteTag) -> None:
        """Remember the digest of a tag until its manifest is cached."""
        cache = self._site.cache
        seen = Seen(found, cache.clock(), cache.records.renewals())
        with self._lock:
            others = {key: each for key, each in self._seen_of(image).items() if key != tag}
            if len(others) >= SEEN_TAGS_MAX:
                del others[next(iter(others))]
            self._seen.save(image, {**others, tag: seen})
        self._site.cache.negative.discard(manifest_path(image, found.digest))

    def find_seen(self, image: str, tag: Tag) -> RemoteTag | None:
        """Return the digest of a tag at the remote, if it is fresh."""
        seen, cache = self._seen_of(image).get(tag), self._site.cache
        if seen is None or seen.renewals != cache.records.renewals():
            return None
        return seen.tag if cache.metadata.is_fresh(seen.at) else None

    def seen_at(self, image: str, digest: Digest) -> dict[Tag, float]:
        """Return the tags of an image that were seen at a digest, with the times."""
        seen = self._seen_of(image)
        return {tag: each.at for tag, each in seen.items() if each.tag.digest == digest}

    def forget(self, image: str, seen: Mapping[Tag, float]) -> None:
        """Forget tags that were seen at these times; what was seen later stays."""
        with self._lock:
            known = self._seen_of(image)
            left = {tag: each for tag, each in known.items() if seen.get(tag) != each.at}
            if len(left) < len(known):
                self._seen.save(image, left)

    def _seen_of(self, image: str) -> dict[Tag, Seen]:
        return self._seen.find(image) or {}

    # Stored -------------------------------------------------------------------------------------

    def save(self, image: str, remote: RemoteManifest, tag: Tag | None) -> tuple[Asset, bool]:
        """Store a manifest, and every tag that is known to point to it.

        Return the asset at the path of the manifest, and whether it could be stored.
        """
        now = self._site.cache.clock()
        digest, media_type = remote.digest, remote.manifest.media_type
        seen = self.seen_at(image, digest)
        tags = seen if tag is None else {**seen, tag: now}
        blob = StoredBlob(Digest.of("sha256", remote.body).encoded, len(remote.body))
        manifest = replace(
            new_manifest(image, digest, remote.manifest, blob, remote.body), checked_at=now
        )
        labels = searchable_labels(remote.manifest.annotations)

        def write() -> None:
            store_bytes(self._site.blobs, remote.body)
            with self._content.transaction(blob):
                self._save(manifest)
                for each, at in tags.items():
                    if each != tag and self._is_newer(image, each, at):
                        continue
                    new = new_tag(
                        image, each, digest, media_type, blob, manifest.transfer_size, labels
                    )
                    self._save(replace(new, checked_at=at))
                size_indexes(self._content, manifest)

        is_kept = self._site.cache.keep(f"{image}@{digest}", write)
        if is_kept:
            self.forget(image, seen)  # not before others find the tags in the cache
        else:
            self._site.unkept.save(image, True)
        return _as_asset(manifest), is_kept

    def point(self, image: str, tag: Tag, manifest: Asset) -> Asset:
        """Set a tag to a stored manifest, and return the asset of the tag."""
        digest, media_type = Digest.parse(manifest.attributes["digest"]), manifest.media_type
        blob = StoredBlob(manifest.digest, manifest.size)
        size, labels = manifest.transfer_size, self._labels_of(manifest)
        return self._rewrite(new_tag(image, tag, digest, media_type, blob, size, labels))

    def touch(self, asset: Asset) -> Asset:
        """Note that a tag has not moved, and return its asset."""
        if PENDING in asset.attributes:
            return self._rewrite(_tag_again(asset, {}))
        return self._site.cache.touch(asset, self._site.cache.clock())

    def hold(self, asset: Asset, digest: Digest) -> Asset | None:
        """Keep a tag at its old digest while the new one is too young; None if it may move.

        The time is counted from when this proxy first saw the tag at ``digest``.
        """
        wait = self._site.proxy.minimum_age * HOUR_S
        if not wait:
            return None
        now = self._site.cache.clock()
        pending = asset.attributes.get(PENDING, {})
        since = pending["since"] if pending.get("digest") == str(digest) else now
        if now - since >= wait:
            return None
        return self._rewrite(_tag_again(asset, {PENDING: {"digest": str(digest), "since": since}}))

    def delete(self, asset: Asset) -> None:
        """Remove a tag; the manifest stays by its digest."""
        self._site.cache.keep(asset.path, lambda: self._content.delete_assets([asset.path]))

    def _labels_of(self, manifest: Asset) -> Mapping[str, str]:
        """Return the labels of a stored manifest; none if its bytes are lost."""
        try:
            body = read_asset(self._content, manifest)
            return searchable_labels(read_manifest(body, manifest.media_type).annotations)
        except (NotFound, Unavailable, RegistryError):
            return {}

    def _is_newer(self, image: str, tag: Tag, at: float) -> bool:
        """Return whether the remote was asked about a stored tag after it was seen at a time."""
        stored = self._content.find_asset(tag_path(image, tag))
        return stored is not None and (stored.checked_at or 0.0) > at

    def _rewrite(self, new: NewAsset) -> Asset:
        """Store a tag that has just been revalidated, if possible."""
        new = replace(new, checked_at=self._site.cache.clock())
        self._site.cache.keep(new.path, lambda: self._save(new))
        return _as_asset(new)

    def _save(self, new: NewAsset) -> None:
        self._content.save_asset(new)
        self._site.cache.negative.discard(new.path)


def _tag_again(asset: Asset, more: Mapping[str, object]) -> NewAsset:
    """Return a tag with the same digest and other attributes."""
    image, _, tag = asset.path.removeprefix("tags/").rpartition("/")
    digest = Digest.parse(asset.attributes["digest"])
    blob = StoredBlob(asset.digest, asset.size)
    same = new_tag(image, Tag(tag), digest, asset.media_type, blob, asset.transfer_size)
    return replace(same, attributes={**same.attributes, **more})


def _as_asset(new: NewAsset) -> Asset:
    """Return an asset as if it were stored, but without an id."""
    return Asset(
        id=0,
        path=new.path,
        kind=new.kind,
        digest=new.blob.digest,
        size=new.blob.size,
        media_type=new.media_type,
        updated_at=0.0,
        attributes=new.attributes,
        checked_at=new.checked_at,
        transfer_size=new.transfer_size,
    )
