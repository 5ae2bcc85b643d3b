"""Where redirects lead, and who is shown a login there."""

import pytest

from repoman.proxy.redirects import RemoteRequest, is_same_server, next_address

HOME = "http://home"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://b/%2f?%7e#x", "https://b/%2f?%7e"),
        ("//b/x", "http://b/x"),
        ("/x/../y?a=../b", "http://a:5000/y?a=../b"),
        ("?q", "http://a:5000/v2/x?q"),
        ("", "http://a:5000/v2/x"),
        ("z", "http://a:5000/v2/z"),
        ("mailto:x", "mailto:x"),
        ("http://b/a\tb\x00", "http://b/a%09b%00"),
        ("http://b/\u20ac", "http://b/%E2%82%AC"),
    ],
)
def test_where_a_location_leads(location, expected):
    assert next_address("http://a:5000/v2/x?old=1", location) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("http://a/x", "http://A:80/y", True),
        ("http://a/x", "https://a/y", True),
        ("http://a:1/x", "https://a:2/y", True),
        ("https://a/x", "http://a/y", False),
        ("https://a/x", "https://a:444/y", False),
        ("http://a:1/x", "http://a:2/y", False),
        ("https://a/x", "https://b.a/y", False),
        ("https://a/x", "https://a.evil/y", False),
        ("https://a/x", "https://a@evil/y", False),
    ],
)
def test_whom_a_login_is_for(one, other, expected):
    assert is_same_server(one, other) is expected


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_a_login_does_not_go_elsewhere_and_back(name):
    request = RemoteRequest("GET", "http://a/x", {name: "secret", "Range": "bytes=1-"})
    assert request.headers_for("http://a/x", HOME, was_elsewhere=False)[name] == "secret"
    for url in ("http://a/x", "http://b/x"):
        headers = request.headers_for(url, HOME, was_elsewhere=True)
        assert headers == {"Range": "bytes=1-"}


def test_each_host_is_asked_what_it_wants():
    request = RemoteRequest("GET", "http://a/x", {}, authorize=lambda url: f"for {url}")
    headers = request.headers_for("http://b/", HOME, was_elsewhere=True)
    assert headers["Authorization"] == "for http://b/"
    for url in ("http://a/", f"{HOME}/x"):
        assert request.headers_for(url, HOME, was_elsewhere=True) == {}
