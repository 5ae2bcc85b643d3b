import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.ranges import (
    check_length,
    parse_content_range,
    render_range,
)

POSITIONS = st.integers(0, 10**17)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-0", (0, 0)),
        ("0-1023", (0, 1023)),
        ("1024-2047", (1024, 2047)),
        (" 5-6 ", (5, 6)),
        ("bytes 5-6/7", (5, 6)),
        ("bytes 5-6/*", (5, 6)),
        ("bytes=5-6", (5, 6)),
        ("Bytes 5-6", (5, 6)),
        ("007-010", (7, 10)),
    ],
)
def test_chunks_are_parsed(text, expected):
    assert parse_content_range(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "5",
        "5-",
        "-5",
        "6-5",
        "a-b",
        "1-2-3",
        "bytes */7",
        "5-6\n7",
        "٣-٤",
        "0-" + "9" * 5000,
    ],
)
def test_malformed_chunks_are_refused(text):
    with pytest.raises(RegistryError) as caught:
        parse_content_range(text)
    assert (caught.value.code, caught.value.status) == (ErrorCode.BLOB_UPLOAD_INVALID, 400)


@given(POSITIONS, POSITIONS)
def test_any_range_survives_the_wire(start, length):
    end = start + length
    assert parse_content_range(f"{start}-{end}") == (start, end)
    check_length(start, end, length + 1)


@given(POSITIONS, POSITIONS, POSITIONS)
def test_only_the_right_length_fits(start, length, other):
    if other == length + 1:
        return
    with pytest.raises(RegistryError) as caught:
        check_length(start, start + length, other)
    assert (caught.value.code, caught.value.status) == (ErrorCode.SIZE_INVALID, 400)


def test_chunk_after_chunk_adds_up():
    offset = 0
    for text in ("0-1023", "1024-1024", "1025-9999"):
        start, end = parse_content_range(text)
        assert start == offset
        check_length(start, end, end - start + 1)
        offset = end + 1
    assert render_range(offset) == "0-9999"


@pytest.mark.parametrize(("offset", "text"), [(0, "0-0"), (1, "0-0"), (2, "0-1"), (1024, "0-1023")])
def test_the_range_of_an_upload_has_no_unit(offset, text):
    assert render_range(offset) == text


@given(st.text() | st.text(alphabet="0123456789-/* bytes="))
def test_any_text_is_a_range_or_a_registry_error(text):
    try:
        start, end = parse_content_range(text)
    except RegistryError:
        return
    assert 0 <= start <= end < 10**18
