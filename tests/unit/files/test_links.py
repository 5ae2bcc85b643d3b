"""Pages of links: what is read of them, and that nothing written into them gets out."""

import pytest

from repoman.files.links import Link, read_links, render_links
from tests.clock import cpu_limit

URL = "https://example.com/simple/demo/"


def test_links_have_whole_addresses_and_their_other_attributes():
    page = b"""<base href="/files/"><a href=" a.zip#sha256=1&amp;x " DATA-X="&lt;1">a.<b>zip</b></a>
    <a name="no">no</a><a href="//other.example/b.zip" data-y>\n b.zip </a><link href="x">"""
    assert read_links(page, URL) == [
        Link("https://example.com/files/a.zip#sha256=1&x", "a.zip", {"data-x": "<1"}),
        Link("https://other.example/b.zip", "b.zip", {"data-y": ""}),
    ]


@pytest.mark.parametrize("address", ["http://[bad/", "//[::1", "http://\u2100.example/"])
def test_a_link_that_leads_nowhere_is_left_out(address):
    page = f"""<base href="{address}"><a href="a.zip">a.zip</a><a href="{address}">no</a>
    <a href="b.zip">b.zip</a>"""
    assert [each.url for each in read_links(page.encode(), URL)] == [f"{URL}a.zip", f"{URL}b.zip"]


def test_what_is_written_is_read_again():
    nasty = Link("x\"><script>alert('1')</script>", "</a><img src=x>", {"data-a": '"&<>'})
    body = render_links("<script>", [nasty], meta={"a": '"><b>'}).body
    for each in (b"<script>", b"<img", b'"><b>'):
        assert each not in body
    [found] = read_links(body, URL)
    assert (found.text, found.attributes) == (nasty.text, nasty.attributes)


@pytest.mark.parametrize(
    ("body", "problem"),
    [(b"\xff", "utf-8"), (b"<![<!", "name token")],
)
def test_a_page_that_cannot_be_read(body, problem):
    with pytest.raises(ValueError, match=problem):
        read_links(body, URL)


@pytest.mark.parametrize(
    "piece", [b"<", b"<a", b"<a href=", b"<!--", b"<a href='", b"&", b"</a", b"<a x "]
)
def test_a_page_of_nonsense_takes_no_more_than_its_length_is_worth(piece):
    with cpu_limit(5):
        assert read_links(piece * (200_000 // len(piece)), URL) == []
