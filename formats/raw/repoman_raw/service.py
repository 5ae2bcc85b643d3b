"""The protocol of raw repositories, whatever their type; the routes know only this."""

from typing import Protocol

from repoman.plugin import BlobInlet, Content


class RawRepository(Protocol):
    """Files by path. All methods are thread safe.

    Every method raises Invalid where :func:`repoman_raw.paths.check_path` does.
    """

    def get(self, path: str) -> Content:
        """Return a file.

        Raises:
            NotFound: there is none; directories are not listed.
        """

    def open_inlet(self, path: str) -> BlobInlet:
        """Return what takes the bytes of a file; to be called before the first one is read.

        Raises:
            ReadOnly: the write policy refuses a file at this path.
        """

    def save(self, path: str, inlet: BlobInlet, media_type: str) -> bool:
        """Make what the inlet took the file at a path; return whether there was none before.

        Raises:
            ReadOnly: the write policy refuses it, as it does if another client was faster.
        """

    def delete(self, path: str) -> None:
        """Remove a file.

        Raises:
            NotFound: there is none.
            ReadOnly: the write policy refuses it.
        """
