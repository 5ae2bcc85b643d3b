"""Foreign layers: what a manifest says lies elsewhere, fetched from there if that is allowed.

Source: OCI image-spec, Non-Distributable Layers (the field ``urls`` of a descriptor).
"""

import logging
from collections.abc import Iterator
from http import HTTPStatus

from repoman.plugin import Asset, Body, NotFound, UpstreamError, UpstreamResponse, find_pattern
from repoman_docker.layout import BLOB, MANIFEST, blob_path
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.manifest import parse_manifest
from repoman_docker.proxy.site import ProxySite

_log = logging.getLogger(__name__)


class ForeignLayers:
    """Opens blobs at the remote, or where a manifest says that they are."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site
        self._patterns = [
            find_pattern(text) for text in site.docker_proxy.foreign_layer_url_whitelist
        ]

    def open_blob(self, image: str, digest: Digest, start: int) -> Body:
        """Return the answer with a blob, from byte ``start`` on if the other side can."""
        try:
            return self._site.registry.open_blob(image, digest, start)
        except NotFound:
            for url in self._urls(image, digest):
                found = self._open(url, start)
                if found is not None:
                    return found
            raise

    def _open(self, url: str, start: int) -> UpstreamResponse | None:
        client = self._site.cache.client
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            client.targets.check(url, client.remote)
            response = client.open("GET", url, headers)
        except UpstreamError as error:
            _log.warning("The foreign layer at %s cannot be had: %s", url, error)
            return None
        if response.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            return response
        response.close()
        return None

    def _urls(self, image: str, digest: Digest) -> Iterator[str]:
        """Yield where the cached manifests of an image say that a layer is, as far as allowed."""
        if not self._site.docker_proxy.cache_foreign_layers:
            return
        for asset in self._site.content.referring(blob_path(image, digest), BLOB):
            if asset.kind != MANIFEST:
                continue
            for layer in parse_manifest(self._read(asset), asset.media_type).layers:
                if layer.digest == digest:
                    yield from (url for url in layer.urls if self._is_allowed(url))

    def _is_allowed(self, url: str) -> bool:
        return any(pattern.matches(url) for pattern in self._patterns)

    def _read(self, asset: Asset) -> bytes:
        body = self._site.content.open_body(asset)
        if isinstance(body, bytes):
            return body
        with body:
            return body.read()
