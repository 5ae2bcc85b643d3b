"""Layers that V1 clients push: their media types, digests and checksums."""

import gzip
import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO, cast

from repoman.plugin import Invalid, TooLarge
from repoman_docker.protocol.media_types import DOCKER_LAYER, DOCKER_LAYER_TAR

CHUNK_BYTES = 1 << 18  # bytes read at a time
BLOCK_BYTES = 512  # bytes of a tar header
UNPACKED_MAX_BYTES = 1 << 36  # maximum bytes of an uncompressed layer
UNPACKED_FREE_BYTES = 1 << 30  # bytes of an uncompressed layer that are allowed at any ratio
RATIO_MAX = 100  # maximum compression ratio beyond that; real files compress less

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Layer:
    """The properties of a layer.

    Attributes:
        media_type: of the bytes as they came.
        diff_id: the digest of the tar in it.
        checksum: the sha256 of JSON and layer in hex, as engines send it.
    """

    media_type: str
    diff_id: str
    checksum: str


def inspect_layer(file: BinaryIO, json: bytes) -> Layer:
    """Return the properties of a layer, given the JSON of its image; reads it once.

    Raises:
        Invalid: it is not a tar archive, plain or gzip, or is truncated.
        TooLarge: it is a decompression bomb.
    """
    reader = _Reader(file, json)
    is_gzip = reader.peek(len(_GZIP)) == _GZIP
    try:
        diff_id = _hash_tar(_open_gzip(reader) if is_gzip else reader, reader)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Invalid(f"The layer is damaged: {error}. Push it again.") from error
    while reader.read(CHUNK_BYTES):  # the bytes after the last gzip member
        pass
    media_type = DOCKER_LAYER if is_gzip else DOCKER_LAYER_TAR
    return Layer(media_type, f"sha256:{diff_id}", reader.hexdigest())


class _Reader:
    """A file that hashes the bytes that are read from it."""

    def __init__(self, file: BinaryIO, json: bytes) -> None:
        self._file = file
        self._hash = hashlib.sha256(json + b"\n")
        self._ahead = b""
        self.size = 0  # bytes read

    def peek(self, size: int) -> bytes:
        """Return the first bytes; they will be read again."""
        self._ahead = self._file.read(size)
        return self._ahead

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        data, self._ahead = self._ahead or self._file.read(size), b""
        self._hash.update(data)
        self.size += len(data)
        return data

    def hexdigest(self) -> str:
        """Return the sha256 of what was read, in hex."""
        return self._hash.hexdigest()


def _open_gzip(reader: _Reader) -> gzip.GzipFile:
    return gzip.GzipFile(mode="rb", fileobj=cast("BinaryIO", reader))


def _hash_tar(tar: gzip.GzipFile | _Reader, packed: _Reader) -> str:
    digest = hashlib.sha256()
    size = 0
    start = b""
    while data := tar.read(CHUNK_BYTES):
        digest.update(data)
        size += len(data)
        _check_size(size, packed.size)
        if len(start) < BLOCK_BYTES:
            start += data[:BLOCK_BYTES]
    _check_tar(start[:BLOCK_BYTES])
    return digest.hexdigest()


def _check_size(unpacked: int, packed: int) -> None:
    if unpacked > UNPACKED_MAX_BYTES:
        raise TooLarge(f"The uncompressed layer exceeds {UNPACKED_MAX_BYTES} bytes.")
    if unpacked > UNPACKED_FREE_BYTES and unpacked > RATIO_MAX * packed:
        raise TooLarge(
            f"The uncompressed layer exceeds {UNPACKED_FREE_BYTES} bytes, and {RATIO_MAX} times "
            "its compressed size."
        )


def _check_tar(start: bytes) -> None:
    if start == bytes(BLOCK_BYTES):
        return  # an archive without files is valid
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise Invalid(
            "The layer is not a tar archive, plain or gzip. Push it with Docker 0.10 or later."
        ) from error
