"""Headers, queries and paths of any bytes are bad requests at the most, never a failure."""

from base64 import b64encode
from itertools import cycle

import pytest

from tests.attack.raw import exchange
from tests.live import live_server, wait_until

WAYS = {
    "a connector": ("connector_port", "/v2/"),
    "a connector, version 1": ("connector_port", "/v1/users/"),
    "a connector, an image of version 1": ("connector_port", "/v1/repositories/a/images"),
    "a connector, the token endpoint": ("connector_port", "/v2/token"),
    "the main port": ("main_port", "/"),
    "a page": ("main_port", "/account"),
    "REST": ("main_port", "/api/v1/audit"),
    "a repository": ("main_port", "/repository/docker-hosted/v2/"),
    "a repository of files": ("main_port", "/repository/files/x.txt"),
    "no repository": ("main_port", "/repository/never-made/v2/"),
}
LOGINS = (
    b"",
    b"\xff",
    b"\x80\x81 \x82",
    b"Basic",
    b"Basic ",
    b"Basic \xff",
    b"Basic !!!",
    b"Basic YQ==",  # no colon
    b"Basic YTpi YTpi",
    b"Basic " + b64encode(b"\xff\xfe:\xff"),
    b"Basic " + b64encode(b"admin:\x00"),
    b"Basic " + b64encode(b"x" * 9000 + b":" + b"y" * 9000),
    b"Bearer",
    b"Bearer \xff.\xff.\xff",
    b"Bearer " + b64encode(b"[" * 30_000) + b".e30.e30",  # nested as deeply as it can be
    b"Bearer " + b64encode(b'{"alg": []}').rstrip(b"=") + b".e30.e30",
    b"Bearer " + b64encode(b'{"alg": ' + b"9" * 5000 + b"}") + b".e30.e30",
    b"Token",
    b"Token signature=\xff",
    b"Token Token Token",
    b"Digest username=\xff",
    b"Negotiate \xff",
)
VALUES = (
    b"",
    b"\xff",
    b"\x80\x9f",
    b"\t",
    b"[",
    b"http://[",
    b"http://[::1",
    b"xn--a",
    b"a:b:c",
    b":99999",
    b"a" * 300 + b".example",
    b"Sun, 06 Nov 1994 08:49:37 +9999",
    b"Mon, 01 Jan 0001 00:00:00 +2359",
    b"9" * 5000,
    b"bytes=99999999999999999999-",
    b"0-99999999999999999999",
    b"*/*;q=1e999, text/html;q=\xff",
    b"multipart/form-data; boundary=\xff",
    b"text/plain; charset=\x80",
    b"repoman-login=\xff; repoman-forms=.\xff.\xff",
    b'W/"\xff"',
    b"%ff%00",
    b"javascript:",
    b"gzip, \xff",
)
# What looks like a host, and what no address can be made of.
HOSTS = (b"a..b", b".a", b"a" * 64, b"[:]", b"[:::::]", b"[1.2:3]")
HEADERS = (
    *(b"Accept", b"Accept-Encoding", b"Accept-Language", b"Content-Encoding", b"Content-Range"),
    *(b"Content-Type", b"Cookie", b"Date", b"Docker-Content-Digest", b"Docker-Upload-UUID"),
    *(b"Expect", b"Forwarded", b"If-Match", b"If-Modified-Since", b"If-None-Match", b"If-Range"),
    *(b"If-Unmodified-Since", b"Origin", b"Range", b"Referer", b"Sec-Fetch-Site", b"Upgrade"),
    *(b"User-Agent", b"X-CSRFToken", b"X-Docker-Checksum", b"X-Docker-Checksum-Payload"),
    *(b"X-Docker-Token", b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Forwarded-Port"),
    *(b"X-Forwarded-Prefix", b"X-Forwarded-Proto"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server where anybody may read and guess, and which believes what a proxy says."""
    settings = {
        "security": {"login_failures": 0, "anonymous_read": True, "password_cost": 8192},
        "server": {"trusted_proxies": ["127.0.0.0/8"]},
    }
    with live_server(tmp_path_factory.mktemp("odd"), settings=settings) as server:
        server.cli("repo", "create", "raw-hosted", "files")
        server.cli("repo", "set", "docker-hosted", "--set", "docker.v1_enabled=true")
        wait_until(lambda: _ask(server, "a connector, version 1", b"GET") == 401)
        yield server
        assert "Traceback" not in server.log


def _ask(server, way: str, method: bytes, *fields: bytes, query: bytes = b"") -> int:
    """Send a request and return the status."""
    port, path = WAYS[way]
    lines = [b"%b %b%b HTTP/1.1" % (method, path.encode(), query), b"Connection: close"]
    if not any(each.startswith(b"Host:") for each in fields):
        lines.append(b"Host: localhost")
    data = b"\r\n".join([*lines, *fields, b"Content-Length: 0", b"", b""])
    answer = exchange(getattr(server, port), data)
    assert answer.startswith(b"HTTP/1.1 "), (data, answer)
    return int(answer[9:12])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", [b"GET", b"DELETE"])
def test_a_login_of_any_bytes_is_a_wrong_one(server, way, method):
    for login in LOGINS:
        status = _ask(server, way, method, b"Authorization: " + login)
        assert status == 401, login


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_of_any_bytes_is_no_failure(server, header):
    ways, login = cycle(WAYS), b"Authorization: Basic " + b64encode(":".join(server.admin).encode())
    for value in VALUES:
        for method in (b"GET", b"POST", b"PUT"):
            field = header + b": " + value
            status = _ask(server, next(ways), method, field, login)
            assert status < 500, (field, method)


@pytest.mark.parametrize(
    "host", [*VALUES, b"a..b", b".a", b"a" * 64, b"[:]", b"[:::::]", b"[1.2:3]"]
)
@pytest.mark.parametrize("accept", [b"*/*", b"text/html"])
def test_a_host_of_any_bytes_is_a_bad_request_or_a_name(server, host, accept):
    for way in WAYS:
        status = _ask(server, way, b"GET", b"Host: " + host, b"Accept: " + accept)
        assert status == 400 if host in (b"", *HOSTS) else status < 500, way


@pytest.mark.parametrize(
    "query", [b"?n=\xff", b"?%ff=%00", b"?ns=\xff", b"?scope=\xff", b"?&&=\xfe"]
)
def test_a_query_of_any_bytes_is_no_failure(server, query):
    for way in WAYS:
        for method in (b"GET", b"POST"):
            assert _ask(server, way, method, query=query) < 500, (way, method)
