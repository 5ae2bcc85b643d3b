"""Where a body ends, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman.server.request_body import (
    CHUNK_LINE_MAX_BYTES,
    TRAILERS_MAX_BYTES,
    ChunkedFraming,
    FixedFraming,
    Malformed,
)


def feed(framing, data, sizes=()):
    """Feed data in pieces; return the body and what was left over."""
    body = bytearray()
    cuts = iter(sizes)
    while data and not framing.is_complete:
        piece = data[: next(cuts, len(data))]
        used = framing.feed(memoryview(piece), body.extend)
        assert used == len(piece) or framing.is_complete
        data = data[used:]
    return bytes(body), data


def chunked(pieces, extension=b"", trailer=b""):
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(p), extension, p) for p in pieces if p)
    return chunks + b"0\r\n" + trailer + b"\r\n"


def test_fixed():
    framing = FixedFraming(5)
    assert feed(framing, b"hello, next") == (b"hello", b", next")
    assert framing.is_complete


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=50), max_size=10),
    extension=st.sampled_from([b"", b";a", b";a=b", b';a="b c"']),
    trailer=st.sampled_from([b"", b"X: y\r\n", b"X: y\r\nZ:\r\n"]),
    sizes=st.lists(st.integers(1, 20)),
    rest=st.binary(max_size=10),
)
def test_chunked_in_any_pieces(pieces, extension, trailer, sizes, rest):
    framing = ChunkedFraming()
    data = chunked(pieces, extension, trailer) + rest
    assert feed(framing, data, sizes) == (b"".join(pieces), rest)
    assert framing.is_complete


def test_chunked_byte_by_byte():
    data = chunked([b"hello", b"x" * 40], b";ext=1", b"T: v\r\n")
    assert feed(ChunkedFraming(), data, [1] * len(data)) == (b"hello" + b"x" * 40, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5\n\r\nhello\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5;\x00\r\nhello\r\n",
        b"5;a=\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\n\r\n5\r\n",
        b"10000000000000000\r\n",
        b"0\r\nno field\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_malformed(data, size):
    with pytest.raises(Malformed):
        feed(ChunkedFraming(), data, [size] * len(data))


@pytest.mark.parametrize(
    "data",
    [
        b"5;" + b"a" * 2 * CHUNK_LINE_MAX_BYTES,
        b"0" * 2 * CHUNK_LINE_MAX_BYTES,
        b"0\r\n" + b"A: " + b"b" * 2 * CHUNK_LINE_MAX_BYTES,
        b"0\r\n" + b"A: b\r\n" * TRAILERS_MAX_BYTES,
    ],
)
@pytest.mark.parametrize("size", [1000, 100_000])
def test_endless_lines_are_not_collected(data, size):
    framing = ChunkedFraming()
    with pytest.raises(Malformed):
        feed(framing, data, [size] * len(data))


@pytest.mark.parametrize("end", [b"X", b"\rX", b"\n", b"XX"])
def test_chunk_that_goes_on_is_noticed_at_once(end):
    with pytest.raises(Malformed):
        feed(ChunkedFraming(), b"5\r\nhello" + end)


def test_whole_chunks_are_handed_on_without_a_copy():
    data = memoryview(chunked([b"a" * 1000, b"b" * 1000]))
    views = []
    ChunkedFraming().feed(data, views.append)
    assert [view.obj for view in views] == [data.obj, data.obj]
