"""The protocol of raw repositories of any type; the routes know only this."""

from typing import Protocol

from repoman.plugin import BlobUpload, Content


class RawRepository(Protocol):
    """Files by path. All methods are thread safe.

    Every method raises Invalid where :func:`repoman_raw.paths.check_path` does.
    """

    def get(self, path: str) -> Content:
        """Return a file.

        Raises:
            NotFound: there is no such file; directories are not listed.
        """

    def open_blob_upload(self, path: str) -> BlobUpload:
        """Begin the upload of the bytes of a file; call this before reading the body.

        Raises:
            ReadOnly: the write policy refuses a file at this path.
        """

    def save(self, path: str, upload: BlobUpload, media_type: str) -> bool:
        """Store the uploaded bytes as the file at a path; return whether the file is new.

        Raises:
            ReadOnly: the write policy refuses it, for example because another client was faster.
        """

    def delete(self, path: str) -> None:
        """Remove a file.

        Raises:
            NotFound: there is no such file.
            ReadOnly: the write policy refuses it.
        """
