"""The manifests of a proxy: cached forever by digest, and by tag for the metadata age."""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import BinaryIO

from repoman.plugin import Asset, Content, NotFound, Source, UpstreamError
from repoman_docker.layout import CHILD, manifest_path, manifest_pull, tag_path
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.protocol.texts import render_warnings
from repoman_docker.proxy.site import ProxySite
from repoman_docker.proxy.tags import TagStore
from repoman_docker.proxy.uploads import ProxyUploads
from repoman_docker.remote import RemoteTag, WrongManifest
from repoman_docker.service import CheckDelete, CheckMove, StoredManifest

TAGS_MAX = 3
"""A manifest is searched under at most this many tags that were seen at its digest."""

_log = logging.getLogger(__name__)

Finish = Callable[[str, RemoteTag], Content]  # the image name, and the tag as the remote has it


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest, its source, and a warning.

    Attributes:
        body: the bytes, if they could not be cached.
    """

    asset: Asset
    source: Source
    warning: str = ""
    body: bytes | None = None


class ProxyManifests:
    """Reads manifests and caches them; pushes are refused."""

    def __init__(self, site: ProxySite, tags: TagStore, uploads: ProxyUploads) -> None:
        self._site = site
        self._tags = tags
        self._uploads = uploads

    def get(self, name: str, reference: Digest | Tag) -> Content:
        """See :class:`repoman_docker.service.ManifestService`."""
        return self._find(name, reference, self._fetched)

    def head(self, name: str, reference: Digest | Tag) -> Content:
        """See :class:`repoman_docker.service.ManifestService`; for a tag it fetches no manifest."""
        return self._find(name, reference, self._promised)

    def _find(self, name: str, reference: Digest | Tag, finish: Finish) -> Content:
        image = self._site.image(name, ErrorCode.MANIFEST_UNKNOWN, "manifests", reference)
        with self._site.absence(ErrorCode.MANIFEST_UNKNOWN, _title(image, reference)):
            if isinstance(reference, Digest):
                return self._content(self._by_digest(image, reference))
            asset = self._tags.find(image, reference)
            if asset is None:
                return self._cold(image, reference, finish)
            if self._site.cache.metadata.is_fresh(asset.checked_at):
                return self._content(FoundManifest(asset, Source.HIT))
            return self._content(self._check(image, reference, asset))

    def check_push(self, name: str, reference: Digest | Tag) -> None:
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

    def _by_digest(self, image: str, digest: Digest) -> FoundManifest:
        asset = self._tags.find_manifest(image, digest)
        if asset is not None:
            return FoundManifest(asset, Source.HIT)
        try:
            return self._fetch(image, digest)
        except (NotFound, WrongManifest):
            seen = self._tags.seen_at(image, digest)
            if (asset := self._tags.find_manifest(image, digest)) is not None:
                return FoundManifest(asset, Source.HIT)  # another thread was faster, by a tag
            if (found := self._find_at(image, seen, digest)) is not None:
                return found
            self._tags.forget(image, seen)
            # A digest that a tag had or an index lists may exist again at the next request.
            path = manifest_path(image, digest)
            if not seen and not self._site.content.referring(path, CHILD, limit=1):
                self._site.cache.negative.add(path)
            raise

    def _find_at(self, image: str, tags: Iterable[Tag], digest: Digest) -> FoundManifest | None:
        """Return a manifest that the remote serves under one of these tags, but not by digest."""
        for tag in islice(tags, TAGS_MAX):
            with suppress(NotFound):
                found = self._load_once(image, tag)
                if found.asset.attributes["digest"] == str(digest):
                    return found
        return None

    def _fetch(self, image: str, digest: Digest) -> FoundManifest:
        """Fetch a manifest, once for all concurrent requests, and return it."""
        path = manifest_path(image, digest)
        if not digest.is_supported or path in self._site.cache.negative:
            raise NotFound("It was not found there recently.")

        def work() -> FoundManifest:
            found = self._tags.find_manifest(image, digest)
            return (
                self._load(image, digest, None)
                if found is None
                else FoundManifest(found, Source.MISS)
            )

        found: FoundManifest = self._site.cache.once(f"get {path}", work)
        return found

    def _load(self, image: str, reference: Digest | Tag, tag: Tag | None) -> FoundManifest:
        """Fetch a manifest and cache it if possible, also under ``tag``."""
        remote = self._site.registry.get_manifest(image, reference)
        asset, is_kept = self._tags.save(image, remote, tag)
        return FoundManifest(asset, Source.MISS, body=None if is_kept else remote.body)

    # By tag -------------------------------------------------------------------------------------

    def _cold(self, image: str, tag: Tag, finish: Finish) -> Content:
        """Return the manifest of a tag that is not in the cache."""
        path = tag_path(image, tag)
        if path in self._site.cache.negative:
            raise NotFound("It was not found there recently.")
        if (seen := self._tags.find_seen(image, tag)) is not None:
            with suppress(NotFound, WrongManifest):  # it has moved since, or GET has another one
                return finish(image, seen)
        resolve = partial(self._resolve, image, tag, seen)
        found: RemoteTag | FoundManifest = self._site.cache.once(f"head {path}", resolve)
        if isinstance(found, FoundManifest):
            return self._content(found)
        try:
            return finish(image, found)
        except (NotFound, WrongManifest):  # GET does not have what HEAD named
            return self._content(self._load_tag(image, tag))

    def _resolve(self, image: str, tag: Tag, tried: RemoteTag | None) -> RemoteTag | FoundManifest:
        """Return the manifest of a tag if it is cached by now, or what the remote says of the tag.

        ``tried`` is an earlier answer of the remote that led to no manifest: it counts no more.
        """
        # In this order: once a tag is cached, it is no longer known as seen.
        seen = self._tags.find_seen(image, tag)
        if (asset := self._tags.find(image, tag)) is not None:
            return self._check(image, tag, asset)  # another thread was faster
        if seen is not None and seen != tried:
            return seen  # another thread was faster
        path = tag_path(image, tag)
        if path in self._site.cache.negative:
            raise NotFound("It was not found there a moment ago.")
        try:
            seen = self._site.registry.head_manifest(image, tag)
        except NotFound:
            self._site.cache.negative.add(path)
            raise
        if seen is None:
            return self._load_tag(image, tag)
        if (known := self._tags.find_manifest(image, seen.digest)) is not None:
            return FoundManifest(self._tags.point(image, tag, known), Source.REVALIDATED)
        self._tags.see(image, tag, seen)
        return seen

    def _load_tag(self, image: str, tag: Tag) -> FoundManifest:
        """Fetch a manifest by its tag, and remember if it does not exist."""
        try:
            return self._load_once(image, tag)
        except NotFound:
            self._site.cache.negative.add(tag_path(image, tag))
            raise

    def _load_once(self, image: str, tag: Tag) -> FoundManifest:
        def work() -> FoundManifest:
            found = self._tags.find(image, tag)
            if found is not None and self._site.cache.metadata.is_fresh(found.checked_at):
                return FoundManifest(found, Source.HIT)  # another thread was faster
            return self._load(image, tag, tag)

        found: FoundManifest = self._site.cache.once(f"get {tag_path(image, tag)}", work)
        return found

    def _fetched(self, image: str, seen: RemoteTag) -> Content:
        return self._content(self._fetch(image, seen.digest))

    def _promised(self, image: str, seen: RemoteTag) -> Content:
        """Return a manifest from the remote's HEAD; opening it fetches it."""
        digest = str(seen.digest)
        return Content(
            size=seen.size,
            media_type=seen.media_type,
            open=lambda: self._body(self._fetch(image, seen.digest)),
            etag=digest,
            headers={"Docker-Content-Digest": digest, **self._site.cache.headers(Source.MISS)},
            source=Source.MISS.value,
        )

    # Expired ------------------------------------------------------------------------------------

    def _check(self, image: str, tag: Tag, asset: Asset) -> FoundManifest:
        """Return the manifest of an expired tag, revalidated once for all concurrent requests."""
        check = partial(self._revalidate, image, tag, asset)
        found: FoundManifest = self._site.cache.once(f"check {asset.path}", check)
        return found

    def _revalidate(self, image: str, tag: Tag, asset: Asset) -> FoundManifest:
        """Revalidate an expired tag; if that fails, the old copy is better than nothing."""
        now = self._tags.find(image, tag) or asset
        if self._site.cache.metadata.is_fresh(now.checked_at):
            return FoundManifest(now, Source.HIT)  # another thread was faster
        try:
            return self._compare(image, tag, now)
        except NotFound:
            if self._site.proxy.follow_deletion:
                self._tags.delete(now)
                raise
            text = f"{image}:{tag} no longer exists in the remote. This is the cached copy."
            return FoundManifest(self._tags.touch(now), Source.STALE, text)
        except UpstreamError as error:
            _log.warning("Serving a stale copy of %s:%s: %s", image, tag, error)
            return FoundManifest(now, Source.STALE, f"{image}:{tag} may be out of date. {error}")

    def _compare(self, image: str, tag: Tag, asset: Asset) -> FoundManifest:
        seen = self._site.registry.head_manifest(image, tag)
        if seen is None:
            return self._compare_whole(image, tag, asset)
        if str(seen.digest) == asset.attributes["digest"]:
            return FoundManifest(self._tags.touch(asset), Source.REVALIDATED)
        held = self._hold(image, tag, asset, seen.digest)
        if held is not None:
            return held
        try:
            return self._move(image, tag, self._fetch(image, seen.digest))
        except (NotFound, WrongManifest):  # GET does not have what HEAD named
            return self._compare_whole(image, tag, asset)

    def _compare_whole(self, image: str, tag: Tag, asset: Asset) -> FoundManifest:
        """Do the same with a GET, if HEAD does not state the digest."""
        found = self._load(image, tag, None)
        digest = found.asset.attributes["digest"]
        if digest == asset.attributes["digest"]:
            return FoundManifest(self._tags.touch(asset), Source.REVALIDATED)
        held = self._hold(image, tag, asset, Digest.parse(digest))
        return held or self._move(image, tag, found)

    def _move(self, image: str, tag: Tag, found: FoundManifest) -> FoundManifest:
        """Set a tag to the manifest that was found, unless it could not be cached."""
        if found.body is not None:
            return found
        return replace(found, asset=self._tags.point(image, tag, found.asset))

    def _hold(self, image: str, tag: Tag, asset: Asset, digest: Digest) -> FoundManifest | None:
        held = self._tags.hold(asset, digest)
        if held is None:
            return None
        text = (
            f"The remote has moved {image}:{tag} to {digest} less than "
            f"{self._site.proxy.minimum_age} h ago. This is the previous image."
        )
        return FoundManifest(held, Source.REVALIDATED, text)

    # Answers ------------------------------------------------------------------------------------

    def _content(self, found: FoundManifest) -> Content:
        asset = found.asset
        digest = asset.attributes["digest"]
        headers = {"Docker-Content-Digest": digest, **self._site.cache.headers(found.source, asset)}
        if found.warning:
            headers["Warning"] = render_warnings([found.warning])
        return Content(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._body(found),
            etag=digest,
            headers=headers,
            source=found.source.value,
            pull=manifest_pull(self._site.content, asset),
        )

    def _body(self, found: FoundManifest) -> BinaryIO | bytes:
        return self._site.content.open_body(found.asset) if found.body is None else found.body


def _title(image: str, reference: Digest | Tag) -> str:
    mark = "@" if isinstance(reference, Digest) else ":"
    return f"{image}{mark}{reference}"
