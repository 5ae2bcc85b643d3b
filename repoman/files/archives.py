"""Single files out of uploaded archives, read within bounds: an archive may be made to do harm."""

import re
import struct
import tarfile
import zipfile
import zlib
from typing import BinaryIO, cast

from repoman.errors import Invalid

MEMBER_MAX_BYTES = 4 << 20  # A larger file of an archive is refused.
READ_MAX_BYTES = 8 << 20  # A larger directory of an archive is refused: it is read as a whole.
INFLATED_MAX_BYTES = 64 << 20  # An archive that unpacks to more before the file is refused.
CHUNK_BYTES = 1 << 16  # Of an archive, so much is read at a time.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Others may ask for any amount of memory.
# All that archives which are broken, encrypted or unusual make the library raise.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def read_zip_member(file: BinaryIO, name: str, pattern: re.Pattern[str]) -> bytes:
    """Return the only file of a ZIP archive whose path matches; ``name`` is that of the archive.

    Raises:
        Invalid: it is no such archive, has not one such file, or is too large to be read.
    """
    try:
        with zipfile.ZipFile(cast("BinaryIO", _BoundedReads(file))) as archive:
            found = [each for each in archive.infolist() if pattern.fullmatch(each.filename)]
            if len(found) != 1:
                raise ValueError(f"it has {len(found)} files {pattern.pattern}, not one")
            if found[0].compress_type not in METHODS:
                raise ValueError(f"the compression of {found[0].filename} is not supported")
            with archive.open(found[0]) as member:
                data = _bounded(member.read(MEMBER_MAX_BYTES + 1), found[0].filename)
    except BROKEN as error:
        raise Invalid(f"{name} is not a valid archive: {error}.") from error
    return data


class _BoundedReads:
    """An open file of which little is read at once: an archive says how much that has to be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes (ValueError: they are too many)."""
        data = self._file.read(min(size, READ_MAX_BYTES + 1) if size >= 0 else READ_MAX_BYTES + 1)
        if len(data) > READ_MAX_BYTES:
            raise ValueError("its directory is too large")
        return data


def read_tar_member(file: BinaryIO, name: str, pattern: re.Pattern[str]) -> bytes:
    """Return the first file of a gzipped TAR archive whose path matches.

    ``name`` is that of the archive, for messages.

    Raises:
        Invalid: it is no such archive, has no such file, or is too large to be read.
    """
    try:
        with tarfile.open(fileobj=cast("BinaryIO", _Inflated(file)), mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None and pattern.fullmatch(member.name):
                    return _bounded(content.read(MEMBER_MAX_BYTES + 1), member.name)
        raise ValueError(f"it has no file {pattern.pattern}")
    except (*BROKEN, tarfile.TarError) as error:
        raise Invalid(f"{name} is not a valid archive: {error}.") from error


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MEMBER_MAX_BYTES:
        raise ValueError(f"{name} has more than {MEMBER_MAX_BYTES} bytes")
    return data


class _Inflated:
    """What a gzipped file holds, up to a limit: little may hold very much."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._left = INFLATED_MAX_BYTES

    def read(self, size: int) -> bytes:
        """Return the next bytes (ValueError: there are too many; zlib.error: it is not gzipped)."""
        found = bytearray()
        while len(found) < size and not self._inflater.eof:
            given = self._inflater.unconsumed_tail or self._file.read(CHUNK_BYTES)
            if not given:
                raise EOFError("it ends too early")
            found += self._inflater.decompress(given, size - len(found))
        self._left -= len(found)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {INFLATED_MAX_BYTES} bytes")
        return bytes(found)
