"""Where one request ends is never in doubt: what could be read in two ways is refused."""

import pytest

from tests.attack.raw import exchange, login_field, request, send
from tests.live import wait_until

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"


def poisoned(*fields, line="PUT /repository/files/a HTTP/1.1", end="\r\n"):
    head = end.join([line, "Host: x", *fields, "", ""]).encode("latin-1")
    return head + b"0\r\n\r\n" + HIDDEN


AMBIGUOUS = {
    "length and chunks": poisoned("Content-Length: 4", CHUNKED),
    "chunks and length": poisoned(CHUNKED, "Content-Length: 4"),
    "two lengths": poisoned("Content-Length: 0", "Content-Length: 5"),
    "two lengths in one": poisoned("Content-Length: 0, 5"),
    "a sign": poisoned("Content-Length: +5"),
    "a minus": poisoned("Content-Length: -5"),
    "hexadecimal": poisoned("Content-Length: 0x5"),
    "underscores": poisoned("Content-Length: 1_0"),
    "other digits": poisoned("Content-Length: \xb2"),
    "an unknown coding": poisoned("Transfer-Encoding: xchunked"),
    "an empty coding": poisoned("Transfer-Encoding:"),
    "a coding of commas": poisoned("Transfer-Encoding: , ,"),
    "two codings": poisoned("Transfer-Encoding: chunked, identity"),
    "chunks twice": poisoned("Transfer-Encoding: chunked, chunked"),
    "two fields of codings": poisoned(CHUNKED, "Transfer-Encoding: identity"),
    "a vertical tab": poisoned("Transfer-Encoding:\x0bchunked"),
    "a space before the colon": poisoned("Transfer-Encoding : chunked"),
    "a field that goes on": poisoned("X: 1", " Transfer-Encoding: chunked", "Content-Length: 5"),
    "a NUL in a field": poisoned("X: a\0b", "Content-Length: 5"),
    "a bare CR in a field": poisoned("X: a\rContent-Length: 5"),
    "a name that is none": poisoned("Content-Length\0: 5"),
    "a chunk size with a sign": poisoned(CHUNKED).replace(b"\r\n\r\n0\r\n", b"\r\n\r\n+0\r\n"),
    "a chunk size with 0x": poisoned(CHUNKED).replace(b"\r\n\r\n0\r\n", b"\r\n\r\n0x0\r\n"),
    "a chunk without its end": poisoned(CHUNKED).replace(b"0\r\n\r\n", b"1\r\nab\r\n0\r\n\r\n"),
}


REFUSED = (b"HTTP/1.1 400", b"HTTP/1.1 501", b"HTTP/1.0 400")
# Somebody without a right is refused before the body is looked at.
DENIED = (*REFUSED, b"HTTP/1.1 401")


@pytest.mark.parametrize("is_somebody", [True, False])
@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_closed(victim, data, is_somebody):
    seen = len(victim.log)
    if is_somebody:
        data = data.replace(
            b"Host: x\r\n", f"Host: x\r\n{login_field(victim.admin)}\r\n".encode(), 1
        )
    answer = exchange(victim.main_port, data)
    assert answer.startswith(REFUSED if is_somebody else DENIED), answer[:100]
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.") == 1, "what was hidden was answered"
    last = send(victim.main_port, request("GET", "/repository/files/a", login=victim.admin))
    assert last.status == 404
    wait_until(lambda: '"GET /repository/files/a" 404' in victim.log[seen:], what="the last line")
    assert "/smuggled" not in victim.log[seen:]


def test_what_is_pipelined_openly_is_answered(victim):
    open_ = b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n"
    assert exchange(victim.main_port, open_ * 2).count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize("target", ["http://[", "http://x:99999/", "*", "%", "x"])
def test_a_target_that_is_none_does_no_harm(victim, target):
    """An authority in a target says nothing here: the Host header and the port do."""
    seen = len(victim.log)
    answer = send(victim.main_port, request("GET", target))
    assert answer.status < 500
    assert b"99999" not in answer.raw
    assert "Traceback" not in victim.log[seen:]


BAD_HOSTS = ['a"b', "a b", "a/b", "a\\b", "user@evil", "<script>", "a,b", "x:y", "[::1", "\xe9"]


@pytest.mark.parametrize("host", BAD_HOSTS)
@pytest.mark.parametrize("path", ["/", "/login", "/account", "/repository/docker-hosted/v2/"])
def test_a_host_that_is_none_is_not_repeated(victim, path, host):
    answer = send(victim.main_port, request("GET", path, host=host))
    assert answer.status < 500
    told = answer.raw.decode("latin-1")
    assert host not in told
    assert host.encode().decode("latin-1") not in told


def test_two_hosts_are_none(victim):
    answer = send(victim.main_port, request("GET", "/login", "Host: evil.example"))
    assert b"evil.example" not in answer.raw
    assert answer.status in (200, 400)


def test_nobody_leads_a_visitor_to_another_host(victim):
    for field in ("X-Forwarded-Host: evil.example", "X-Host: evil.example", "Forwarded: host=evil"):
        for path in ("/account", "/repository/docker-hosted/v2/"):
            answer = send(victim.main_port, request("GET", path, field))
            assert b"evil" not in answer.raw
