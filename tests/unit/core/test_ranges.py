"""The Range header, against a model that is slow and plain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman.http.content import RangeNotSatisfiable, parse_range

SIZES = st.integers(0, 30)
NUMBERS = st.none() | st.integers(0, 40)


def naive(first, last, size):
    """The positions that ``first-last`` means, one by one."""
    if first is None:
        return list(range(size))[-last:] if last else []
    return [each for each in range(size) if first <= each and (last is None or each <= last)]


@given(NUMBERS, NUMBERS, SIZES)
def test_a_range_is_what_the_model_says(first, last, size):
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None and last is None:
        assert parse_range(text, size) is None
        return
    expected = naive(first, last, size)
    if not expected:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(text, size)
        return
    start, stop = parse_range(text, size)
    assert list(range(start, stop)) == expected


@given(st.text(), SIZES)
def test_any_text_is_a_range_within_the_content_or_none(text, size):
    for header in (text, f"bytes={text}"):
        try:
            found = parse_range(header, size)
        except RangeNotSatisfiable:
            continue
        if found is not None:
            start, stop = found
            assert 0 <= start < stop <= size


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=0-1,3-4",
        "items=0-1",
        "bytes=a-b",
        "bytes=1.5-2",
        "bytes=+1-2",
        "bytes=\N{ARABIC-INDIC DIGIT ZERO}-5",
        "bytes=0-9999999999999999999999",
    ],
)
def test_what_is_no_single_range_of_bytes_means_all(header):
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=2-5", "BYTES=2-5", "bytes= 2 - 5 "])
def test_case_and_blanks_do_not_matter(header):
    assert parse_range(header, 10) == (2, 6)
