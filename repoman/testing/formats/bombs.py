"""Archives that unpack to very much, for formats that read what clients upload."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

LARGE_BYTES = 1100 << 20  # More than an archive may unpack to.
MEMBERS = 110_000  # More than an archive may have.
DEPTH = 100_000  # More levels than a reader of JSON or YAML can go down.
CHUNK_BYTES = 1 << 20
GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
END = struct.Struct("<4s4H2LH")  # Of a ZIP archive: where its directory is.
DEEP = b"[" * DEPTH + b"]" * DEPTH


def tar_bombs(path: str) -> Mapping[str, bytes]:
    """Return gzipped TAR archives that must be refused, by what is wrong with them.

    ``path`` is that of the file in it which a server reads, in JSON or YAML.
    """
    deep = tarfile.TarInfo(path)
    deep.size = len(DEEP)
    return {
        "large": _pack_zeros("x/large"),
        "a large file": _pack_zeros(path),
        "many files": gzip.compress(tarfile.TarInfo("x/y").tobuf() * MEMBERS, 1),
        "deep": gzip.compress(deep.tobuf() + DEEP + bytes(-len(DEEP) % 512 + 1024), 1),
    }


def zip_bombs(path: str, content: bytes) -> Mapping[str, bytes]:
    """Return ZIP archives that must be refused, as above; ``content`` is what a server accepts."""
    good = _zip({path: content, "x": b""})
    end = len(good) - END.size
    *begin, _, _, size, offset, _ = END.unpack(good[end:])
    entry = good[good.rindex(b"PK\x01\x02") : end]
    many = END.pack(*begin, 0, 0, size + MEMBERS * len(entry), offset, 0)
    return {
        "a large file": _zip({path: bytes(LARGE_BYTES >> 4)}),
        "many files": good[:end] + entry * MEMBERS + many,
    }


def _pack_zeros(path: str) -> bytes:
    """Return an archive with a file of zeros; its end is not reached, so it has no checksum."""
    member = tarfile.TarInfo(path)
    member.size = LARGE_BYTES
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = packer.compress(member.tobuf()) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(CHUNK_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)
    return GZIP_HEADER + head + piece * (LARGE_BYTES // CHUNK_BYTES) + packer.flush()


def _zip(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()
