"""Files of archives that are broken, or made to do harm."""

import io
import re
import struct
import tracemalloc
import zipfile

import pytest

from repoman.errors import Invalid
from repoman.files import archives
from repoman.files.archives import MEMBER_MAX_BYTES, read_zip_member

META = re.compile(r"[^/]+/META")


def make(*members, method=zipfile.ZIP_DEFLATED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return data.getvalue()


def read(data):
    return read_zip_member(io.BytesIO(data), "demo.zip", META)


def test_the_file_is_read():
    assert read(make(("x", "0"), ("a/META", "text"), ("a/b/META", "1"))) == b"text"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not a zip"),
        (b"PK\x05\x06" + bytes(18), "0 files"),
        (make(("x/META", "1"), ("y/META", "2")), "2 files"),
        (make(("META", "1")), "0 files"),
        (make(("../META", "1"), ("a/META", "1")), "2 files"),
        (make(("a/META", "text"))[:-30], "not a zip"),
        (make(("a/META", "text"), method=zipfile.ZIP_STORED).replace(b"text", b"tex!"), "CRC"),
        (make(("a/META", "text"), method=zipfile.ZIP_LZMA), "compression"),
        (make(("a/META", bytes(MEMBER_MAX_BYTES + 1))), "more than"),
        (make(("a/META", bytes(1 << 28))), "more than"),
    ],
)
def test_what_is_wrong_is_said(data, problem):
    with pytest.raises(Invalid, match=problem):
        read(data)


def test_broken_bytes_are_never_another_error():
    good = make(("a/META", "text" * 50))
    for place in range(len(good)):
        for value in (0, 255, good[place] ^ 1):
            broken = good[:place] + bytes([value]) + good[place + 1 :]
            try:
                read(broken)
            except Invalid:
                continue


def test_a_directory_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(archives, "READ_MAX_BYTES", 100_000)
    size = 50 << 20
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, size, 0, 0)
    tracemalloc.start()
    with pytest.raises(Invalid, match="too large"):
        read_zip_member(_Zeros(size, end), "demo.zip", META)
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()


class _Zeros(io.RawIOBase):
    """A file of zeros with an end, which takes no memory."""

    def __init__(self, size, end):
        self._size, self._end, self._at = size, end, 0

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        self._at = offset + (0, self._at, self._size + len(self._end))[whence]
        return self._at

    def tell(self):
        return self._at

    def read(self, size=-1):
        left = self._size + len(self._end) - self._at
        size = left if size < 0 else min(size, left)
        zeros = max(0, min(size, self._size - self._at))
        begin = max(0, self._at - self._size)
        data = bytes(zeros) + self._end[begin : begin + size - zeros]
        self._at += len(data)
        return data
