"""The blobs of a proxy: fetched once for all clients, and served while they arrive."""

from dataclasses import replace
from functools import partial

from repoman.plugin import (
    Asset,
    Content,
    Download,
    NotFound,
    Order,
    PassThrough,
    StoredBlob,
)
from repoman_docker.hosted.assets import new_blob
from repoman_docker.hosted.blobs import IMMUTABLE
from repoman_docker.layout import BLOB, CHILD, blob_path, blob_prefix, manifest_path
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.media_types import OCTET_STREAM
from repoman_docker.proxy.places import BlobPlaces
from repoman_docker.proxy.site import UNKEPT, ProxySite, Source
from repoman_docker.proxy.uploads import ProxyUploads
from repoman_docker.service import Visible, everything

PATIENCE = 120.0  # seconds to wait until the remote states the length of a blob


class ProxyBlobs:
    """Reads blobs; the remote is asked for each image name whether it has the blob."""

    def __init__(self, site: ProxySite, uploads: ProxyUploads) -> None:
        self._site = site
        self._uploads = uploads
        self._places = BlobPlaces(site)

    def get(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`."""
        image = self._site.image(name, ErrorCode.BLOB_UNKNOWN)
        asset = self._site.find(blob_path(image, digest))
        if asset is not None:
            return self._cached(asset, digest)
        with self._site.absence(ErrorCode.BLOB_UNKNOWN, f"{image}@{digest}"):
            try:
                return self._fetch(image, digest)
            except UNKEPT:
                self._site.cache.note_full()
                return self._pass(image, digest)
            except NotFound:
                self._remember_absence(image, digest)
                raise

    def head(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`; fetches nothing."""
        image = self._site.image(name, ErrorCode.BLOB_UNKNOWN)
        asset = self._site.find(blob_path(image, digest))
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
        image = self._site.image(name, ErrorCode.BLOB_UNKNOWN)
        asset = self._site.find(blob_path(image, digest))
        return None if asset is None else StoredBlob(asset.digest, asset.size)

    def link(self, name: str, digest: Digest, blob: StoredBlob) -> None:
        """See :class:`repoman_docker.service.BlobService`; always refused."""
        raise self._uploads.refusal()

    def obtain(self, name: str, digest: Digest) -> bool:
        """See :class:`repoman_docker.service.BlobService`; no manifests are pushed to a proxy."""
        return False

    # Inside -------------------------------------------------------------------------------------

    def _cached(self, asset: Asset, digest: Digest, source: Source = Source.HIT) -> Content:
        self._site.cache.note_use(asset.path)
        return Content(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._site.content.open_body(asset),
            etag=str(digest),
            headers=self._headers(digest, source, asset),
            source=source.value,
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
        size = self._places.known_size(image, digest)
        order = partial(self._order, image, digest, size, kept)
        download = self._site.cache.download(path, order)
        if download is None:
            return self._cached(kept[0], digest)
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

    def _order(
        self, image: str, digest: Digest, size: int | None, kept: list[Asset]
    ) -> Order | None:
        asset = self._site.find(blob_path(image, digest))
        if asset is not None:
            kept.append(asset)
            return None
        return Order(
            title=f"{image}@{digest}",
            algorithm=digest.algorithm,
            encoded=digest.encoded,
            open=partial(self._places.open_blob, image, digest),
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
        other = self._site.find(found[0].path) if found else None
        if other is None:
            return None
        blob = StoredBlob(other.digest, other.size)

        def ask() -> None:
            self._places.blob_size(image, digest)
            self._site.keep(path, partial(self._keep, image, digest, blob))

        self._site.cache.once(f"share {path}", ask)
        return replace(other, path=path, checked_at=self._site.cache.clock())

    def _pass(self, image: str, digest: Digest) -> Content:
        """Return the blob as the remote sends it, without caching it."""
        path = blob_path(image, digest)
        if not digest.is_supported or path in self._site.cache.negative:
            raise NotFound("It was not found there recently.")
        size = self._site.cache.once(f"size {path}", lambda: self._places.blob_size(image, digest))
        return Content(
            size=size,
            media_type=OCTET_STREAM,
            open=lambda: PassThrough(partial(self._places.open_blob, image, digest)),
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
        return {**own, **self._site.headers(source, asset)}
