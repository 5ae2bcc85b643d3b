"""The blobs of images in a hosted repository."""

from repoman.plugin import Asset, AuditEntry, Content, ContentStore, StoredBlob
from repoman_docker.hosted.assets import new_blob
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.layout import BLOB, blob_path, blob_prefix
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.service import RegistryFailure, Visible, everything, failure

SOURCES = 1000  # images that are searched for one from which a blob may be mounted
IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}


class HostedBlobs:
    """Reads, deletes and mounts blobs; a blob is visible only in the images that have it."""

    def __init__(self, content: ContentStore, policy: DeploymentPolicy) -> None:
        self._content = content
        self._policy = policy

    def get(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`."""
        asset = self._content.find_asset(blob_path(name, digest))
        if asset is None:
            raise _unknown(name, digest)
        return _content_of(self._content, asset, digest)

    def head(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`."""
        asset = self._content.find_asset(blob_path(name, digest))
        if asset is None or not self._content.has_bytes(asset):
            raise _unknown(name, digest)
        return _content_of(self._content, asset, digest)

    def delete(self, name: str, digest: Digest) -> None:
        """See :class:`repoman_docker.service.BlobService`."""
        self._policy.check_write()
        path = blob_path(name, digest)
        with self._content.transaction():
            if users := self._content.referring(path, BLOB, limit=1):
                raise failure(
                    ErrorCode.UNSUPPORTED,
                    f"{digest} is part of {_title(users[0])} in {name}. "
                    "Delete the manifests that need it first.",
                )
            entry = AuditEntry("delete blob", f"{name}@{digest}")
            if not self._content.delete_assets([path], {path: entry}):
                raise _unknown(name, digest)

    def mount(
        self, name: str, digest: Digest, source: str | None, is_visible: Visible = everything
    ) -> bool:
        """See :class:`repoman_docker.service.BlobService`."""
        self._policy.check_write()
        asset = self._find_source(digest, source, is_visible)
        if asset is None or not self._content.has_bytes(asset):
            return False  # the client sends it again, which repairs the images that lost it
        with self._content.transaction():
            asset = self._find_source(digest, source, is_visible)
            if asset is None:
                return False
            self._content.save_asset(new_blob(name, digest, StoredBlob(asset.digest, asset.size)))
        return True

    def stored(self, name: str, digest: Digest) -> StoredBlob | None:
        """See :class:`repoman_docker.service.BlobService`."""
        asset = self._content.find_asset(blob_path(name, digest))
        if asset is None or not self._content.has_bytes(asset):
            return None
        return StoredBlob(asset.digest, asset.size)

    def link(self, name: str, digest: Digest, blob: StoredBlob) -> None:
        """See :class:`repoman_docker.service.BlobService`."""
        self._policy.check_write()
        self._content.save_asset(new_blob(name, digest, blob))

    def obtain(self, name: str, digest: Digest) -> bool:
        """See :class:`repoman_docker.service.BlobService`."""
        return False

    def _find_source(self, digest: Digest, source: str | None, is_visible: Visible) -> Asset | None:
        if source is not None:
            is_there = is_visible(source)
            return self._content.find_asset(blob_path(source, digest)) if is_there else None
        prefix = blob_prefix(digest)
        most = 1 if is_visible is everything else SOURCES
        found = self._content.list_assets(BLOB, after="", limit=most, prefix=prefix)
        return next((each for each in found if is_visible(each.path.removeprefix(prefix))), None)


def _content_of(content: ContentStore, asset: Asset, digest: Digest) -> Content:
    return Content(
        size=asset.size,
        media_type=asset.media_type,
        open=lambda: content.open_body(asset),
        etag=str(digest),
        headers={"Docker-Content-Digest": str(digest), **IMMUTABLE},
        is_cacheable=True,
    )


def _title(user: Asset) -> str:
    """Return a title for an asset that has a blob: a manifest, or a V1 image."""
    return str(user.attributes.get("digest") or user.path.split("/")[1])


def _unknown(name: str, digest: Digest) -> RegistryFailure:
    return failure(ErrorCode.BLOB_UNKNOWN, f"{name} has no blob {digest}.", {"digest": str(digest)})
