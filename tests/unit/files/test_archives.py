"""Files of archives that are broken, or made to do harm."""

import gzip
import io
import re
import struct
import tarfile
import time
import tracemalloc
import zipfile

import pytest

from repoman.errors import Invalid
from repoman.files import archives
from repoman.files.archives import CHUNK_BYTES, MEMBER_MAX_BYTES, read_tar_member, read_zip_member

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
    # Not the bytes, which have the time in them: all processes must give the tests the same names.
    ids=lambda each: each if isinstance(each, str) else "",
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


CHART = re.compile(r"(?:\./)?[^/]+/Chart\.yaml")


def make_tar(*members, form=tarfile.PAX_FORMAT, pax=None):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form, pax_headers=pax) as archive:
        for path, content, *kind in members:
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.type = kind[0] if kind else tarfile.REGTYPE
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def read_tar(data):
    return read_tar_member(io.BytesIO(gzip.compress(data, 1)), "demo.tgz", CHART)


LONG = "d" * 300


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("path", ["demo/Chart.yaml", "./demo/Chart.yaml", f"{LONG}/Chart.yaml"])
def test_the_file_of_a_tar_archive_is_read(form, path):
    before = [("demo", b"", tarfile.DIRTYPE), (f"{LONG}/é", b"x" * 1000), ("pax", b"")]
    data = make_tar(*before, (path, b"text"), ("demo/z/Chart.yaml", b"deeper"), form=form)
    assert read_tar(data) == b"text"
    assert read_tar(make_tar(*before, (path, b"text"), pax={"comment": "é"})) == b"text"


def with_header(kind, content):
    return make_tar(("x", content, kind), ("demo/Chart.yaml", b"text"))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (make_tar(("demo/other", b"")), "no file"),
        (make_tar(("demo/Chart.yaml", b"", tarfile.SYMTYPE)), "no file"),
        (make_tar(("demo/Chart.yaml", b"text"))[:514], "too early"),
        (make_tar(("demo/other", b"text"))[:512], "too early"),
        (make_tar(("demo/Chart.yaml", bytes(MEMBER_MAX_BYTES + 1))), "more than"),
        (make_tar(("demo/Chart.yaml", b"text"), ("z/Chart.yaml", b"")), "2 files"),
        (make_tar(("demo/Chart.yaml", b"text"), ("demo/Chart.yaml", b"")), "2 files"),
        (make_tar(("../Chart.yaml", b"text")), "outside"),
        (make_tar(("demo/Chart.yaml", b"text"), ("demo/../../x", b"")), "outside"),
        (make_tar(("demo/Chart.yaml", b"text")) * 2, "behind its end"),
        (with_header(tarfile.XHDTYPE, b"9" * 1_100_000), "too long"),
        (with_header(tarfile.XGLTYPE, b"9" * 1_100_000), "too long"),
        (with_header(tarfile.GNUTYPE_LONGNAME, b"9" * 1_100_000), "too long"),
        (with_header(tarfile.GNUTYPE_SPARSE, b""), "sparse"),
        (with_header(tarfile.XHDTYPE, b"22 GNU.sparse.major=1\n"), "sparse"),
        (with_header(tarfile.XHDTYPE, b"10 size=-1\n"), "broken"),
        (with_header(tarfile.XHDTYPE, b"11 size=-1\n"), "sparse"),
        (with_header(tarfile.XHDTYPE, b"0 path=x\n"), "broken"),
        (with_header(tarfile.XHDTYPE, b"-9 path=x\n"), "broken"),
        (with_header(tarfile.XHDTYPE, b"x path=x\n"), "invalid literal"),
    ],
)
def test_what_is_wrong_with_a_tar_archive_is_said(data, problem):
    with pytest.raises(Invalid, match=problem):
        read_tar(data)


@pytest.mark.parametrize("missing", [1, 8, 20])
def test_a_tar_archive_that_was_cut_off_is_refused(missing):
    data = gzip.compress(make_tar(("demo/Chart.yaml", b"text"), ("demo/x", bytes(range(256)) * 99)))
    with pytest.raises(Invalid, match="too early"):
        read_tar_member(io.BytesIO(data[:-missing]), "demo.tgz", CHART)
    padding = bytes(2 * CHUNK_BYTES)
    assert read_tar_member(io.BytesIO(data + padding), "demo.tgz", CHART) == b"text"
    for between in (b"", padding):  # Some programs skip zeros, and read on.
        behind = data + between + gzip.compress(make_tar(("z/Chart.yaml", b"later")))
        with pytest.raises(Invalid, match="behind its end"):
            read_tar_member(io.BytesIO(behind), "demo.tgz", CHART)


def test_a_tar_archive_is_read_up_to_a_size(monkeypatch):
    monkeypatch.setattr(archives, "INFLATED_MAX_BYTES", 1 << 20)
    chart = ("demo/Chart.yaml", b"text")
    assert read_tar(make_tar(chart, ("demo/x", bytes(900_000)))) == b"text"
    with pytest.raises(Invalid, match="unpacks to more"):
        read_tar(make_tar(chart, ("demo/x", bytes(1 << 20))))


def test_a_header_of_a_tar_archive_takes_time_in_proportion_to_its_length():
    """Headers of digits, each of which would take the library seconds."""
    headers = [("x", b"9" * 100_000, tarfile.XGLTYPE)] * 10
    began = time.process_time()
    assert read_tar(make_tar(*headers, ("demo/Chart.yaml", b"text"))) == b"text"
    assert time.process_time() - began < 5


def test_all_headers_of_a_tar_archive_count():
    headers = [("x", b"12 key=word\n" * 10_000, tarfile.XHDTYPE)]
    chart = ("demo/Chart.yaml", b"text")
    assert read_tar(make_tar(*headers * 8, chart)) == b"text"
    with pytest.raises(Invalid, match="too long"):
        read_tar(make_tar(*headers * 9, chart))


def test_a_tar_archive_is_read_up_to_a_number_of_members(monkeypatch):
    monkeypatch.setattr(archives, "MEMBERS_MAX", 10)
    for count in (8, 10):
        data = make_tar(*[("x", b"")] * count, ("demo/Chart.yaml", b"text"))
        if count < 10:
            assert read_tar(data) == b"text"
        else:
            with pytest.raises(Invalid, match="more than 10 members"):
                read_tar(data)


@pytest.mark.parametrize(
    ("data", "problem"), [(b"", "not a zip"), (b"PK\x05\x06" + bytes(18), "0 files")]
)
def test_what_is_wrong_with_a_file_on_disk_is_said(tmp_path, data, problem):
    small = tmp_path / "demo.zip"
    small.write_bytes(data)
    with small.open("rb") as file, pytest.raises(Invalid, match=problem):
        read_zip_member(file, "demo.zip", META)


def test_a_directory_that_lies_outside_of_the_archive_is_no_fault_of_the_disk(tmp_path):
    good = make(("a/META", "text"))
    end = good.index(b"PK\x05\x06")
    size, offset = struct.unpack("<2L", good[end + 12 : end + 20])
    broken = tmp_path / "demo.zip"
    for there in range(offset + 1, offset + 100):
        broken.write_bytes(good[: end + 12] + struct.pack("<2L", size, there) + good[end + 20 :])
        with broken.open("rb") as file, pytest.raises(Invalid):
            read_zip_member(file, "demo.zip", META)


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
