from hypothesis import given
from hypothesis import strategies as st

from repoman_docker.merge import merge_names, merge_referrers
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest

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
