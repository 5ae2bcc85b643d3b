"""Writes to a proxy: all are refused, with a message that says why and where to push."""

from collections.abc import Callable
from typing import NoReturn

from repoman.plugin import BlobUpload, Repository, RepositoryType, Upload, UploadSink
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Digest
from repoman_docker.service import RegistryFailure, failure

NAMED_MAX = 3  # maximum number of hosted repositories named in the message


class ProxyUploads:
    """Refuses all writes; an implementation of :class:`repoman_docker.service.UploadService`."""

    def __init__(
        self, name: str, remote: str, format_name: str, others: Callable[[], list[Repository]]
    ) -> None:
        self._name = name
        self._remote = remote
        self._format = format_name
        self._others = others

    def refusal(self) -> RegistryFailure:
        """Return the error for every write: UNSUPPORTED."""
        return failure(
            ErrorCode.UNSUPPORTED,
            f"{self._name} is a proxy of {self._remote} and does not accept pushes or deletions. "
            f"{self._way()}",
        )

    def refuse_v1(self, name: str | None) -> NoReturn:
        """Refuse a V1 push; see :class:`repoman_docker.service.DockerRepository`."""
        raise self.refusal()

    def start(self, name: str, actor: str, algorithm: str) -> Upload:
        """See :class:`repoman_docker.service.UploadService`."""
        raise self.refusal()

    def get(self, name: str, upload_id: str, actor: str) -> Upload:
        """See :class:`repoman_docker.service.UploadService`."""
        raise self.refusal()

    def offset(self, upload: Upload) -> int:
        """See :class:`repoman_docker.service.UploadService`."""
        raise self.refusal()

    def open(self, upload: Upload, start: int | None) -> UploadSink:
        """See :class:`repoman_docker.service.UploadService`."""
        raise self.refusal()

    def finish(self, upload: Upload, sink: UploadSink, digest: Digest) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        raise self.refusal()

    def cancel(self, upload: Upload) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        raise self.refusal()

    def open_blob_upload(self, name: str, digest: Digest) -> BlobUpload:
        """See :class:`repoman_docker.service.UploadService`."""
        raise self.refusal()

    def finish_blob_upload(self, name: str, upload: BlobUpload, digest: Digest) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        raise self.refusal()

    def _way(self) -> str:
        hosted = [
            each.address
            for each in self._others()
            if each.config.format == self._format and each.config.type is RepositoryType.HOSTED
        ]
        if not hosted:
            return (
                "Push to a hosted repository. None exists yet; ask an administrator to create one."
            )
        return f"Push to a hosted repository: {', '.join(hosted[:NAMED_MAX])}."
