"""The lists of a proxy: the tags and referrers of its remote, and the cached images."""

import json
import logging
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

from repoman.plugin import (
    Asset,
    LruCache,
    NewAsset,
    NotFound,
    Source,
    UpstreamError,
    UpstreamRefused,
    store_bytes,
)
from repoman_docker.hosted.lists import HostedLists
from repoman_docker.layout import LIST, referrers_path, tag_list_path
from repoman_docker.merge import Budget, Names, read_names
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.manifest import parse_manifest
from repoman_docker.protocol.media_types import JSON, OCI_INDEX
from repoman_docker.protocol.reference import Digest
from repoman_docker.protocol.referrers import referrers_index
from repoman_docker.proxy.site import ProxySite
from repoman_docker.service import Listed
from repoman_docker.v1.reading import read_asset

UNLIMITED_ENTRIES = 1 << 40

Entry = TypeVar("Entry")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listing(Generic[Entry]):
    """A list of the remote: where it is cached, and how it is fetched and parsed.

    Attributes:
        fetch: returns the list to cache, and why entries may be missing, empty if none are.
    """

    path: str
    media_type: str
    fetch: Callable[[], tuple[bytes, str]]
    parse: Callable[[bytes], Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class WholeList(Generic[Entry]):
    """A whole list, with its source and warnings."""

    entries: Sequence[Entry]
    headers: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def part(self, start: int, stop: int | None) -> Listed[Entry]:
        """Return the entries between two positions, up to the end if ``stop`` is None."""
        return Listed(self.entries[start:stop], self.headers, self.warnings)


class ProxyLists:
    """Lists of the remote, cached for the metadata age; cached content if it is not reachable."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site
        self._local = HostedLists(site.content)
        self._parsed: LruCache[Sequence[Any]] = LruCache()

    def tags(self, name: str, after: str, limit: int) -> Listed[str]:
        """See :class:`repoman_docker.service.ListService`."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN)
        with self._site.absence(ErrorCode.NAME_UNKNOWN, f"an image {image}"):
            try:
                found = self._list(_tags_of(self._site, image))
            except (UpstreamError, NotFound) as error:
                # The cached tags are better than nothing, also if the remote deletes its own.
                is_to_go = isinstance(error, NotFound) and self._site.proxy.follow_deletion
                if is_to_go or not self._local.has_image(image):
                    raise
                return self._known(self._local.tags(image, after, limit), error)
        start = bisect_right(found.entries, after) if after else 0
        return found.part(start, start + limit)

    def cached_tags(self, name: str, after: str, limit: int) -> list[str]:
        """Return the cached tags of an image (NAME_UNKNOWN)."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN)
        return self._local.tags(image, after, limit)

    def images(self, after: str, limit: int, budget: Budget) -> Names:
        """See :class:`repoman_docker.service.ListService`; the cached, allowed images."""
        read = partial(self._local.images, budget=budget)
        if not self._site.routing.is_restricted:
            return read(after, limit)
        return read_names(read, after, limit, self._site.serves, budget)

    def has_image(self, name: str) -> bool:
        """See :class:`repoman_docker.service.ListService`."""
        image = self._site.long_name(name)
        return self._local.has_image(image) or self._site.unkept.find(image) is not None

    def referrers(self, name: str, subject: Digest, after: str, limit: int) -> Listed[Descriptor]:
        """See :class:`repoman_docker.service.ListService`."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN, "referrers", subject)
        try:
            found = self._list(_referrers_of(self._site, image, subject))
        except (NotFound, UpstreamRefused):
            return Listed(headers=self._site.cache.headers(Source.MISS))
        except UpstreamError as error:
            if known := self._local.referrers(image, subject, after, limit):
                return self._known(known, error)
            raise
        start = bisect_right(found.entries, after, key=lambda each: str(each.digest))
        return found.part(start, None if limit < 0 else start + limit)

    # Inside -------------------------------------------------------------------------------------

    def _list(self, listing: Listing[Entry]) -> WholeList[Entry]:
        """Return a list of the remote, from the cache if it is fresh or cannot be refreshed."""
        asset = self._site.cache.find(listing.path)
        if (fresh := self._fresh(listing, asset)) is not None:
            return fresh
        try:
            found: WholeList[Entry] = self._site.cache.once(
                listing.path, lambda: self._renew(listing)
            )
        except UpstreamError as error:
            if asset is None:
                raise
            _log.warning("Serving a stale copy of %s: %s", listing.path, error)
            return self._kept(listing, asset, Source.STALE, f"The list may be out of date. {error}")
        return found

    def _fresh(self, listing: Listing[Entry], asset: Asset | None) -> WholeList[Entry] | None:
        """Return a cached list if the remote need not be asked for it."""
        if asset is None or not self._site.cache.metadata.is_fresh(asset.checked_at):
            return None
        kept = self._kept(listing, asset, Source.HIT)
        # An empty list is cached for no longer than any other negative result.
        is_good = kept.entries or self._site.cache.absences.is_fresh(asset.checked_at)
        return kept if is_good else None

    def _kept(
        self, listing: Listing[Entry], asset: Asset, source: Source, *warnings: str
    ) -> WholeList[Entry]:
        def read() -> Sequence[Entry]:
            return listing.parse(read_asset(self._site.content, asset))

        entries = self._parsed.get((listing.media_type, asset.digest), read)
        return WholeList(entries, self._site.cache.headers(source, asset), warnings)

    def _known(self, entries: Listed[Entry], error: Exception) -> Listed[Entry]:
        """Return the entries that were pulled through this proxy, in place of the remote's list."""
        text = f"The list has only what is cached here. {error}"
        return Listed(entries, self._site.cache.headers(Source.STALE), [text])

    def _renew(self, listing: Listing[Entry]) -> WholeList[Entry]:
        """Fetch a list, and cache it if it is complete."""
        asset = self._site.cache.find(listing.path)
        if (fresh := self._fresh(listing, asset)) is not None:
            return fresh  # another thread was faster
        body, gap = listing.fetch()
        now = self._site.cache.clock()

        def write() -> None:
            blob = store_bytes(self._site.blobs, body)
            new = NewAsset(listing.path, LIST, blob, listing.media_type)
            self._site.content.save_asset(replace(new, checked_at=now))

        if not gap:
            self._site.cache.keep(listing.path, write)
        warnings = (gap,) if gap else ()
        return WholeList(listing.parse(body), self._site.cache.headers(Source.MISS), warnings)


def _tags_of(site: ProxySite, image: str) -> Listing[str]:
    def fetch() -> tuple[bytes, str]:
        found = site.registry.list_tags(image)
        return json.dumps(found.entries).encode(), found.gap

    return Listing(tag_list_path(image), JSON, fetch, json.loads)


def _referrers_of(site: ProxySite, image: str, subject: Digest) -> Listing[Descriptor]:
    def fetch() -> tuple[bytes, str]:
        found = site.registry.list_referrers(image, subject)
        return referrers_index(found.entries, None, UNLIMITED_ENTRIES).body, found.gap

    def parse(body: bytes) -> Sequence[Descriptor]:
        return parse_manifest(body, OCI_INDEX).children

    return Listing(referrers_path(image, subject), OCI_INDEX, fetch, parse)
