"""Single files out of uploaded archives, read within bounds: an archive may be made to do harm."""

import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from repoman.errors import Invalid

MEMBER_MAX_BYTES = 4 << 20  # A larger file of an archive is refused.
READ_MAX_BYTES = 8 << 20  # A larger directory of an archive is refused: it is read as a whole.
INFLATED_MAX_BYTES = 1 << 30  # An archive that unpacks to more is refused.
CHUNK_BYTES = 1 << 16  # Of an archive, so much is read at a time.
MEMBERS_MAX = 100_000  # An archive with more is refused.
ENTRY = b"PK\x01\x02"  # How each member begins in the directory of a ZIP archive.
EXTENSIONS_MAX_BYTES = 1 << 20  # All further headers of a TAR archive, such as long paths.
LENGTH_MAX_CHARS = 8  # Of a record in such a header.
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)  # Headers about the next member.
EXTENSIONS = (*PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
WITHOUT_BYTES = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
PATH, SIZE = b"path", b"size"  # Keys of a PAX header.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Others may ask for any amount of memory.


class _Outside(OSError):
    """An archive names a place that it does not have; the library expects this kind of error."""


# All that archives which are broken, encrypted or unusual make the library raise.
BROKEN = (
    _Outside,
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
        self.tell, self.seekable = file.tell, file.seekable
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place (_Outside: the archive does not have it)."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            raise _Outside("it names a place outside of itself") from error

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes (ValueError: they are too many)."""
        left = max(self._size - self._file.tell(), 0)
        wanted = left if size < 0 else min(size, left)  # A file allocates all that is asked for.
        if wanted > READ_MAX_BYTES:
            raise ValueError("its directory is too large")
        data = self._file.read(wanted)
        if data.count(ENTRY) > MEMBERS_MAX:  # The library makes an object of each.
            raise ValueError(f"it has more than {MEMBERS_MAX} members")
        return data


def read_tar_member(file: BinaryIO, name: str, pattern: re.Pattern[str]) -> bytes:
    """Return the only file of a gzipped TAR archive whose path matches.

    ``name`` is that of the archive, for messages. All of it is read: it may have been cut off, or
    have a second such file, and programs differ in which one counts.

    Raises:
        Invalid: it is no such archive, has not one such file, or is too large to be read.
    """
    try:
        found = _find_in_tar(_Inflated(file), pattern)
        if not found:
            raise ValueError(f"it has no file {pattern.pattern}")
        if len(found) > 1:
            raise ValueError(f"it has {len(found)} files {pattern.pattern}, not one")
        return found[0]
    except (*BROKEN, tarfile.TarError) as error:
        raise Invalid(f"{name} is not a valid archive: {error}.") from error


def _find_in_tar(source: "_Inflated", pattern: re.Pattern[str]) -> list[bytes]:
    """Return all files that match.

    The library would keep all headers, and its time is quadratic to the length of some.
    """
    said: dict[bytes, bytes] = {}  # what headers in front of a member say of it
    found: list[bytes] = []
    left = EXTENSIONS_MAX_BYTES
    for _ in range(MEMBERS_MAX):
        block = source.read(tarfile.BLOCKSIZE)
        if not block.strip(b"\0"):
            source.check_end()
            return found
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if member.type in EXTENSIONS:
            if not 0 <= member.size <= left:
                raise ValueError("its headers are too long")
            left -= member.size
            said.update(_said(member, source))
            continue
        path, size = _path_and_size(member, said)
        said = {}
        if member.isreg() and pattern.fullmatch(path):
            found.append(_bounded(source.read_all(min(size, MEMBER_MAX_BYTES + 1)), path))
            source.skip(_whole_blocks(size) - size)
        elif member.type not in WITHOUT_BYTES:
            source.skip(_whole_blocks(size))
    raise ValueError(f"it has more than {MEMBERS_MAX} members")


def _path_and_size(member: tarfile.TarInfo, said: dict[bytes, bytes]) -> tuple[str, int]:
    """Return where a member is, and how many bytes it has (ValueError: nobody should unpack it)."""
    given = said.get(PATH, member.name.encode(errors="surrogateescape"))
    path, size = given.decode(errors="replace"), int(said.get(SIZE, member.size))
    if member.type == tarfile.GNUTYPE_SPARSE or size < 0 or any(map(_is_sparse, said)):
        raise ValueError("it has a sparse file")
    if ".." in path.split("/"):
        raise ValueError("it has a file outside of itself")
    return path, size


def _said(member: tarfile.TarInfo, source: "_Inflated") -> dict[bytes, bytes]:
    """Return what a header says of the next member, whose path or size may not fit its own."""
    data = source.read_all(_whole_blocks(member.size))[: member.size]
    if member.type == tarfile.GNUTYPE_LONGNAME:
        return {PATH: data.partition(b"\0")[0]}
    return dict(_records(data)) if member.type in PAX else {}


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a PAX header, whose records begin with their lengths."""
    at = 0
    while at < len(data):
        length = data[at : at + LENGTH_MAX_CHARS].partition(b" ")[0]
        record = data[at : at + int(length)]
        key, is_whole, value = record[len(length) + 1 :].partition(b"=")
        if not (is_whole and value.endswith(b"\n")):
            raise ValueError("it has a broken header")
        yield key, value[:-1]
        at += len(record)


def _is_sparse(key: bytes) -> bool:
    return key.startswith(b"GNU.sparse.")


def _whole_blocks(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


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

    def skip(self, size: int) -> None:
        """Pass over bytes; see :meth:`read_all`."""
        for at in range(0, size, CHUNK_BYTES):
            self.read_all(min(CHUNK_BYTES, size - at))

    def read_all(self, size: int) -> bytes:
        """Return so many bytes; as :meth:`read`, and EOFError: there are fewer."""
        found = self.read(size)
        if len(found) < size:
            raise EOFError("it ends too early")
        return found

    def check_end(self) -> None:
        """Read the rest, which is to be empty; as :meth:`read`, and ValueError: it is not."""
        while rest := self.read(CHUNK_BYTES):
            if rest.strip(b"\0"):
                raise ValueError("it has bytes behind its end")
        rest = self._inflater.unused_data
        while rest := rest + self._file.read(CHUNK_BYTES):
            if rest.strip(b"\0"):
                raise ValueError("it has bytes behind its end")
            rest = b""

    def read(self, size: int) -> bytes:
        """Return so many bytes; fewer at the end.

        Raises:
            EOFError: it has been cut off.
            ValueError: it unpacks to too many.
            zlib.error: it is not gzipped.
        """
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
