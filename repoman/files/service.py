"""What every repository of files does, whatever its type."""

from typing import Protocol

from repoman.blobs.upload import BlobUpload
from repoman.files.format import Document, File, Metadata, NewFile
from repoman.http.content import Content
from repoman.repositories.model import Repository
from repoman.repositories.sections import HostedStorageSection, WritePolicy


def takes_uploads(repository: Repository) -> bool:
    """Return whether a repository is a hosted one whose write policy allows uploads."""
    storage = repository.config.sections.get("storage")
    return (
        isinstance(storage, HostedStorageSection) and storage.write_policy is not WritePolicy.DENY
    )


class FileRepository(Protocol):
    """Files by path. All methods are thread safe."""

    def get(self, file: File) -> Content:
        """Return a file.

        Raises:
            NotFound: there is none.
            UpstreamError: the remote of a proxy failed, and its cache does not have it.
        """

    def document(self, metadata: Metadata) -> Document:
        """Return a document.

        Raises:
            NotFound: there is none.
            UpstreamError: the remote of a proxy failed, and its cache does not have it.
        """

    def has(self, package: str) -> bool:
        """Return whether anything of a package is stored here; contacts no remote."""

    def check_writable(self) -> None:
        """Return if anything may be stored here at all (ReadOnly, Unsupported, Unavailable)."""

    def open_upload(self, file: File | None) -> BlobUpload:
        """Begin the upload of the bytes of a file; call this before reading the body.

        None: which file it will be is not known yet.

        Raises:
            ReadOnly: the write policy refuses a file at this path.
            Unsupported: this type of repository takes no uploads.
        """

    def save(self, *files: tuple[NewFile, BlobUpload]) -> bool:
        """Store uploaded bytes as files, all or none; return whether the first one is new.

        A file that is there with the same bytes stays as it is.

        Raises:
            ReadOnly: the write policy refuses it, for example because another client was faster.
        """

    def delete(self, file: File) -> None:
        """Remove a file.

        Raises:
            NotFound: there is none.
            ReadOnly: the write policy refuses it.
            Unsupported: nothing can be removed from this type of repository.
        """
