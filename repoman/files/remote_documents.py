"""Documents of a remote in the cache of a proxy: kept as they came, and parsed when asked for.

A document is fetched once for all clients, and again when its age exceeds that of metadata, with
the validators of the remote's last answer. An old one is served while the remote fails, or sends
what cannot be read.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from repoman.blobs.store import CANONICAL
from repoman.blobs.upload import store_bytes
from repoman.caching import LruCache
from repoman.content import Asset, NewAsset
from repoman.errors import NotFound, UpstreamError, UpstreamRefused, UpstreamUnavailable
from repoman.files.format import DOCUMENTS, METADATA, Document, FileFormat, Metadata, Value
from repoman.problems import reason_of
from repoman.proxy.cache import ProxyCache, Source
from repoman.proxy.cached_files import (
    LASTING_S,
    NOT_THERE,
    REFUSED,
    STALE,
    address_of,
    media_type_of,
    validators_of,
)
from repoman.proxy.response import UpstreamResponse
from repoman.repositories.proxy_sections import ProxySection
from repoman.repositories.recipes import RepositoryContext

PARSED_MAX_BYTES = 1 << 20  # The value of a larger one would take the place of all others.
# A remote may send anything, and formats need not foresee all of it.
UNREADABLE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
PATHS_BATCH = 1000  # Documents that are looked through together.
LOOKED_AGAIN_S = 60.0  # A document that lacks a file is asked for again only so often.

_log = logging.getLogger(__name__)


class RemoteDocuments:
    """The documents of the remote of one proxy; thread safe."""

    def __init__(
        self,
        format_: FileFormat,
        context: RepositoryContext,
        cache: ProxyCache,
        headers: Mapping[str, str],
    ) -> None:
        self._format = format_
        self._config = context.config
        self._content = context.content
        self._blobs = context.blobs
        self._cache = cache
        self._headers = headers
        self._follow_deletion = context.config.section("proxy", ProxySection).follow_deletion
        self._parsed: LruCache[Value] = LruCache()

    def get(self, metadata: Metadata, age_max_s: float | None = None) -> Document:
        """Return a document; with ``age_max_s``, one that was checked so many seconds ago at most.

        Raises:
            NotFound: neither the remote nor the cache has it.
            UpstreamError: the remote failed, and the cache does not have it.
        """
        path = DOCUMENTS + metadata.key
        asset = self._cache.find(path)
        if asset is not None and self._is_fresh(asset, age_max_s):
            found = self._kept(metadata, asset, Source.HIT)
            return replace(found, is_cacheable=self._is_fresh(asset, age_max_s, LASTING_S))
        with self._cache.absence(metadata.name):
            try:
                self._check_absence(path)
                return self._cache.once(path, lambda: self._renew(metadata, path, age_max_s))
            except (NotFound, UpstreamError) as error:
                has_gone = isinstance(error, NotFound) and self._follow_deletion
                if asset is None or has_gone:
                    raise
                _log.warning("Serving a stale copy of %s: %s", metadata.key, error)
                return self._stale(metadata, asset, str(error))

    def paths_of(self, name: str) -> list[str]:
        """Return where the cache has the documents about a package, or else about all of them."""
        found: dict[str, list[str]] = {}
        after = ""
        while batch := self._content.list_assets(METADATA, after, PATHS_BATCH, DOCUMENTS):
            after = batch[-1].path
            for each in batch:
                target = self._format.target(each.path.removeprefix(DOCUMENTS))
                if isinstance(target, Metadata) and target.package in ("", name):
                    found.setdefault(target.package, []).append(each.path)
        return found.get(name) or found.get("", [])

    def _check_absence(self, path: str) -> None:
        """Raise NotFound if the remote said lately that it does not have a document."""
        if path in self._cache.negative:
            raise NotFound("It was not there recently.")

    def _is_fresh(self, asset: Asset, age_max_s: float | None, ahead: float = 0.0) -> bool:
        if not self._cache.metadata.is_fresh(asset.checked_at, ahead):
            return False
        return age_max_s is None or self._cache.metadata.age(asset.checked_at) <= age_max_s

    def _renew(self, metadata: Metadata, path: str, age_max_s: float | None) -> Document:
        asset = self._cache.find(path)
        if asset is not None and self._is_fresh(asset, age_max_s):
            return self._kept(metadata, asset, Source.HIT)  # another thread was faster
        self._check_absence(path)
        now = self._cache.clock()
        try:
            answer = self._ask(metadata, asset)
        except NotFound:
            self._cache.negative.add(path)
            if asset is not None and self._follow_deletion:
                self._cache.keep(path, lambda: self._content.delete_assets([path]))
            raise
        with answer:
            if answer.status == HTTPStatus.NOT_MODIFIED and asset is not None:
                return self._kept(metadata, self._cache.touch(asset, now), Source.REVALIDATED)
            body = answer.read_all(self._format.document_max_bytes)
        media_type = media_type_of(answer.headers)
        value = self._parse(metadata, body, media_type, answer.url)
        digest = hashlib.new(CANONICAL, body).hexdigest()
        self._keep_parsed(path, digest, len(body), value)

        def write() -> None:
            blob = store_bytes(self._blobs, body)
            new = NewAsset(path, METADATA, blob, media_type, {"url": answer.url}, checked_at=now)
            self._content.save_asset(replace(new, **validators_of(answer.headers)))

        self._cache.keep(path, write)
        self._cache.negative.discard(path)
        is_same = asset is not None and asset.digest == digest
        source = Source.REVALIDATED if is_same else Source.MISS
        return Document(lambda: value, digest, source.value, self._cache.headers(source))

    def _ask(self, metadata: Metadata, asset: Asset | None) -> UpstreamResponse:
        """Return the answer to a request for a document: 200, or 304 if a copy has validators."""
        fetch, known = self._format.fetch(metadata, self._config), {}
        if asset is not None:
            given = {"If-None-Match": asset.remote_etag, "If-Modified-Since": asset.remote_modified}
            known = {name: value for name, value in given.items() if value}
        url, login = address_of(self._cache.client, fetch.path, self._headers)
        headers = {**login, **fetch.headers, **known}
        answer = self._cache.client.open("GET", url, headers)
        if answer.status == HTTPStatus.OK or (known and answer.status == HTTPStatus.NOT_MODIFIED):
            return answer
        answer.close()
        if answer.status in NOT_THERE:
            raise NotFound(f"{answer.host} does not have it.")
        if answer.status in REFUSED:
            raise UpstreamRefused(f"{answer.host} refused access, status {answer.status}.")
        raise UpstreamUnavailable(f"{answer.host} answered with the status {answer.status}.")

    def _kept(self, metadata: Metadata, asset: Asset, source: Source) -> Document:
        headers = self._cache.headers(source, asset)
        return Document(lambda: self._value(metadata, asset), asset.digest, source.value, headers)

    def _value(self, metadata: Metadata, asset: Asset) -> Value:
        """Return the value of a document in the cache."""
        value = self._parsed.find((asset.path, asset.digest))
        if value is None:
            with self._content.open_asset(asset) as file:
                body = file.read()
            url = str(asset.attributes.get("url", ""))
            value = self._parse(metadata, body, asset.media_type, url)
            self._keep_parsed(asset.path, asset.digest, asset.size, value)
        return value

    def _keep_parsed(self, path: str, digest: str, size: int, value: Value) -> None:
        if size <= PARSED_MAX_BYTES:
            self._parsed.save((path, digest), value)

    def _stale(self, metadata: Metadata, asset: Asset, reason: str) -> Document:
        found = self._kept(metadata, asset, Source.STALE)
        return replace(found, headers={**found.headers, "Warning": STALE}, warnings=(reason,))

    def _parse(self, metadata: Metadata, body: bytes, media_type: str, url: str) -> Value:
        try:
            return self._format.parse(metadata, body, media_type, url)
        except UNREADABLE as error:
            raise UpstreamUnavailable(
                f"The remote's document {metadata.key} cannot be read: {reason_of(error)}."
            ) from error
