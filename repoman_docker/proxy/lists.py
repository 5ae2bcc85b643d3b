"""What a proxy lists: tags and referrers as its remote has them, images as they are cached."""

import json
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

from repoman.plugin import (
    NewAsset,
    NotFound,
    UpstreamError,
    UpstreamRefused,
    store_bytes,
)
from repoman_docker.hosted.lists import HostedLists
from repoman_docker.layout import LIST, referrers_path, tag_list_path
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.manifest import parse_manifest
from repoman_docker.protocol.media_types import JSON, OCI_INDEX
from repoman_docker.protocol.referrers import referrers_index
from repoman_docker.proxy.site import ProxySite
from repoman_docker.v1.reading import read_asset

NO_LIMIT = 1 << 40


class ProxyLists:
    """Lists of the remote, cached for the metadata age; what is known where it is out of reach."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site
        self._local = HostedLists(site.content)

    def tags(self, name: str, after: str, limit: int) -> list[str]:
        """See :class:`repoman_docker.service.ListService`."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN)
        path = tag_list_path(image)
        with self._site.absence(ErrorCode.NAME_UNKNOWN, f"an image {image}"):
            try:
                body = self._list(path, JSON, lambda: self._fetch_tags(image))
            except (UpstreamError, NotFound):
                # What is known here is better than nothing, and kept if the remote deletes it.
                if self._site.proxy.follow_deletion or not self.has_image(name):
                    raise
                return self._local.tags(image, after, limit)
        tags: list[str] = json.loads(body)
        start = bisect_right(tags, after) if after else 0
        return tags[start : start + limit]

    def cached_tags(self, name: str, after: str, limit: int) -> list[str]:
        """Return the tags of an image that are kept here (NAME_UNKNOWN)."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN)
        return self._local.tags(image, after, limit)

    def images(self, after: str, limit: int) -> list[str]:
        """See :class:`repoman_docker.service.ListService`; what is cached."""
        return self._local.images(after, limit)

    def has_image(self, name: str) -> bool:
        """See :class:`repoman_docker.service.ListService`."""
        return self._site.serves(name) and self._local.has_image(self._site.long_name(name))

    def referrers(self, name: str, subject: Digest, after: str, limit: int) -> list[Descriptor]:
        """See :class:`repoman_docker.service.ListService`."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN)
        path = referrers_path(image, subject)
        try:
            body = self._list(path, OCI_INDEX, lambda: self._fetch_referrers(image, subject))
        except (NotFound, UpstreamRefused):
            return []
        except UpstreamError:
            if found := self._local.referrers(image, subject, after, limit):
                return found
            raise
        children = parse_manifest(body, OCI_INDEX).children
        later = [each for each in children if not after or str(each.digest) > after]
        return later if limit < 0 else later[:limit]

    # Inside -------------------------------------------------------------------------------------

    def _list(self, path: str, media_type: str, fetch: Callable[[], bytes]) -> bytes:
        """Return a list of the remote, from the cache if it is young or cannot be renewed."""
        asset = self._site.find(path)
        if asset is not None and self._site.cache.metadata.is_fresh(asset.checked_at):
            return read_asset(self._site.content, asset)
        try:
            return self._site.cache.once(path, lambda: self._renew(path, media_type, fetch))
        except UpstreamError:
            if asset is None:
                raise
            return read_asset(self._site.content, asset)

    def _renew(self, path: str, media_type: str, fetch: Callable[[], bytes]) -> bytes:
        body = fetch()
        now = self._site.cache.clock()

        def write() -> None:
            new = NewAsset(path, LIST, store_bytes(self._site.blobs, body), media_type)
            self._site.content.save_asset(replace(new, checked_at=now))

        self._site.keep(path, write)
        return body

    def _fetch_tags(self, image: str) -> bytes:
        return json.dumps(self._site.registry.list_tags(image)).encode()

    def _fetch_referrers(self, image: str, subject: Digest) -> bytes:
        found = self._site.registry.list_referrers(image, subject)
        return referrers_index(found, None, NO_LIMIT).body
