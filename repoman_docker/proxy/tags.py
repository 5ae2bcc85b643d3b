"""Tags of a proxy: when one is believed, when it is asked about, and when it may move."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock

from repoman.plugin import Asset, NewAsset, Reference, StoredBlob
from repoman_docker.hosted.assets import new_manifest, new_tag
from repoman_docker.layout import TAG, manifest_path, tag_path, tagged
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.manifest import Manifest
from repoman_docker.protocol.reference import Tag
from repoman_docker.proxy.site import ProxySite
from repoman_docker.remote import RemoteTag

HOUR = 3600
PENDING = "pending"  # attribute of a tag's asset: where its remote moved it, and since when
REMEMBERED = 10_000  # answers to HEAD


@dataclass(frozen=True, slots=True)
class Seen:
    """What the remote said of a tag whose manifest is not here yet; in seconds since the epoch."""

    tag: RemoteTag
    at: float


class TagStore:
    """The tags in the cache, and those that were only asked about; thread safe."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site
        self._content = site.content
        self._seen: OrderedDict[tuple[str, Tag], Seen] = OrderedDict()
        self._lock = Lock()

    def find(self, image: str, tag: Tag) -> Asset | None:
        """Return the tag's asset, whatever its age."""
        return self._content.find_asset(tag_path(image, tag))

    def find_manifest(self, image: str, digest: Digest) -> Asset | None:
        """Return the asset of a manifest."""
        return self._content.find_asset(manifest_path(image, digest))

    # Seen only ----------------------------------------------------------------------------------

    def see(self, image: str, tag: Tag, found: RemoteTag) -> None:
        """Remember where the remote has a tag, until its manifest is fetched by digest."""
        with self._lock:
            self._seen[image, tag] = Seen(found, self._site.cache.clock())
            self._seen.move_to_end((image, tag))
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def find_seen(self, image: str, tag: Tag) -> RemoteTag | None:
        """Return where the remote had a tag, if that is fresh."""
        seen = self._seen.get((image, tag))
        fresh = seen is not None and self._site.cache.metadata.is_fresh(seen.at)
        return seen.tag if seen is not None and fresh else None

    def forget_seen(self) -> None:
        """Have the remote asked again."""
        with self._lock:
            self._seen.clear()

    def _take_seen(self, image: str, digest: Digest) -> dict[Tag, float]:
        """Return the tags of an image that were seen at a digest, and when; forget them."""
        with self._lock:
            found = {
                key[1]: seen.at
                for key, seen in self._seen.items()
                if key[0] == image and seen.tag.digest == digest
            }
            for tag in found:
                del self._seen[image, tag]
        return found

    # Stored -------------------------------------------------------------------------------------

    def save(
        self, image: str, digest: Digest, manifest: Manifest, blob: StoredBlob, tag: Tag | None
    ) -> None:
        """Store a manifest, and every tag that is known to be at it."""
        now = self._site.cache.clock()
        tags = self._take_seen(image, digest)
        if tag is not None:
            tags[tag] = now
        asset = new_manifest(image, digest, manifest, blob)
        with self._content.transaction():
            self._content.save_asset(replace(asset, checked_at=now))
            for each, at in tags.items():
                moved = new_tag(image, each, digest, manifest, blob)
                self._content.save_asset(replace(moved, checked_at=at))
        self._site.cache.negative.discard(asset.path)
        for each in tags:
            self._site.cache.negative.discard(tag_path(image, each))

    def point(self, image: str, tag: Tag, digest: Digest, manifest: Manifest) -> Asset:
        """Set a tag to a manifest that is here, and return its asset."""
        found = self._content.get_asset(manifest_path(image, digest))
        blob = StoredBlob(found.digest, found.size)
        moved = new_tag(image, tag, digest, manifest, blob)
        self._content.save_asset(replace(moved, checked_at=self._site.cache.clock()))
        self._site.cache.negative.discard(moved.path)
        return self._content.get_asset(moved.path)

    def touch(self, asset: Asset) -> Asset:
        """Note that a tag still is where it was, and return its asset."""
        if PENDING in asset.attributes:
            return self._rewrite(asset, {"digest": asset.attributes["digest"]})
        self._site.cache.records.mark_checked([asset.path], self._site.cache.clock())
        return self._content.get_asset(asset.path)

    def hold(self, asset: Asset, digest: Digest) -> Asset | None:
        """Keep a tag where it is because its new place is too young; None if it may move.

        The time is counted from when this proxy first saw the tag at ``digest``.
        """
        wait = self._site.proxy.minimum_age * HOUR
        if not wait:
            return None
        now = self._site.cache.clock()
        pending = asset.attributes.get(PENDING, {})
        since = pending["since"] if pending.get("digest") == str(digest) else now
        if now - since >= wait:
            return None
        attributes = {
            "digest": asset.attributes["digest"],
            PENDING: {"digest": str(digest), "since": since},
        }
        return self._rewrite(asset, attributes)

    def delete(self, asset: Asset) -> None:
        """Remove a tag; the manifest stays by its digest."""
        self._content.delete_assets([asset.path])

    def _rewrite(self, asset: Asset, attributes: dict[str, object]) -> Asset:
        image, _, tag = asset.path.removeprefix("tags/").rpartition("/")
        former = self._content.get_asset(asset.path)
        new = NewAsset(
            path=former.path,
            kind=former.kind,
            blob=StoredBlob(former.digest, former.size),
            media_type=former.media_type,
            attributes=attributes,
            component=tagged(image, Tag(tag)),
            references=(
                Reference(TAG, manifest_path(image, Digest.parse(former.attributes["digest"]))),
            ),
            checked_at=self._site.cache.clock(),
        )
        self._content.save_asset(new)
        return self._content.get_asset(asset.path)
