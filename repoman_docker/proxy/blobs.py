"""The blobs of a proxy: fetched once for all that ask, read while they come."""

from dataclasses import replace
from functools import partial
from typing import BinaryIO

from repoman.plugin import (
    Asset,
    Content,
    Download,
    NotFound,
    Order,
    PassThrough,
    StorageFull,
    StoredBlob,
)
from repoman_docker.hosted.assets import new_blob
from repoman_docker.hosted.blobs import IMMUTABLE
from repoman_docker.layout import BLOB, CHILD, blob_path, blob_prefix, manifest_path
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.media_types import OCTET_STREAM
from repoman_docker.proxy.foreign import ForeignLayers
from repoman_docker.proxy.site import ProxySite, Source
from repoman_docker.proxy.uploads import ProxyUploads

PATIENCE = 120.0  # seconds until the remote has said how long a blob is


class ProxyBlobs:
    """Reads blobs; who may have one is asked of the remote for each image name."""

    def __init__(self, site: ProxySite, uploads: ProxyUploads) -> None:
        self._site = site
        self._uploads = uploads
        self._foreign = ForeignLayers(site)

    def get(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`."""
        image = self._site.image(name, ErrorCode.BLOB_UNKNOWN)
        asset = self._find(image, digest)
        if asset is not None:
            return self._cached(asset, digest)
        with self._site.absence(ErrorCode.BLOB_UNKNOWN, f"{image}@{digest}"):
            try:
                return self._fetch(image, digest)
            except StorageFull:
                self._site.cache.note_full()
                return self._pass(image, digest)
            except NotFound:
                self._remember_absence(image, digest)
                raise

    def head(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`; fetches nothing."""
        image = self._site.image(name, ErrorCode.BLOB_UNKNOWN)
        asset = self._find(image, digest)
        if asset is not None:
            return self._cached(asset, digest)
        with self._site.absence(ErrorCode.BLOB_UNKNOWN, f"{image}@{digest}"):
            return self._pass(image, digest)

    def delete(self, name: str, digest: Digest) -> None:
        """See :class:`repoman_docker.service.BlobService`; always refused."""
        raise self._uploads.refusal()

    def mount(self, name: str, digest: Digest, source: str | None) -> bool:
        """See :class:`repoman_docker.service.BlobService`; always refused."""
        raise self._uploads.refusal()

    # Inside -------------------------------------------------------------------------------------

    def _find(self, image: str, digest: Digest) -> Asset | None:
        return self._site.content.find_asset(blob_path(image, digest))

    def _cached(self, asset: Asset, digest: Digest, source: Source = Source.HIT) -> Content:
        self._site.cache.note_use(asset.path)
        return Content(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._open(asset),
            etag=str(digest),
            headers=self._headers(digest, source),
            is_repeatable=source is Source.HIT,
            source=source.value,
        )

    def _open(self, asset: Asset) -> BinaryIO | bytes:
        try:
            return self._site.content.open_body(asset)
        except NotFound:
            # The bytes are lost: the next one who asks has them fetched again.
            self._site.content.delete_assets([asset.path])
            raise

    def _fetch(self, image: str, digest: Digest) -> Content:
        """Return the blob while it is on its way here."""
        path = blob_path(image, digest)
        if not digest.is_supported or path in self._site.cache.negative:
            raise NotFound("It is known not to be there.")
        if not self._site.cache.has_room():
            return self._pass(image, digest)
        if self._is_in_another_image(digest):
            return self._share(image, digest)
        download = self._site.cache.download(path, partial(self._order, image, digest))
        if download is None:
            return self._cached(self._site.content.get_asset(path), digest)
        return self._growing(download, digest)

    def _growing(self, download: Download, digest: Digest) -> Content:
        return Content(
            size=download.wait_for_size(PATIENCE),
            media_type=OCTET_STREAM,
            open=download.open,
            etag=str(digest),
            headers=self._headers(digest, Source.MISS),
            source=Source.MISS.value,
        )

    def _order(self, image: str, digest: Digest) -> Order | None:
        if self._find(image, digest) is not None:
            return None
        return Order(
            title=f"{image}@{digest}",
            algorithm=digest.algorithm,
            encoded=digest.encoded,
            open=lambda start: self._foreign.open_blob(image, digest, start),
            keep=partial(self._keep, image, digest),
        )

    def _keep(self, image: str, digest: Digest, blob: StoredBlob) -> None:
        asset = new_blob(image, digest, blob)
        self._site.content.save_asset(replace(asset, checked_at=self._site.cache.clock()))
        self._site.cache.negative.discard(asset.path)

    def _is_in_another_image(self, digest: Digest) -> bool:
        return bool(self._site.content.list_assets(BLOB, "", 1, prefix=blob_prefix(digest)))

    def _share(self, image: str, digest: Digest) -> Content:
        """Give the image a blob that another one has, if the remote has it for this one too."""

        def ask() -> None:
            self._site.registry.blob_size(image, digest)
            [other] = self._site.content.list_assets(BLOB, "", 1, prefix=blob_prefix(digest))
            self._keep(image, digest, StoredBlob(other.digest, other.size))

        self._site.cache.once(f"share {blob_path(image, digest)}", ask)
        asset = self._site.content.get_asset(blob_path(image, digest))
        return self._cached(asset, digest, Source.REVALIDATED)

    def _pass(self, image: str, digest: Digest) -> Content:
        """Return the blob as the remote sends it; nothing is kept."""
        path = blob_path(image, digest)
        if not digest.is_supported or path in self._site.cache.negative:
            raise NotFound("It is known not to be there.")
        size = self._site.cache.once(
            f"size {path}", lambda: self._site.registry.blob_size(image, digest)
        )
        return Content(
            size=size,
            media_type=OCTET_STREAM,
            open=lambda: PassThrough(
                lambda start: self._site.registry.open_blob(image, digest, start)
            ),
            etag=str(digest),
            headers=self._headers(digest, Source.MISS),
            source=Source.MISS.value,
        )

    def _remember_absence(self, image: str, digest: Digest) -> None:
        """Remember a 404, unless a manifest of this image says that it must be there."""
        path = blob_path(image, digest)
        content = self._site.content
        if not (
            content.referring(path, BLOB, limit=1)
            or content.referring(manifest_path(image, digest), CHILD, limit=1)
        ):
            self._site.cache.negative.add(path)

    def _headers(self, digest: Digest, source: Source) -> dict[str, str]:
        own = {"Docker-Content-Digest": str(digest), **IMMUTABLE}
        return {**own, **self._site.headers(source)}
