"""Stores one body directly in a blob store, without an upload session."""

import logging
import secrets
from dataclasses import replace
from types import TracebackType
from typing import BinaryIO

from repoman.blobs.store import CANONICAL, BlobTarget, StoredBlob
from repoman.errors import RepomanError

_log = logging.getLogger(__name__)


class BlobUpload:
    """Takes the bytes of one blob; what is not committed is dropped when it closes.

    It is a :class:`repoman.http.body.BodySink` and a context manager. ``algorithms`` are hashed
    while bytes arrive, besides sha256.
    """

    def __init__(self, blobs: BlobTarget, algorithms: tuple[str, ...] = ()) -> None:
        self.store = blobs
        self._algorithms = algorithms
        self._writer = blobs.open_writer(secrets.token_hex(16), algorithms)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._writer.size

    def check_room(self, size: int) -> None:
        """Refuse content that certainly does not fit.

        Raises:
            StorageFull: there is not enough disk space for ``size`` more bytes.
        """
        self._writer.check_room(size)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes.

        Raises:
            StorageFull, Unavailable: they cannot be stored.
        """
        self._writer.write(data)

    def hexdigest(self, algorithm: str) -> str:
        """Return the digest of what was written, in hex."""
        return self._writer.hexdigest(algorithm)

    def open_reader(self) -> BinaryIO:
        """Return what was written, and will be, as a file; see BlobWriter."""
        return self._writer.open_reader()

    def commit(self) -> StoredBlob:
        """Make the bytes a blob, durably; it has the checksums that were computed."""
        checksums = {
            each: self._writer.hexdigest(each) for each in self._algorithms if each != CANONICAL
        }
        return replace(self._writer.commit(), checksums=checksums)

    def close(self) -> None:
        """Drop what was not committed. Raises no error: the next start drops what is left."""
        try:
            self._writer.cancel()
        except RepomanError as error:
            _log.warning("Content that was not stored could not be removed: %s", error)

    def __enter__(self) -> "BlobUpload":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def store_bytes(blobs: BlobTarget, data: bytes) -> StoredBlob:
    """Make ``data`` a blob, durably, and return it."""
    with BlobUpload(blobs) as upload:
        upload.write(data)
        return upload.commit()
