from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.pagination import Page, next_link, parse_page


@pytest.mark.parametrize(
    ("args", "page"),
    [
        ({}, Page(100)),
        ({"n": ""}, Page(100)),
        ({"last": "v1"}, Page(100, "v1")),
        ({"n": "0"}, Page(0)),
        ({"n": "5", "last": "v1"}, Page(5, "v1")),
        ({"n": "007"}, Page(7)),
        ({"n": "1000"}, Page(1000)),
        ({"n": "1001"}, Page(1000)),
        ({"n": "9" * 10_000}, Page(1000)),
        ({"n": "0" * 10_000}, Page(0)),
        ({"n": "5", "other": "x"}, Page(5)),
    ],
)
def test_the_page_asked_for(args, page):
    assert parse_page(args, default=100, maximum=1000) == page


@pytest.mark.parametrize("number", ["-1", "a", "1.0", " 5", "+5", "0x5", "1_0", "٣", "²", "5\n"])
def test_what_is_no_number_of_entries_is_refused(number):
    with pytest.raises(RegistryError) as caught:
        parse_page({"n": number}, default=100, maximum=1000)
    assert (caught.value.code, caught.value.status) == (ErrorCode.PAGINATION_NUMBER_INVALID, 400)


def test_the_link_leads_to_the_next_page():
    link = next_link("/v2/team/app/tags/list", {"n": "9", "last": "a"}, 5, "b")
    assert link == '</v2/team/app/tags/list?n=5&last=b>; rel="next"'


def test_the_link_keeps_other_parameters():
    link = next_link("/v2/a/tags/list", {"ns": "docker.io", "n": "1"}, 1, "b")
    assert link == '</v2/a/tags/list?n=1&last=b&ns=docker.io>; rel="next"'


@given(st.text(), st.dictionaries(st.text(), st.text()), st.integers(0), st.text())
@example("/\r\n>", {"\r\n": "\ud800>"}, 1, '">\r\n')
def test_any_link_is_one_line_of_ascii_that_leads_where_it_should(path, args, limit, last):
    link = next_link(path, args, limit, last)
    assert link.isascii()
    assert link.isprintable()
    target = link.removeprefix("<").removesuffix('>; rel="next"')
    assert not set('<>" ') & set(target)
    query = parse_qsl(target.partition("?")[2], keep_blank_values=True)
    assert query[:2] == [("n", str(limit)), ("last", _on_the_wire(last))]
    assert len(query) == 2 + len(args.keys() - {"n", "last"})


@given(st.dictionaries(st.sampled_from(["n", "last", "x"]), st.text()))
def test_any_query_is_a_page_or_a_registry_error(args):
    try:
        page = parse_page(args, default=7, maximum=9)
    except RegistryError:
        return
    assert 0 <= page.limit <= 9
    assert page.last == args.get("last", "")


def _on_the_wire(text):
    return text.encode("utf-8", "replace").decode()
