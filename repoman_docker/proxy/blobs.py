"""The blobs of a proxy: fetched once for all clients, and served while they arrive."""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus

from repoman.plugin import (
    STORAGE_ERRORS,
    Asset,
    Body,
    Content,
    DecodedBody,
    Download,
    FetchRequest,
    NotFound,
    PassThrough,
    Source,
    StoredBlob,
    UpstreamError,
    UpstreamResponse,
    UpstreamUnavailable,
    encoding_of,
    find_pattern,
)
from repoman_docker.hosted.blobs import IMMUTABLE
from repoman_docker.layout import (
    BLOB,
    CHILD,
    MANIFEST,
    blob_path,
    blob_prefix,
    manifest_path,
    new_blob,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.manifest import read_manifest
from repoman_docker.protocol.media_types import OCTET_STREAM
from repoman_docker.protocol.reference import Digest
from repoman_docker.proxy.site import ProxySite
from repoman_docker.proxy.uploads import ProxyUploads
from repoman_docker.service import Visible, everything
from repoman_docker.v1.reading import read_asset

SIZE_TIMEOUT_S = 120.0  # The longest wait for more bytes of a blob whose length is unknown.
MANIFESTS_READ_MAX = 100  # maximum number of manifests to read for one blob

_WHOLE = re.compile(r".*/([0-9]{1,18})")

_log = logging.getLogger(__name__)


class ProxyBlobs:
    """Reads blobs; the remote is asked for each image name whether it has the blob."""

    def __init__(self, site: ProxySite, uploads: ProxyUploads) -> None:
        self._site = site
        self._uploads = uploads
        self._sources = BlobSources(site)

    def get(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`."""
        image = self._site.image(name, ErrorCode.BLOB_UNKNOWN, "blobs", digest)
        asset = self._site.cache.find(blob_path(image, digest))
        if asset is not None:
            return self._cached(asset, digest)
        with self._site.absence(ErrorCode.BLOB_UNKNOWN, f"{image}@{digest}"):
            try:
                return self._fetch(image, digest)
            except STORAGE_ERRORS:
                self._site.cache.note_full()
                return self._pass(image, digest)
            except NotFound:
                self._remember_absence(image, digest)
                raise

    def head(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`; fetches nothing."""
        image = self._site.image(name, ErrorCode.BLOB_UNKNOWN, "blobs", digest)
        asset = self._site.cache.find(blob_path(image, digest))
        if asset is not None:
            return self._cached(asset, digest)
        with self._site.absence(ErrorCode.BLOB_UNKNOWN, f"{image}@{digest}"):
            return self._pass(image, digest)

    def delete(self, name: str, digest: Digest) -> None:
        """See :class:`repoman_docker.service.BlobService`; always refused."""
        raise self._uploads.refusal()

    def mount(
        self, name: str, digest: Digest, source: str | None, is_visible: Visible = everything
    ) -> bool:
        """See :class:`repoman_docker.service.BlobService`; always refused."""
        raise self._uploads.refusal()

    def stored(self, name: str, digest: Digest) -> StoredBlob | None:
        """See :class:`repoman_docker.service.BlobService`; asks no remote."""
        image = self._site.image(name, ErrorCode.BLOB_UNKNOWN, "blobs", digest)
        asset = self._site.cache.find(blob_path(image, digest))
        return None if asset is None else StoredBlob(asset.digest, asset.size)

    def link(self, name: str, digest: Digest, blob: StoredBlob) -> None:
        """See :class:`repoman_docker.service.BlobService`; always refused."""
        raise self._uploads.refusal()

    def obtain(self, name: str, digest: Digest) -> bool:
        """See :class:`repoman_docker.service.BlobService`; no manifests are pushed to a proxy."""
        return False

    # Inside -------------------------------------------------------------------------------------

    def _cached(self, asset: Asset, digest: Digest, source: Source = Source.HIT) -> Content:
        return Content(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._site.content.open_body(asset),
            etag=str(digest),
            headers=self._headers(digest, source, asset),
            source=source.value,
            pull=self._site.content.pull_of(asset.path),
        )

    def _fetch(self, image: str, digest: Digest) -> Content:
        """Return the blob while it is being downloaded."""
        path = blob_path(image, digest)
        if not digest.is_supported or path in self._site.cache.negative:
            raise NotFound("It was not found there recently.")
        if not self._site.cache.has_room():
            return self._pass(image, digest)
        with self._site.content.brief_waits():
            shared = self._share(image, digest)
        if shared is not None:
            return self._cached(shared, digest, Source.REVALIDATED)
        kept: list[Asset] = []  # by another thread that was faster
        size = self._sources.known_size(image, digest)
        request = partial(self._request, image, digest, size, kept)
        download = self._site.cache.download(path, request)
        if download is None:
            return self._cached(kept[0], digest)
        return replace(self._growing(download, digest), pull=self._site.content.pull_of(path))

    def _growing(self, download: Download, digest: Digest) -> Content:
        return Content(
            size=download.wait_for_size(SIZE_TIMEOUT_S),
            media_type=OCTET_STREAM,
            open=download.open,
            etag=str(digest),
            headers=self._headers(digest, Source.MISS),
            source=Source.MISS.value,
        )

    def _request(
        self, image: str, digest: Digest, size: int | None, kept: list[Asset]
    ) -> FetchRequest | None:
        asset = self._site.cache.find(blob_path(image, digest))
        if asset is not None:
            kept.append(asset)
            return None
        return FetchRequest(
            title=f"{image}@{digest}",
            digests={digest.algorithm: digest.encoded},
            open=partial(self._sources.open_blob, image, digest),
            keep=partial(self._keep, image, digest),
            size=size,
        )

    def _keep(self, image: str, digest: Digest, blob: StoredBlob) -> None:
        asset = new_blob(image, digest, blob)
        self._site.content.save_asset(replace(asset, checked_at=self._site.cache.clock()))
        self._site.cache.negative.discard(asset.path)

    def _share(self, image: str, digest: Digest) -> Asset | None:
        """Link a cached blob of another image to this one; return None if no other image has it.

        Raises:
            NotFound: the remote does not have it for this image.
        """
        path = blob_path(image, digest)
        found = self._site.content.list_assets(BLOB, "", 1, prefix=blob_prefix(digest))
        other = self._site.cache.find(found[0].path) if found else None
        if other is None:
            return None
        blob = StoredBlob(other.digest, other.size)

        def ask() -> None:
            if self._site.cache.find(path) is not None:
                return  # another thread was faster
            self._sources.blob_size(image, digest)
            self._site.cache.keep(path, partial(self._keep, image, digest, blob))

        self._site.cache.once(f"share {path}", ask)
        return replace(other, path=path, checked_at=self._site.cache.clock())

    def _pass(self, image: str, digest: Digest) -> Content:
        """Return the blob as the remote sends it, without caching it."""
        path = blob_path(image, digest)
        if not digest.is_supported or path in self._site.cache.negative:
            raise NotFound("It was not found there recently.")
        size = self._site.cache.once(f"size {path}", lambda: self._sources.blob_size(image, digest))
        return Content(
            size=size,
            media_type=OCTET_STREAM,
            open=lambda: PassThrough(partial(self._sources.open_blob, image, digest)),
            etag=str(digest),
            headers=self._headers(digest, Source.MISS),
            source=Source.MISS.value,
        )

    def _remember_absence(self, image: str, digest: Digest) -> None:
        """Remember a 404, unless a cached manifest of this image refers to the blob."""
        path = blob_path(image, digest)
        content = self._site.content
        if not (
            content.referring(path, BLOB, limit=1)
            or content.referring(manifest_path(image, digest), CHILD, limit=1)
        ):
            self._site.cache.negative.add(path)

    def _headers(
        self, digest: Digest, source: Source, asset: Asset | None = None
    ) -> dict[str, str]:
        own = {"Docker-Content-Digest": str(digest), **IMMUTABLE}
        return {**own, **self._site.cache.headers(source, asset)}


class BlobSources:
    """Requests a blob from the remote, or a foreign layer from the host that has it."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site
        self._patterns = [
            find_pattern(text) for text in site.docker_proxy.foreign_layer_url_whitelist
        ]
        # As strict about addresses as the client of the cache, but with its own health status:
        # an outage of another host must not block the remote.
        self._client = site.cache.open_client(site.proxy.remote, site.cache.options.client.timeout)

    def open_blob(self, image: str, digest: Digest, start: int = 0) -> Body:
        """Return the response with a blob, from byte ``start`` on if the host supports ranges.

        If the response is compressed unasked, the digest decides which bytes are meant: those that
        were sent, or the decompressed ones.
        """
        body = self._ask(image, digest, start)
        if not encoding_of(body.headers):
            return body
        size = self.known_size(image, digest)
        if size is None or body.length is None:
            body.close()
            is_packed = not self._is_meant_unpacked(image, digest)
            body = self._ask(image, digest, start if is_packed else 0)
        else:
            is_packed = size == _whole_length(body)
        if is_packed:
            return body
        if body.status == HTTPStatus.PARTIAL_CONTENT:
            body.close()
            body = self._ask(image, digest, 0)
        return DecodedBody(body, size)

    def _is_meant_unpacked(self, image: str, digest: Digest) -> bool:
        """Read a compressed response to the end; return whether it decompresses to a blob."""
        hasher = hashlib.new(digest.algorithm)
        with closing(self._ask(image, digest, 0)) as body, suppress(UpstreamUnavailable):
            decoded = DecodedBody(body, None)
            while data := decoded.read():
                hasher.update(data)
        return hasher.hexdigest() == digest.encoded

    def _ask(self, image: str, digest: Digest, start: int) -> Body:
        try:
            return self._site.registry.open_blob(image, digest, start)
        except NotFound:
            for layer in self._foreign(image, digest):
                for url in layer.urls:
                    found = self._open(url, start)
                    if found is not None:
                        return found
            raise

    def blob_size(self, image: str, digest: Digest) -> int:
        """Return the size of a blob in bytes; for a foreign layer, as its manifest states it."""
        try:
            size = self._site.registry.blob_size(image, digest)
        except NotFound:
            for layer in self._foreign(image, digest):
                return layer.size
            raise
        size = self.known_size(image, digest) if size is None else size
        if size is None:
            raise UpstreamUnavailable(
                f"The remote {self._site.registry.remote} did not state the size of a blob."
            )
        return size

    def known_size(self, image: str, digest: Digest) -> int | None:
        """Return the size of a blob in bytes as a cached manifest states it, or None."""
        size = self._site.content.referenced_size(blob_path(image, digest), BLOB)
        if size is None:  # Manifests that were cached by an old version do not tell.
            size = next((each.size for each in self._descriptors(image, digest)), None)
        return size

    def _open(self, url: str, start: int) -> UpstreamResponse | None:
        if not self._is_allowed(url):
            return None
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            self._client.targets.check(url, self._client.remote)
            response = self._client.open("GET", url, headers)
        except UpstreamError as error:
            _log.warning("The proxy %s skips a foreign layer: %s", self._site.name, error)
            return None
        if response.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            return response
        response.close()
        return None

    def _foreign(self, image: str, digest: Digest) -> Iterator[Descriptor]:
        """Yield the descriptors of a foreign layer in cached manifests whose URLs are allowed."""
        if self._site.docker_proxy.cache_foreign_layers:
            for layer in self._descriptors(image, digest):
                if any(map(self._is_allowed, layer.urls)):
                    yield layer

    def _descriptors(self, image: str, digest: Digest) -> Iterator[Descriptor]:
        """Yield the descriptors of a blob in cached manifests of an image."""
        for asset in self._site.content.referring(
            blob_path(image, digest), BLOB, limit=MANIFESTS_READ_MAX
        ):
            if asset.kind == MANIFEST and self._site.cache.find(asset.path) is not None:
                body = read_asset(self._site.content, asset)
                for each in read_manifest(body, asset.media_type).descriptors():
                    if each.digest == digest:
                        yield each

    def _is_allowed(self, url: str) -> bool:
        return any(pattern.matches(url) for pattern in self._patterns)


def _whole_length(body: Body) -> int | None:
    """Return the length of a blob in bytes, from a response with the blob or a part of it."""
    if body.status != HTTPStatus.PARTIAL_CONTENT:
        return body.length
    found = _WHOLE.fullmatch(body.headers.get("Content-Range", ""))
    return None if found is None else int(found[1])
