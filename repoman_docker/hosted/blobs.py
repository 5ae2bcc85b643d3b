"""The blobs of images in a hosted repository, and their uploads."""

from dataclasses import replace

from repoman.plugin import (
    Asset,
    BlobTarget,
    BlobUpload,
    Content,
    ContentStore,
    NotFound,
    StoredBlob,
    Unavailable,
    Upload,
    UploadSessions,
    UploadSink,
)
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.layout import BLOB, CHILD, blob_path, blob_prefix, deletion_entries, new_blob
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Digest
from repoman_docker.service import RegistryFailure, Visible, everything, failure

SOURCES_MAX_IMAGES = 1000  # Images that are searched for one with the blob to mount.
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
        content = _content_of(self._content, asset, digest)
        return replace(content, pull=self._content.pull_of(asset.path))

    def head(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`."""
        asset = self._content.find_asset(blob_path(name, digest))
        if asset is None or not self._content.has_bytes(asset):
            raise _unknown(name, digest)
        # The client may not push it now.
        if not self._content.promise(asset.path, (BLOB, CHILD)):
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
            if not self._content.delete_assets([path], deletion_entries([path])):
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
        with self._content.transaction(blob):
            if not self._content.is_stored(blob):
                raise Unavailable(f"The blob store of this repository does not have {digest}.")
            self._content.save_asset(new_blob(name, digest, blob))

    def obtain(self, name: str, digest: Digest) -> bool:
        """See :class:`repoman_docker.service.BlobService`."""
        return False

    def _find_source(self, digest: Digest, source: str | None, is_visible: Visible) -> Asset | None:
        if source is not None:
            is_there = is_visible(source)
            return self._content.find_asset(blob_path(source, digest)) if is_there else None
        prefix = blob_prefix(digest)
        most = 1 if is_visible is everything else SOURCES_MAX_IMAGES
        found = self._content.list_assets(BLOB, after="", limit=most, prefix=prefix)
        return next((each for each in found if is_visible(each.path.removeprefix(prefix))), None)


def _content_of(content: ContentStore, asset: Asset, digest: Digest) -> Content:
    text = str(digest)
    return Content(
        size=asset.size,
        media_type=asset.media_type,
        open=lambda: content.open_body(asset),
        etag=text,
        headers={"Docker-Content-Digest": text, **IMMUTABLE},
        is_cacheable=True,
    )


def _title(user: Asset) -> str:
    """Return a title for an asset that has a blob: a manifest, or a V1 image."""
    return str(user.attributes.get("digest") or user.path.split("/")[1])


def _unknown(name: str, digest: Digest) -> RegistryFailure:
    return failure(ErrorCode.BLOB_UNKNOWN, f"{name} has no blob {digest}.", {"digest": str(digest)})


class HostedUploads:
    """Upload sessions that become blobs of an image; their scope is the image name."""

    def __init__(
        self,
        content: ContentStore,
        blobs: BlobTarget,
        sessions: UploadSessions,
        policy: DeploymentPolicy,
    ) -> None:
        self._content = content
        self._blobs = blobs
        self._sessions = sessions
        self._policy = policy

    def start(self, name: str, actor: str, algorithm: str) -> Upload:
        """See :class:`repoman_docker.service.UploadService`."""
        self._policy.check_write()
        return self._sessions.create(name, actor, (algorithm,))

    def get(self, name: str, upload_id: str, actor: str) -> Upload:
        """See :class:`repoman_docker.service.UploadService`."""
        try:
            return self._sessions.get(upload_id, name, actor)
        except NotFound as error:
            raise failure(ErrorCode.BLOB_UPLOAD_UNKNOWN, str(error)) from error

    def offset(self, upload: Upload) -> int:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._sessions.offset(upload)

    def open(self, upload: Upload, start: int | None) -> UploadSink:
        """See :class:`repoman_docker.service.UploadService`."""
        self._policy.check_write()
        return self._sessions.open_sink(upload, start)

    def finish(self, upload: Upload, sink: UploadSink, digest: Digest) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        try:
            _check_digest(sink, digest)
        except RegistryFailure:
            self._sessions.drop(upload, sink)
            raise
        blob = sink.commit()
        with self._content.transaction(blob):
            self._content.save_asset(new_blob(upload.scope, digest, blob))
            self._sessions.forget(upload)

    def cancel(self, upload: Upload) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        self._sessions.cancel(upload)

    def open_blob_upload(self, name: str, digest: Digest) -> BlobUpload:
        """See :class:`repoman_docker.service.UploadService`."""
        self._policy.check_write()
        return BlobUpload(self._blobs, (digest.algorithm,))

    def finish_blob_upload(self, name: str, upload: BlobUpload, digest: Digest) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        _check_digest(upload, digest)
        self._content.save_asset(new_blob(name, digest, upload.commit()))


def _check_digest(writer: UploadSink | BlobUpload, digest: Digest) -> None:
    found = writer.hexdigest(digest.algorithm)
    if found != digest.encoded:
        raise failure(
            ErrorCode.DIGEST_INVALID,
            f"The {writer.size} bytes received have the digest {digest.algorithm}:{found}, "
            f"not {digest}. Upload them again.",
            {"digest": str(digest)},
        )
