"""Listing what is in a layer: packed in any way, cut, damaged, or made to do harm."""

import gzip
import io
import itertools
import tarfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from repoman.errors import Invalid
from repoman_docker.browsing.archives import UnpackedLayer
from repoman_docker.browsing.layer_files import (
    Truncation,
    check_readable,
    collect,
    render_mode,
    safe_text,
)
from repoman_docker.protocol.tar import EntryKind, NotAnArchive, read_entries


def archive(*infos, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for info in infos:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return buffer.getvalue()


def entry(name, kind=tarfile.REGTYPE, size=0, target="", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, size, target, mode
    info.uid, info.gid, info.mtime = 10001, 3_000_000, 1_700_000_000
    return info


def layer(data, seconds=5.0, ticks=None):
    return UnpackedLayer(io.BytesIO(data), seconds, ticks or itertools.repeat(0.0).__next__)


LONG = "a" * 90 + "/" + "ü" * 200


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        zstandard.compress,
        lambda x: gzip.compress(x[:700]) + gzip.compress(x[700:]),
    ],
)
def test_entries_are_listed_however_they_are_packed(form, pack):
    data = archive(
        entry("etc", tarfile.DIRTYPE, mode=0o755),
        entry("etc/passwd", size=1000),
        entry(LONG, size=70_000),
        entry("bin/sh", tarfile.SYMTYPE, target="busybox" + LONG),
        entry("bin/ash", tarfile.LNKTYPE, target="bin/busybox"),
        entry("dev/null", tarfile.CHRTYPE),
        entry("pipe", tarfile.FIFOTYPE),
        form=form,
    )  # fmt: skip
    opened = layer(pack(data))
    found, cut = collect(opened)
    assert cut is Truncation.NOT
    assert [(each.name.decode(), each.kind, each.size) for each in found] == [
        ("etc/", EntryKind.FOLDER, 0),
        ("etc/passwd", EntryKind.FILE, 1000),
        (LONG, EntryKind.FILE, 70_000),
        ("bin/sh", EntryKind.LINK, 0),
        ("bin/ash", EntryKind.HARD_LINK, 0),
        ("dev/null", EntryKind.DEVICE, 0),
        ("pipe", EntryKind.PIPE, 0),
    ]
    assert found[3].target.decode() == "busybox" + LONG
    assert (found[0].owner, found[0].group, found[0].changed_at) == (
        10001,
        3_000_000,
        1_700_000_000,
    )
    assert opened.size > 70_000


def test_sizes_of_any_number_are_read_without_their_contents():
    data = archive(entry("huge", size=10), form=tarfile.GNU_FORMAT)
    huge = bytearray(data[:512])
    huge[124:136] = b"\x80" + (1 << 40).to_bytes(11, "big")
    huge[148:156] = b" " * 8
    huge[148:156] = b"%06o\0 " % sum(huge)
    found, _ = collect(layer(bytes(huge)))
    assert found[0].size == 1 << 40


def test_a_list_ends_at_its_limit():
    data = archive(*(entry(f"file-{number}") for number in range(10)))
    found, cut = collect(layer(gzip.compress(data)), limit=3)
    assert (len(found), cut) == (3, Truncation.MANY)
    assert collect(layer(gzip.compress(data)), limit=10)[1] is Truncation.NOT


def test_a_list_ends_when_its_time_is_over():
    ticks = itertools.count().__next__
    data = archive(*(entry(f"file-{number}", size=1 << 20) for number in range(50)))
    found, cut = collect(layer(gzip.compress(data), seconds=30, ticks=ticks))
    assert cut is Truncation.SLOW
    assert 0 < len(found) < 50


def test_a_header_of_a_packed_file_that_never_ends_takes_no_longer():
    # The name in the header is read byte by byte, whoever asks for how much.
    data = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 100_000
    found, cut = collect(layer(data, seconds=30, ticks=itertools.count().__next__))
    assert (found, cut) == ([], Truncation.SLOW)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x"])
def test_names_and_headers_of_any_length_are_not_read(kind):
    header = bytearray(archive(entry("x"))[:512])
    header[156:157], header[124:136] = kind, b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    read = []

    def endless(size):
        read.append(size)
        return bytes(header) if len(read) == 1 else b"x" * size

    with pytest.raises(NotAnArchive, match="too long"):
        list(read_entries(endless))
    assert sum(read) == 512


@pytest.mark.parametrize("data", [b"", b"\0" * 512, b"\0" * 100])
def test_an_archive_without_files_has_none(data):
    assert collect(layer(data)) == ([], Truncation.NOT)


def test_what_is_no_archive_is_damaged():
    data = archive(entry("a"), entry("b"), form=tarfile.GNU_FORMAT)
    for broken in (b"{}", b"x" * 4096, gzip.compress(b"x" * 4096), b"\x28\xb5\x2f\xfdnonsense"):
        assert collect(layer(broken)) == ([], Truncation.DAMAGED)
    found, cut = collect(layer(gzip.compress(data[:512] + b"x" * 2000)))
    assert (len(found), cut) == (1, Truncation.DAMAGED)
    assert collect(layer(gzip.compress(data)[:40]))[1] is Truncation.DAMAGED


@given(st.binary(max_size=3000))
def test_no_bytes_do_harm(data):
    for each in (data, gzip.compress(data), archive(entry("x"))[:512] + data):
        found, cut = collect(layer(each))
        assert len(found) < 10
        assert cut in Truncation


@given(st.binary(max_size=300))
def test_names_are_shown_as_text_that_can_be_printed(name):
    assert safe_text(name).isprintable()


def test_hostile_names_stay_text():
    assert safe_text(b"../../etc/passwd") == "../../etc/passwd"
    assert safe_text("a\u202eb\x1b[31m\n".encode()) == "a\\u202eb\\x1b[31m\\n"
    assert safe_text(b"<script>\xff") == "<script>\\xff"


def test_modes_are_written_as_ls_does():
    assert render_mode(EntryKind.FOLDER, 0o1777) == "drwxrwxrwt"
    assert render_mode(EntryKind.FILE, 0o4755) == "-rwsr-xr-x"
    assert render_mode(EntryKind.FILE, 0o2640) == "-rw-r-S---"
    assert render_mode(EntryKind.LINK, 0o777) == "lrwxrwxrwx"


def test_an_encrypted_layer_says_so():
    check_readable("application/vnd.oci.image.layer.v1.tar+gzip")
    with pytest.raises(Invalid, match="encrypted"):
        check_readable("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")
