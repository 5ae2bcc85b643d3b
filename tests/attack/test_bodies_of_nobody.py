"""Whoever has not logged in does not make the server keep large bodies."""

import socket

import pytest

from tests.attack.raw import login_field

FORM = "Content-Type: application/x-www-form-urlencoded"
LARGE = 1 << 30
TARGETS = {
    "the login form": ("main_port", "POST", "/login", 413),
    "the account": ("main_port", "POST", "/account/tokens", 413),
    "REST": ("main_port", "POST", "/service/rest/v1/repositories/files/invalidate-cache", 401),
    "a session": ("main_port", "POST", "/service/rapture/session", 413),
    "no page": ("main_port", "POST", "/nowhere", 413),
    "the start page": ("main_port", "PUT", "/", 413),
    "files": ("main_port", "PUT", "/repository/files/x", 401),
    "no repository": ("main_port", "PUT", "/repository/never-made/x", 401),
    "the token endpoint": ("connector_port", "POST", "/v2/token", 413),
    "a token endpoint of the main port": ("main_port", "POST", "/repository/other/v2/token", 413),
    "a manifest": ("connector_port", "PUT", "/v2/a/manifests/1", 401),
    "an upload": ("connector_port", "POST", "/v2/a/blobs/uploads/?digest=sha256:" + "a" * 64, 401),
    "images of version 1": ("connector_port", "PUT", "/v1/repositories/a/images", 401),
}


@pytest.fixture
def exchange(victim):
    """Send a header and a piece of a body; return the answer up to the end of its header."""

    def exchange(target: str, *fields: str, body: bytes = b"") -> tuple[int, bytes]:
        port, method, path, status = TARGETS[target]
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", FORM, *fields, "", ""]
        with socket.create_connection(("127.0.0.1", getattr(victim, port)), 10) as connection:
            connection.sendall("\r\n".join(lines).encode() + body)
            answer = b""
            while b"\r\n\r\n" not in answer and (piece := connection.recv(1 << 16)):
                answer += piece
        return status, answer

    return exchange


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_spooled(victim):
    yield
    assert list((victim.data / "spool").iterdir()) == []


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("fields", [[], ["Expect: 100-continue"], ["Cookie: repoman-login=guess"]])
def test_a_large_body_is_refused_before_it_comes(exchange, target, fields):
    """No byte of it is sent, so an answer can only come before it."""
    status, answer = exchange(target, f"Content-Length: {LARGE}", *fields)
    assert int(answer[9:12]) == status, answer


@pytest.mark.parametrize("target", TARGETS)
def test_a_body_of_unknown_length_is_cut_off_soon(exchange, target):
    piece = b"x" * 32_768
    body = b"%x\r\n%b\r\n" % (len(piece), piece)
    status, answer = exchange(target, "Transfer-Encoding: chunked", body=3 * body)
    assert int(answer[9:12]) == status, answer


def test_who_has_logged_in_may_send_a_form_of_any_size_that_makes_sense(victim, exchange):
    body = b"x" * 100_000
    length = f"Content-Length: {len(body)}"
    _, answer = exchange("the account", length, login_field(victim.admin), body=body)
    assert int(answer[9:12]) == 400  # it lacks the name of the token
    _, answer = exchange("the account", f"Content-Length: {LARGE}", login_field(victim.admin))
    assert int(answer[9:12]) == 413
