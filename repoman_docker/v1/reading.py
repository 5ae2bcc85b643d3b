"""Small content as bytes."""

from collections.abc import Iterator, Mapping
from contextlib import closing

from repoman.plugin import Asset, Content, ContentStore, Stream
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.service import failure

PIECE_BYTES = 1 << 18  # bytes to read at a time


def read_content(content: Content, limit: int) -> bytes:
    """Return all bytes of a content.

    Raises:
        RegistryFailure: MANIFEST_UNKNOWN, it has more than ``limit`` bytes.
    """
    if content.size > limit:
        raise failure(ErrorCode.MANIFEST_UNKNOWN, f"A part of the image exceeds {limit} bytes.")
    body = content.open()
    if isinstance(body, bytes):
        return body
    with closing(body):
        if isinstance(body, Stream):
            return b"".join(body.pieces(0, content.size))
        return body.read()


def pieces_of(content: Content) -> Iterator[bytes]:
    """Yield all bytes of a content, of whatever size, as they come."""
    body = content.open()
    if isinstance(body, bytes):
        yield body
        return
    with closing(body):
        if isinstance(body, Stream):
            yield from body.pieces(0, content.size)
        else:
            while piece := body.read(PIECE_BYTES):
                yield piece


def read_asset(content: ContentStore, asset: Asset) -> bytes:
    """Return all bytes of a small asset."""
    body = content.open_body(asset)
    if isinstance(body, bytes):
        return body
    with body:
        return body.read()


class BytesBody:
    """Bytes as the response of a remote; see :class:`repoman.plugin.Body`."""

    status = 200

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length: int | None = len(data)
        self.headers: Mapping[str, str] = {}

    def read(self) -> bytes:
        """Return all bytes, then none."""
        data, self._data = self._data, b""
        return data

    def close(self) -> None:
        """Do nothing."""
