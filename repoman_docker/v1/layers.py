"""Layers as version 1 sends them: what they are, and what their checksums are."""

import gzip
import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO, cast

from repoman.plugin import Invalid, TooLarge
from repoman_docker.protocol.media_types import DOCKER_LAYER, DOCKER_LAYER_TAR

CHUNK = 1 << 18  # bytes read at a time
BLOCK = 512  # bytes of a tar's header
UNPACKED_LIMIT = 1 << 36  # bytes of a layer without compression
UNPACKED_FREE = 1 << 30  # as many may come out of little
RATIO = 100  # times its size that a layer may have beyond that; files are packed less well

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Layer:
    """What was found out about a layer.

    Attributes:
        media_type: of the bytes as they came.
        diff_id: the digest of the tar in it.
        checksum: the sha256 of JSON and layer, as engines send it, in hex.
    """

    media_type: str
    diff_id: str
    checksum: str


def inspect_layer(file: BinaryIO, json: bytes) -> Layer:
    """Return what a layer is, given the JSON of its image; reads it once.

    Raises:
        Invalid: it is no tar, plain or in gzip, or is cut off.
        TooLarge: it is a bomb.
    """
    reader = _Reader(file, json)
    is_gzip = reader.peek(len(_GZIP)) == _GZIP
    try:
        diff_id = _hash_tar(_open_gzip(reader) if is_gzip else reader, reader)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Invalid(f"The layer is damaged: {error}. Push it again.") from error
    while reader.read(CHUNK):  # what stands behind the last part
        pass
    media_type = DOCKER_LAYER if is_gzip else DOCKER_LAYER_TAR
    return Layer(media_type, f"sha256:{diff_id}", reader.hexdigest())


class _Reader:
    """A file that hashes what is read of it."""

    def __init__(self, file: BinaryIO, json: bytes) -> None:
        self._file = file
        self._hash = hashlib.sha256(json + b"\n")
        self._ahead = b""
        self.size = 0  # bytes read

    def peek(self, size: int) -> bytes:
        """Return the first bytes, which are read again."""
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
    while data := tar.read(CHUNK):
        digest.update(data)
        size += len(data)
        _check_size(size, packed.size)
        if len(start) < BLOCK:
            start += data[:BLOCK]
    _check_tar(start[:BLOCK])
    return digest.hexdigest()


def _check_size(unpacked: int, packed: int) -> None:
    if unpacked > UNPACKED_LIMIT:
        raise TooLarge(f"The uncompressed layer exceeds {UNPACKED_LIMIT} bytes.")
    if unpacked > UNPACKED_FREE and unpacked > RATIO * packed:
        raise TooLarge(
            f"The uncompressed layer exceeds {UNPACKED_FREE} bytes, and {RATIO} times its "
            "compressed size."
        )


def _check_tar(start: bytes) -> None:
    if start == bytes(BLOCK):
        return  # it holds no file, which is right
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise Invalid(
            "The layer is not a tar archive, plain or gzip. Push it with Docker 0.10 or later."
        ) from error
