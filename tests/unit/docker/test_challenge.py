"""Challenges as other registries send them."""

import pytest

from repoman_docker.protocol.challenge import (
    Challenge,
    image_scope,
    parse_challenges,
    parse_scopes,
    render_challenge,
)
from repoman_docker.protocol.pagination import parse_next_link
from tests.clock import cpu_limit


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a/t",service="r",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {"realm": "https://a/t", "service": "r", "scope": "repository:a/b:pull,push"},
                )
            ],
        ),
        (
            'Basic realm="a, b=c", Bearer realm=https://x , error="e"',
            [("basic", {"realm": "a, b=c"}), ("bearer", {"realm": "https://x", "error": "e"})],
        ),
        ('BEARER Realm = "a\\"b"', [("bearer", {"realm": 'a"b'})]),
        ("Negotiate", [("negotiate", {})]),
        ('realm="nobody"', []),
        ("Negotiate YII+a/b==, Bearer realm=x", [("negotiate", {}), ("bearer", {"realm": "x"})]),
        ('@@@ ???, Basic realm="x"', [("basic", {"realm": "x"})]),
        ('Bearer service=,realm="x"', [("bearer", {"realm": "x"})]),
        ('Bearer realm="x, Basic realm="y"', [("bearer", {"realm": "x, Basic realm="})]),
        ("Basic", [("basic", {})]),
    ],
)
def test_parse_challenges(header, expected):
    assert parse_challenges(header) == [Challenge(*each) for each in expected]


def test_what_we_render_we_can_parse():
    header = render_challenge("https://a/t", "r", [image_scope("a/b", "pull")], "invalid_token")
    [challenge] = parse_challenges(header)
    assert challenge.scheme == "bearer"
    assert parse_scopes([challenge.parameters["scope"]]) == (image_scope("a/b", "pull"),)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ('</v2/a/tags/list?n=2&last=b>; rel="next"', "/v2/a/tags/list?n=2&last=b"),
        ("<https://x/y>;rel=next", "https://x/y"),
        ('</first>; rel="prev nexts", </next>; rel="other next more"', "/next"),
        ('</first>; rel="first", </next>; rel="next"', "/next"),
        ('</first>; rel="first"', None),
        ("nonsense", None),
    ],
)
def test_parse_next_link(header, expected):
    assert parse_next_link(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "<" * 60_000,
        "<>; " * 15_000,
        "<>;" + " " * 60_000,
        '<>; rel="' + "next " * 12_000,
        '<>; rel="' + "nexts " * 10_000 + '"',
    ],
)
def test_parse_next_link_takes_no_time_whatever_a_remote_sends(header):
    with cpu_limit(1):
        assert parse_next_link(header) is None
