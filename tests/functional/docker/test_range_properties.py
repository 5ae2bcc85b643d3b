"""Ranges of downloads and of uploads, held against the simplest model of them."""

import secrets

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.examples import count
from tests.functional.docker.images import digest_of

# The fixtures only lead to a server; what the examples store there does no harm to each other.
relaxed = settings(
    max_examples=count(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# --- Downloads -----------------------------------------------------------------------------------

SIZES = (0, 1, 2, 10, 255, 70_000)  # small ones come from memory, large ones from a file
NAME = "properties/ranges"
numbers = st.one_of(st.integers(0, 12), st.integers(250, 260), st.integers(69_990, 70_010))
positions = st.one_of(numbers.map(str), st.just(""), st.sampled_from(["007", "1" * 17]))
ranges = st.builds("{}={}-{}".format, st.sampled_from(["bytes", "Bytes"]), positions, positions)
texts = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=12)
headers = st.one_of(
    ranges,
    ranges,
    st.builds("{},{}-{}".format, ranges, positions, positions),
    st.builds("bytes={}".format, texts),
    texts,
)


def bytes_of(size):
    return bytes(number % 251 for number in range(size))


def model(header, size):
    """The positions that a Range header asks for, as a list; None for all."""
    unit, _, spec = header.partition("=")
    first, dash, last = spec.partition("-")
    is_range = unit.lower() == "bytes" and dash and (first or last)
    if not is_range or not all(number.isdecimal() for number in (first, last) if number):
        return None
    every = list(range(size))
    if not first:
        return every[-int(last) :] if int(last) else []
    end = int(last) if last else size
    return [position for position in every if int(first) <= position <= end]


@pytest.fixture
def blobs(registry):
    """The digests of a blob of each size."""
    return {size: registry.push_blob(NAME, bytes_of(size)) for size in SIZES}


@relaxed
@given(header=headers, size=st.sampled_from(SIZES))
def test_a_range_is_what_the_model_says(registry, blobs, header, size):
    answer = registry.get(f"{NAME}/blobs/{blobs[size]}", headers={"Range": header})
    data, wanted = bytes_of(size), model(header, size)
    if wanted is None:
        assert (answer.status, answer.body) == (200, data)
        assert "Content-Range" not in answer.headers
    elif wanted:
        assert (answer.status, answer.body) == (206, bytes(data[each] for each in wanted))
        assert answer.headers["Content-Range"] == f"bytes {wanted[0]}-{wanted[-1]}/{size}"
    else:
        assert (answer.status, answer.body) == (416, b"")
        assert answer.headers["Content-Range"] == f"bytes */{size}"


@relaxed
@given(cuts=st.lists(st.integers(0, 70_000), max_size=8), size=st.sampled_from(SIZES[1:]))
def test_the_parts_of_a_blob_make_up_the_whole(registry, blobs, cuts, size):
    starts = sorted({0, *(cut for cut in cuts if cut < size)})
    parts = []
    for start, stop in zip(starts, [*starts[1:], size], strict=True):
        header = {"Range": f"bytes={start}-{stop - 1}"}
        parts.append(registry.get(f"{NAME}/blobs/{blobs[size]}", headers=header).body)
    assert b"".join(parts) == bytes_of(size)


# --- Uploads -------------------------------------------------------------------------------------

# How a chunk is sent: its length, how far from the right place, and how many bytes too many or too
# few are announced; None where nothing is announced.
shifts = st.one_of(st.just(0), st.just(0), st.integers(-5, 5))
chunks = st.tuples(st.integers(0, 40), st.none() | shifts, shifts, st.booleans())


@relaxed
@given(steps=st.lists(chunks, max_size=12), last=st.integers(0, 40))
@example(steps=[(0, 1, 1, False)], last=0)
def test_an_upload_holds_what_was_accepted_and_nothing_else(registry, steps, last):
    name = f"properties/uploads-{secrets.token_hex(4)}"
    location = registry.begin(name)
    held = b""
    for length, shift, excess, is_chunked in steps:
        data = secrets.token_bytes(length)
        body = [data] if is_chunked else data
        if shift is None:
            answer = registry.append(location, body)
            wanted, held = 202, held + data
        else:
            start = len(held) + shift
            end = start + length - 1 + excess
            assume(start >= 0)
            answer = registry.append(location, body, start, end)
            wanted, held = accept(held, data, start, end, is_chunked=is_chunked)
        assert answer.status == wanted, answer.body
        state = f"0-{max(len(held) - 1, 0)}"
        if wanted in (202, 416):
            assert (answer.headers["Range"], answer.headers["Location"]) == (state, location)
        assert registry.get(location).headers["Range"] == state
    rest = secrets.token_bytes(last)
    answer = registry.finish(location, digest_of(held + rest), rest, len(held) if last else None)
    assert answer.status == 201
    assert registry.get(answer.headers["Location"]).body == held + rest


def accept(held, data, start, end, *, is_chunked):
    """The status for an announced chunk, and what the upload holds then."""
    if end < start:
        return 400, held
    if not is_chunked and end - start + 1 != len(data):
        return 400, held
    if start != len(held):
        return 416, held
    if end - start + 1 != len(data):
        return 400, held + data  # its length was only known when it was there
    return 202, held + data
