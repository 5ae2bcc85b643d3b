"""The manifests of a proxy: by digest for ever, by tag for as long as the settings believe them."""

import logging
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from repoman.plugin import (
    Asset,
    Content,
    NotFound,
    UpstreamError,
    UpstreamUnavailable,
    store_bytes,
)
from repoman_docker.layout import CHILD, manifest_path, tag_path
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.manifest import parse_manifest
from repoman_docker.protocol.reference import Tag
from repoman_docker.proxy.site import ProxySite, Source
from repoman_docker.proxy.tags import TagStore
from repoman_docker.proxy.uploads import ProxyUploads
from repoman_docker.remote import RemoteTag
from repoman_docker.service import CheckDelete, CheckMove, StoredManifest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest in the cache, where the answer comes from, and what there is to say of it."""

    asset: Asset
    source: Source
    warning: str = ""


class ProxyManifests:
    """Reads manifests and keeps them; a push is refused."""

    def __init__(self, site: ProxySite, tags: TagStore, uploads: ProxyUploads) -> None:
        self._site = site
        self._tags = tags
        self._uploads = uploads

    def get(self, name: str, reference: Digest | Tag) -> Content:
        """See :class:`repoman_docker.service.ManifestService`.

        The body of what is not here yet is fetched when the content is opened, so that a HEAD
        costs nothing.
        """
        image = self._site.image(name, ErrorCode.MANIFEST_UNKNOWN)
        with self._site.absence(ErrorCode.MANIFEST_UNKNOWN, _title(image, reference)):
            if isinstance(reference, Digest):
                return self._by_digest(image, reference)
            asset = self._tags.find(image, reference)
            if asset is None:
                return self._cold(image, reference)
            if self._site.cache.metadata.is_fresh(asset.checked_at):
                return self._answer(Found(asset, Source.HIT))
            check = partial(self._revalidate, image, reference, asset)
            return self._answer(self._site.cache.once(f"check {asset.path}", check))

    def check_push(self) -> None:
        """See :class:`repoman_docker.service.ManifestService`; always refused."""
        raise self._uploads.refusal()

    def put(
        self,
        name: str,
        reference: Digest | Tag,
        tags: tuple[Tag, ...],
        body: bytes,
        content_type: str | None,
        check_move: CheckMove | None = None,
    ) -> StoredManifest:
        """See :class:`repoman_docker.service.ManifestService`; always refused."""
        raise self._uploads.refusal()

    def delete(
        self, name: str, reference: Digest | Tag, check_tag: CheckDelete | None = None
    ) -> None:
        """See :class:`repoman_docker.service.ManifestService`; always refused."""
        raise self._uploads.refusal()

    # By digest ----------------------------------------------------------------------------------

    def _by_digest(self, image: str, digest: Digest) -> Content:
        asset = self._tags.find_manifest(image, digest)
        if asset is not None:
            return self._answer(Found(asset, Source.HIT))
        return self._answer(Found(self._fetch(image, digest), Source.MISS))

    def _fetch(self, image: str, digest: Digest) -> Asset:
        """Return a manifest after having fetched it, once for all that ask meanwhile."""
        path = manifest_path(image, digest)
        if not digest.is_supported or path in self._site.cache.negative:
            raise NotFound("It is known not to be there.")

        def work() -> Asset:
            found = self._tags.find_manifest(image, digest)
            if found is None:
                self._save(image, digest, None)
            return found or self._site.content.get_asset(path)

        try:
            return self._site.cache.once(f"get {path}", work)
        except NotFound:
            if not self._site.content.referring(path, CHILD, limit=1):
                self._site.cache.negative.add(path)  # no index says that it must be there
            raise

    def _save(self, image: str, reference: Digest | Tag, tag: Tag | None) -> Digest:
        """Fetch a manifest and store it, under ``tag`` too; return its digest."""
        remote = self._site.registry.get_manifest(image, reference)
        blob = store_bytes(self._site.blobs, remote.body)
        self._tags.save(image, remote.digest, remote.manifest, blob, tag)
        return remote.digest

    # By tag -------------------------------------------------------------------------------------

    def _cold(self, image: str, tag: Tag) -> Content:
        """Answer for a tag that is not in the cache."""
        path = tag_path(image, tag)
        if path in self._site.cache.negative:
            raise NotFound("It is known not to be there.")
        seen = self._tags.find_seen(image, tag)
        try:
            seen = seen or self._site.cache.once(
                f"head {path}", lambda: self._site.registry.head_manifest(image, tag)
            )
            if seen is None:
                return self._answer(
                    self._site.cache.once(f"get {path}", partial(self._whole, image, tag))
                )
        except NotFound:
            self._site.cache.negative.add(path)
            raise
        if self._tags.find_manifest(image, seen.digest) is not None:
            asset = self._point(image, tag, seen.digest)
            return self._answer(Found(asset, Source.REVALIDATED))
        self._tags.see(image, tag, seen)
        return self._promised(image, seen)

    def _whole(self, image: str, tag: Tag) -> Found:
        """Fetch by tag, for a remote that says too little when it is asked by HEAD."""
        self._save(image, tag, tag)
        return Found(self._site.content.get_asset(tag_path(image, tag)), Source.MISS)

    def _promised(self, image: str, seen: RemoteTag) -> Content:
        """Answer with what the remote says of a manifest, and fetch it if it is to be sent."""

        def fetch() -> BinaryIO | bytes:
            with self._site.absence(ErrorCode.MANIFEST_UNKNOWN, _title(image, seen.digest)):
                asset = self._fetch(image, seen.digest)
            if asset.size != seen.size:
                raise UpstreamUnavailable(
                    f"The remote {self._site.registry.remote} gave a wrong size for {image}."
                )
            return self._site.content.open_body(asset)

        digest = str(seen.digest)
        return Content(
            size=seen.size,
            media_type=seen.media_type,
            open=fetch,
            etag=digest,
            headers={"Docker-Content-Digest": digest, **self._site.headers(Source.MISS)},
            source=Source.MISS.value,
        )

    # Over age -----------------------------------------------------------------------------------

    def _revalidate(self, image: str, tag: Tag, asset: Asset) -> Found:
        """Ask the remote about a tag that is over its age; the old copy is better than nothing."""
        now = self._tags.find(image, tag) or asset
        if self._site.cache.metadata.is_fresh(now.checked_at):
            return Found(now, Source.HIT)  # somebody was faster
        try:
            return self._compare(image, tag, now)
        except NotFound:
            if self._site.proxy.follow_deletion:
                self._tags.delete(now)
                raise
            text = f"The remote does not have {image}:{tag} any more; this is the copy."
            return Found(self._tags.touch(now), Source.STALE, text)
        except UpstreamError as error:
            _log.warning("A stale copy of %s:%s is served: %s", image, tag, error)
            return Found(now, Source.STALE, f"{image}:{tag} may be out of date. {error}")

    def _compare(self, image: str, tag: Tag, asset: Asset) -> Found:
        seen = self._site.registry.head_manifest(image, tag)
        if seen is None:
            return self._compare_whole(image, tag, asset)
        if str(seen.digest) == asset.attributes["digest"]:
            return Found(self._tags.touch(asset), Source.REVALIDATED)
        held = self._hold(image, tag, asset, seen.digest)
        if held is not None:
            return held
        self._fetch(image, seen.digest)
        return Found(self._point(image, tag, seen.digest), Source.MISS)

    def _compare_whole(self, image: str, tag: Tag, asset: Asset) -> Found:
        """The same, where only a GET tells the digest."""
        digest = self._save(image, tag, None)
        if str(digest) == asset.attributes["digest"]:
            return Found(self._tags.touch(asset), Source.REVALIDATED)
        held = self._hold(image, tag, asset, digest)
        return held or Found(self._point(image, tag, digest), Source.MISS)

    def _hold(self, image: str, tag: Tag, asset: Asset, digest: Digest) -> Found | None:
        held = self._tags.hold(asset, digest)
        if held is None:
            return None
        text = (
            f"The remote has moved {image}:{tag} to {digest} less than "
            f"{self._site.proxy.minimum_age} h ago; this is the former one."
        )
        return Found(held, Source.REVALIDATED, text)

    def _point(self, image: str, tag: Tag, digest: Digest) -> Asset:
        asset = self._site.content.get_asset(manifest_path(image, digest))
        body = self._site.content.open_body(asset)
        if not isinstance(body, bytes):
            with body:
                body = body.read()
        return self._tags.point(image, tag, digest, parse_manifest(body, asset.media_type))

    def _answer(self, found: Found) -> Content:
        asset = found.asset
        digest = asset.attributes["digest"]
        self._site.cache.note_use(asset.path)
        headers = self._site.headers(found.source, asset, found.warning)
        return Content(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._site.content.open_body(asset),
            etag=digest,
            headers={"Docker-Content-Digest": digest, **headers},
            source=found.source.value,
        )


def _title(image: str, reference: Digest | Tag) -> str:
    mark = "@" if isinstance(reference, Digest) else ":"
    return f"{image}{mark}{reference}"
