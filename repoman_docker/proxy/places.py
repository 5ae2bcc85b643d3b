"""The sources of a blob: the remote, or the URLs of a foreign layer in a manifest.

Source: OCI image-spec, Non-Distributable Layers (the field ``urls`` of a descriptor).
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from http import HTTPStatus

from repoman.plugin import (
    Body,
    DecodedBody,
    NotFound,
    UpstreamError,
    UpstreamResponse,
    UpstreamUnavailable,
    encoding_of,
    find_pattern,
)
from repoman_docker.layout import BLOB, MANIFEST, blob_path
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.manifest import read_manifest
from repoman_docker.proxy.site import ProxySite
from repoman_docker.v1.reading import read_asset

MANIFESTS = 100  # maximum number of manifests to read for one blob

_WHOLE = re.compile(r".*/([0-9]{1,18})")

_log = logging.getLogger(__name__)


class BlobPlaces:
    """Requests a blob from the remote, or a foreign layer from the host that has it."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site
        self._patterns = [
            find_pattern(text) for text in site.docker_proxy.foreign_layer_url_whitelist
        ]
        # As strict about addresses as the client of the cache, but with its own health status:
        # an outage of another host must not block the remote.
        self._client = site.cache.open_client(
            site.proxy.remote_url, site.cache.options.client.timeout
        )

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
        return next((each.size for each in self._descriptors(image, digest)), None)

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
        for asset in self._site.content.referring(blob_path(image, digest), BLOB, limit=MANIFESTS):
            if asset.kind == MANIFEST and self._site.find(asset.path) is not None:
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
