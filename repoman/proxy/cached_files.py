"""The files of a remote in the cache of a proxy, by path.

A file is fetched once for all clients. What may change is asked for again when its age exceeds the
limit, with the validators of the remote's last answer (RFC 9110, 13.1), so it sends no bytes if the
file is unchanged. A cached file is served while the remote fails.
"""

import logging
import mimetypes
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from repoman.blobs.store import StoredBlob
from repoman.content import Asset, ContentStore, NewAsset
from repoman.errors import NotFound, UpstreamError, UpstreamRefused, UpstreamUnavailable
from repoman.proxy.cache import ProxyCache, Source
from repoman.proxy.download import STORAGE_ERRORS, Download, DownloadReader
from repoman.proxy.fetching import Body, FetchRequest, PassThrough
from repoman.proxy.redirects import is_same_server
from repoman.proxy.response import DecodedBody, encoding_of
from repoman.proxy.upstream import UpstreamClient

SIZE_TIMEOUT_S = 120.0  # The longest wait for more bytes of a file whose length is unknown.
LASTING_S = 10.0  # No answer is repeated from memory for so long.
VALIDATOR_MAX_CHARS = 500  # A longer ETag is not remembered.
OCTET_STREAM = "application/octet-stream"
STALE = '110 - "Response is Stale"'  # RFC 7234, 5.5.1
NOT_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is at the remote.

    Attributes:
        url: below the address of the remote, or a whole one: another host gets no login.
        digests: what the file has to hash to, in hex, by algorithm, as far as that is known.
        size: in bytes, where it is known.
    """

    url: str
    digests: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """What a format defines for the files of its remote.

    Attributes:
        locate: returns where a path is at the remote (NotFound, UpstreamError).
        is_mutable: returns whether other bytes may come to be at a path.
        new_asset: takes a path, its blob and its media type, and returns the asset to store.
        headers: sent with each request; a login among them is sent to the remote only.
        follow_deletion: whether files that the remote has deleted are deleted from the cache.
        checksums: the algorithms of the checksums that are stored with files, besides SHA-256.
    """

    locate: Callable[[str], Place]
    new_asset: Callable[[str, StoredBlob, str], NewAsset]
    is_mutable: Callable[[str], bool] = lambda _path: True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    follow_deletion: bool = False
    checksums: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file to be served; see :class:`repoman.http.content.Content` for its other attributes.

    Attributes:
        is_lasting: whether it stays what is served for a while, unless the database changes.
    """

    size: int
    media_type: str
    open: Callable[[], BinaryIO | bytes | DownloadReader | PassThrough]
    etag: str
    headers: Mapping[str, str]
    source: Source
    last_modified: float | None = None
    checksums: Callable[[], Mapping[str, str]] = dict
    is_lasting: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """The result of asking the remote: an asset, a download, or neither without disk space."""

    source: Source
    asset: Asset | None = None
    download: Download | None = None


class CachedFiles:
    """Serves the files of one remote; thread safe."""

    def __init__(self, cache: ProxyCache, content: ContentStore, remote: RemoteFiles) -> None:
        self._cache = cache
        self._content = content
        self._remote = remote

    def get(self, path: str) -> CachedFile:
        """Return a file, from the cache if it is fresh or the remote fails.

        Raises:
            NotFound: neither the remote nor the cache has it.
            UpstreamError: the remote failed, and the cache does not have it.
        """
        asset = self._cache.find(path)
        if asset is not None and self._is_fresh(asset):
            kept = self._kept(asset, Source.HIT)
            return replace(kept, is_lasting=self._is_fresh(asset, LASTING_S))
        self._check_absence(path, asset)
        with self._cache.absence(path):
            try:
                return self._served(path, self._find(path))
            except STORAGE_ERRORS:
                self._cache.note_full()
                return self._passed(path)
            except UpstreamError as error:
                if asset is None:
                    raise
                _log.warning("Serving a stale copy of %s: %s", path, error)
                return self._kept(asset, Source.STALE)

    def _check_absence(self, path: str, asset: Asset | None) -> None:
        """Raise NotFound if the remote said lately that it does not have what is not cached."""
        if asset is None and path in self._cache.negative:
            raise NotFound(f"The remote did not have {path} recently.")

    # What the remote says -------------------------------------------------------------------------

    def _find(self, path: str) -> _Found:
        running = self._running(path)
        if running is None and not self._cache.has_room() and self._cache.find(path) is None:
            return _Found(Source.MISS)
        return running or self._cache.once(f"file {path}", lambda: self._ask(path))

    def _running(self, path: str) -> _Found | None:
        download = self._cache.download(path, lambda: None)
        return None if download is None else _Found(Source.MISS, download=download)

    def _ask(self, path: str) -> _Found:
        """Ask the remote for a file, with the validators of the copy that is cached."""
        if (running := self._running(path)) is not None:
            return running  # another thread was faster
        asset = self._cache.find(path)
        if asset is not None and self._is_fresh(asset):
            return _Found(Source.HIT, asset)  # another thread was faster
        self._check_absence(path, asset)
        now = self._cache.clock()
        try:
            place = self._remote.locate(path)
            body = self._ask_at(place, path, asset)
        except NotFound:
            if asset is None:
                raise
            return self._deleted(asset, now)
        if asset is not None and body.status == HTTPStatus.NOT_MODIFIED:
            body.close()
            return _Found(Source.REVALIDATED, self._cache.touch(asset, now))
        return _Found(Source.MISS, download=self._download(path, place, body, now))

    def _ask_at(self, place: Place, path: str, asset: Asset | None) -> Body:
        """Return the answer of the remote for a file, and remember if it does not have it.

        What no document names is not remembered: that lasts no longer than the document.
        """
        try:
            return self._request(place, {} if asset is None else _validators(asset))
        except NotFound:
            if asset is None or self._remote.follow_deletion:
                self._cache.negative.add(path)
            raise

    def _deleted(self, asset: Asset, now: float) -> _Found:
        """Treat a cached file that the remote no longer has."""
        if not self._remote.follow_deletion:
            return _Found(Source.STALE, self._cache.touch(asset, now))
        path = asset.path
        self._cache.keep(path, lambda: self._content.delete_assets([path]))
        raise NotFound(f"The remote has deleted {path}.")

    def _download(self, path: str, place: Place, first: Body, now: float) -> Download | None:
        """Continue an answer of the remote as a download; return None if there is no disk space."""
        unread = [first]

        def open_at(start: int) -> Body:
            return unread.pop() if unread and not start else self._request(place, _range(start))

        def keep(blob: StoredBlob) -> None:
            new = self._remote.new_asset(path, blob, media_type_of(first.headers))
            self._content.save_asset(replace(new, checked_at=now, **validators_of(first.headers)))
            self._cache.negative.discard(path)

        request = FetchRequest(
            path,
            place.digests,
            open_at,
            keep,
            size=place.size,
            checksums=self._remote.checksums,
        )
        try:
            return self._cache.download(path, lambda: request)
        except STORAGE_ERRORS:
            first.close()
            return None
        except BaseException:
            first.close()
            raise

    def _request(self, place: Place, headers: Mapping[str, str]) -> Body:
        """Return the answer to a request for a file: 200, or what the headers allow besides.

        That is 206 if they ask for a part, and 304 if they have validators. Without a digest,
        nothing else shows that a part is not the whole, or that no body is not an empty file.
        """
        client = self._cache.client
        url, login = address_of(client, place.url, self._remote.headers)
        response = client.open("GET", url, {**login, **headers})
        is_packed = encoding_of(response.headers) and not _is_archive(url)
        if response.status == HTTPStatus.OK and is_packed:
            return DecodedBody(response, None)
        if response.status == HTTPStatus.OK or response.status in _expected(headers):
            return response
        response.close()
        if response.status in NOT_THERE:
            raise NotFound(f"{response.host} does not have it.")
        if response.status in REFUSED:
            raise UpstreamRefused(f"{response.host} refused access, status {response.status}.")
        raise UpstreamUnavailable(f"{response.host} answered with the status {response.status}.")

    # What is served -------------------------------------------------------------------------------

    def _is_fresh(self, asset: Asset, ahead: float = 0.0) -> bool:
        """Return whether a file need not be asked for again, also so many seconds from now."""
        may_go = self._remote.follow_deletion or self._remote.is_mutable(asset.path)
        return not may_go or self._cache.contents.is_fresh(asset.checked_at, ahead)

    def _served(self, path: str, found: _Found) -> CachedFile:
        if found.asset is not None:
            return self._kept(found.asset, found.source)
        if found.download is not None:
            return self._growing(found.download)
        return self._passed(path)

    def _kept(self, asset: Asset, source: Source) -> CachedFile:
        headers = dict(self._cache.headers(source, asset))
        if source is Source.STALE:
            headers["Warning"] = STALE
        return CachedFile(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._content.open_body(asset),
            etag=asset.digest,
            headers=headers,
            source=source,
            last_modified=_seconds(asset.remote_modified),
            checksums=lambda: self._content.checksums_of(asset),
        )

    def _growing(self, download: Download) -> CachedFile:
        """Return a file while it is downloaded; if its length is unknown, after the download."""
        return self._arriving(
            download.wait_for_size(SIZE_TIMEOUT_S), download.headers, download.open
        )

    def _passed(self, path: str) -> CachedFile:
        """Return a file as the remote sends it, without caching it."""
        place = self._remote.locate(path)
        body = self._request(place, {})
        body.close()
        if body.length is None:
            raise UpstreamUnavailable(f"The remote did not state the size of {path}.")
        again = PassThrough(lambda start: self._request(place, _range(start)))
        return self._arriving(body.length, body.headers, lambda: again)

    def _arriving(
        self,
        size: int,
        headers: Mapping[str, str],
        open_: Callable[[], DownloadReader | PassThrough],
    ) -> CachedFile:
        return CachedFile(
            size=size,
            media_type=media_type_of(headers),
            open=open_,
            etag=f"arriving-{secrets.token_hex(8)}",  # its digest is not known yet
            headers=self._cache.headers(Source.MISS),
            source=Source.MISS,
            last_modified=_seconds(headers.get("Last-Modified")),
        )


def address_of(
    client: UpstreamClient, place: str, login: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    """Return the whole address of a place, and the login to send there: none to another server.

    Raises:
        UpstreamUnavailable: it is no valid address, or one that may not be asked.
    """
    url = client.address(place)
    try:
        is_own = is_same_server(client.remote, url)
    except ValueError as error:  # a document of the remote may say anything
        raise UpstreamUnavailable(f"The remote has a file at no valid address: {error}.") from error
    if is_own:
        return url, login
    client.targets.check(url, client.remote)
    return url, {}


def _is_archive(url: str) -> bool:
    """Return whether a file is compressed by itself, as its name says.

    Servers with a table of suffixes tell that as the encoding of their answer, which it is not.
    """
    return mimetypes.guess_type(urlsplit(url).path)[1] == "gzip"


def _validators(asset: Asset) -> dict[str, str]:
    """Return the headers with which the remote answers 304 if a cached file has not changed."""
    found = {"If-None-Match": asset.remote_etag, "If-Modified-Since": asset.remote_modified}
    return {name: value for name, value in found.items() if value}


def _expected(headers: Mapping[str, str]) -> Iterator[int]:
    """Yield the statuses, besides 200, that may answer a request with these headers."""
    if "Range" in headers:
        yield HTTPStatus.PARTIAL_CONTENT
    if "If-None-Match" in headers or "If-Modified-Since" in headers:
        yield HTTPStatus.NOT_MODIFIED


def _range(start: int) -> dict[str, str]:
    return {"Range": f"bytes={start}-"} if start else {}


def media_type_of(headers: Mapping[str, str]) -> str:
    """Return the media type that headers tell, without parameters."""
    found = headers.get("Content-Type", "").partition(";")[0].strip()
    return checked_media_type(found)


def checked_media_type(text: str) -> str:
    """Return a media type that can be sent in a header: the one given, or that of any bytes."""
    return text if text.isascii() and text.isprintable() and "/" in text else OCTET_STREAM


def validators_of(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the validators of an answer, as an asset has them."""
    etag, modified = map(headers.get, ("ETag", "Last-Modified"))
    return {"remote_etag": _short(etag), "remote_modified": _short(modified)}


def _short(validator: str | None) -> str | None:
    """Return a validator to store; None if it cannot be sent again."""
    if validator is None or len(validator) > VALIDATOR_MAX_CHARS:
        return None
    return validator if validator.isascii() and validator.isprintable() else None


def _seconds(date: str | None) -> float | None:
    """Return a date of HTTP in seconds since the epoch; None if no header can tell it again."""
    if date is not None:
        with suppress(ValueError, TypeError, OverflowError):
            return parsedate_to_datetime(date).astimezone(UTC).timestamp()
    return None
