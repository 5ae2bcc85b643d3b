"""The uploads of blobs to a hosted repository."""

from repoman.plugin import (
    BlobStore,
    BlobUpload,
    ContentStore,
    NotFound,
    Upload,
    UploadSessions,
    UploadSink,
)
from repoman_docker.hosted.assets import new_blob
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.service import RegistryFailure, failure


class HostedUploads:
    """Upload sessions that become blobs of an image; their scope is the image name."""

    def __init__(
        self,
        content: ContentStore,
        blobs: BlobStore,
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
        with self._content.transaction():
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
