"""What every repository of files does, whatever its type."""

from typing import Protocol

from repoman.blobs.upload import BlobUpload
from repoman.files.format import File, NewFile
from repoman.http.content import Content


class FileRepository(Protocol):
    """Files by path. All methods are thread safe."""

    def get(self, file: File) -> Content:
        """Return a file.

        Raises:
            NotFound: there is none.
            UpstreamError: the remote of a proxy failed, and its cache does not have it.
        """

    def open_upload(self, file: File) -> BlobUpload:
        """Begin the upload of the bytes of a file; call this before reading the body.

        Raises:
            ReadOnly: the write policy refuses a file at this path.
            Unsupported: this type of repository takes no uploads.
        """

    def save(self, new: NewFile, upload: BlobUpload) -> bool:
        """Store the uploaded bytes as a file; return whether there was none at its path.

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
