import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman.plugin import beginning_with
from repoman_docker import merge
from repoman_docker.merge import (
    Budget,
    Names,
    merge_names,
    merge_pages,
    merge_referrers,
    read_names,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.reference import Digest

NAMES = st.lists(st.text("abc-_.", min_size=1, max_size=3), unique=True).map(sorted)


@given(st.lists(NAMES, max_size=4), st.integers(0, 20))
def test_names_are_the_sorted_union_up_to_the_limit(lists, limit):
    union = sorted({name for names in lists for name in names})
    assert merge_names(lists, limit) == union[:limit]


@given(st.lists(NAMES, min_size=1, max_size=4), st.integers(1, 5))
def test_pages_of_pages_are_the_whole_list(lists, size):
    """A member is only asked for the page, so the union of pages must be the page of the union."""
    found, last = [], ""
    while page := merge_names([[n for n in one if n > last][:size] for one in lists], size):
        found += page
        last = page[-1]
    assert found == sorted({name for names in lists for name in names})


@given(
    st.lists(NAMES, min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(1, 3),
    st.sets(st.sampled_from("abc")),
)
def test_whoever_follows_the_pages_gets_all_that_count(lists, size, budget, batch, hidden):
    """Whatever the budget; no request looks through more than that and one batch of each list."""
    looked = 0

    def counts(name: str) -> bool:
        nonlocal looked
        looked += 1
        return name[0] not in hidden

    def read_one(one: list[str], after: str, limit: int) -> Names:
        return Names.page([name for name in one if name > after][:limit], limit)

    def read(after: str, limit: int) -> Names:
        shared = Budget(budget)
        pages = [
            read_names(lambda a, n, one=one: read_one(one, a, n), after, limit, counts, shared)
            for one in lists
        ]
        return merge_pages(pages, limit)

    found: list[str] = []
    position: str | None = ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "BATCH_NAMES", batch)
        while position is not None:
            looked = 0
            page = read(position, size)
            assert looked <= budget + batch * len(lists)
            assert page.until is None or page.until > position
            found += page
            position = page.until
    assert found == sorted({name for one in lists for name in one if name[0] not in hidden})


def referrer(number: int, media_type: str = "a/b") -> Descriptor:
    return Descriptor(media_type, Digest("sha256", f"{number:064x}"), 1)


def test_referrers_are_sorted_by_digest_and_the_first_list_counts():
    first, second = [referrer(2, "first/x")], [referrer(1), referrer(2, "second/x")]
    merged = merge_referrers([first, second], 10)
    assert [(d.media_type, d.digest.encoded[-1]) for d in merged] == [
        ("a/b", "1"),
        ("first/x", "2"),
    ]


def test_referrers_end_at_the_limit():
    assert len(merge_referrers([[referrer(n) for n in range(5)]], 3)) == 3


IMAGES = [f"{letter}/{number:03}" for letter in "abcdef" for number in range(400)]


def read_images(asked: list[str]):
    """Read from a list of many names, and note where each reading begins."""

    def read(after: str, limit: int) -> Names:
        asked.append(after)
        return Names.page([each for each in IMAGES if each > after][:limit], limit)

    return read


@pytest.mark.parametrize("limit", [1, 5, 5000])
def test_what_is_outside_the_spans_is_neither_read_nor_counted(limit):
    spans = [beginning_with("b/1"), beginning_with("e/39")]
    expected = [each for each in IMAGES if each.startswith(("b/1", "e/39"))]
    asked, counted, found, after = [], [], [], ""

    def counts(name: str) -> bool:
        counted.append(name)
        return True

    while True:
        page = read_names(read_images(asked), after, limit, counts, Budget(10_000), spans)
        found += page
        if page.until is None:
            break
        after = page.until
        asked.append("next page")
    assert found == expected
    assert set(counted) == set(expected)
    if limit > len(expected):
        assert len(asked) == 2, "one reading for each span"


def test_spans_without_names_end_within_the_budget():
    spans = [beginning_with(f"x{number}/") for number in range(100)]
    asked: list[str] = []
    page = read_names(read_images(asked), "", 5, bool, Budget(10), spans)
    assert page == []
    assert len(asked) == 1, "nothing follows"
    spans = [beginning_with(f"c/00{number}x") for number in range(10)]
    page = read_names(read_images(asked := []), "", 5, bool, Budget(3), spans)
    assert (page, len(asked)) == ([], 3)
    assert page.until is not None
    assert read_names(read_images(asked), page.until, 5, bool, Budget(99), spans).until is None


def test_no_spans_no_names():
    asked: list[str] = []
    assert read_names(read_images(asked), "", 5, bool, Budget(10), []) == []
    assert asked == []
