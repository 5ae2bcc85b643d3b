"""The shipped nginx example, run by the real nginx: TLS, another host, a path in front."""

import re
import shutil
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from tests.clock import WAIT_S
from tests.e2e.clients import write_layout
from tests.e2e.registry import digest_of
from tests.live import LiveServer, free_port, is_open, live_server, wait_until
from tests.programs import find_program
from tests.server.client import Client

EXAMPLE = Path(__file__).parents[2] / "conf" / "examples" / "nginx.conf"
TOOLS = "tools.example.com"
PUBLIC = "/repoman/repository/public"  # where anybody may read, on the path of the main port


class Proxied(NamedTuple):
    """A server, and the port at which nginx stands before it."""

    server: LiveServer
    port: int

    def request(self, method: str, url: str, host: str, **options) -> requests.Response:
        headers = {"Host": f"{host}:{self.port}", **options.pop("headers", {})}
        return requests.request(
            method,
            f"https://127.0.0.1:{self.port}{url}",
            headers=headers,
            auth=options.pop("auth", self.server.admin),
            verify=str(self.server.data / "tls" / "ca.crt"),
            timeout=WAIT_S,
            **options,
        )


def configuration(server: LiveServer, directory: Path, port: int) -> str:
    """Return the example with this test's ports, names and files, inside a whole configuration."""
    example = EXAMPLE.read_text(encoding="utf-8")
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:5001", server.registry),
        ("127.0.0.1:8081", f"127.0.0.1:{server.main_port}"),
        ("/etc/nginx/repoman.crt", str(server.data / "tls" / "server.crt")),
        ("/etc/nginx/repoman.key", str(server.data / "tls" / "server.key")),
    ):
        assert old in example, f"the example has no {old}"
        example = example.replace(old, new)
    paths = "".join(
        f"{name}_temp_path {directory}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"pid {directory}/pid;\nerror_log {directory}/error.log;\ndaemon off;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{example}}}\n"
    )


def is_public(server: LiveServer) -> bool:
    """Whether the server has heard of the repository, and offers tokens there."""
    url = f"http://127.0.0.1:{server.main_port}/repository/public/v2/"
    return "Bearer" in requests.get(url, timeout=WAIT_S).headers.get("WWW-Authenticate", "")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory) -> Iterator[Proxied]:
    """A running server behind a running nginx."""
    directory = tmp_path_factory.mktemp("nginx")
    settings = {"server": {"trusted_proxies": ["127.0.0.1"]}}
    with live_server(tmp_path_factory.mktemp("behind-nginx"), settings=settings) as server:
        server.cli("cert", "create", "127.0.0.1", "registry.example.com", "tools.example.com")
        server.cli("repo", "create", "docker-hosted", "public", "--set", "access.anonymous=true")
        wait_until(lambda: is_public(server), what="the repository that anybody may read")
        port = free_port()
        file = directory / "nginx.conf"
        file.write_text(configuration(server, directory, port), encoding="utf-8")
        nginx = subprocess.Popen([find_program("nginx"), "-p", str(directory), "-c", str(file)])
        try:
            wait_until(lambda: is_open(port), what="nginx")
            yield Proxied(server, port)
        finally:
            nginx.terminate()
            nginx.wait(WAIT_S)


def test_skopeo_pushes_and_pulls_through_nginx(proxied, skopeo, tmp_path):
    certs = tmp_path / "certs"
    certs.mkdir()
    shutil.copy(proxied.server.data / "tls" / "ca.crt", certs)
    registry = f"127.0.0.1:{proxied.port}"
    credentials = ":".join(proxied.server.admin)
    source = write_layout(tmp_path / "image", b"x" * 3_000_000)
    skopeo.run(
        "copy", "--dest-cert-dir", str(certs), "--dest-creds", credentials,
        source, f"docker://{registry}/team/app:1",
    )  # fmt: skip
    skopeo.run(
        "copy", "--src-cert-dir", str(certs), "--src-creds", credentials,
        f"docker://{registry}/team/app:1", f"dir:{tmp_path / 'out'}",
    )  # fmt: skip
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_blob_larger_than_nginx_allows_by_default_passes(proxied):
    content = b"l" * 5_000_000
    host = "registry.example.com"
    location = proxied.request("POST", "/v2/big/blobs/uploads/", host).headers["Location"]
    answer = proxied.request(
        "PUT", location, host, params={"digest": digest_of(content)}, data=content
    )
    assert answer.status_code == 201
    got = proxied.request("GET", answer.headers["Location"], host)
    assert got.content == content


def test_on_a_path_locations_carry_the_prefix_and_work(proxied):
    host = "tools.example.com"
    start = "/repoman/repository/docker-hosted/v2/prefixed/blobs/uploads/"
    answer = proxied.request("POST", start, host)
    location = answer.headers["Location"]
    assert urlsplit(location).path.startswith(start)
    put = proxied.request("PUT", location, host, params={"digest": digest_of(b"x")}, data=b"x")
    assert put.status_code == 201
    assert proxied.request("GET", put.headers["Location"], host).content == b"x"


def test_what_clients_say_of_their_way_here_counts_for_nothing(proxied):
    lies = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Port": "1", "X-Forwarded-Proto": "http"}
    for host, prefix in (
        ("registry.example.com", ""),
        ("tools.example.com", "/repoman/repository/docker-hosted"),
    ):
        start = f"{prefix}/v2/lies/blobs/uploads/"
        answer = proxied.request("POST", start, host, headers=lies)
        assert urlsplit(answer.headers["Location"]).path.startswith(start)
    assert token_realm(proxied, lies) == token_realm(proxied, {})


def token_realm(proxied, headers):
    """Ask what anybody may read, on the path, and return where tokens are said to be got."""
    answer = proxied.request("GET", f"{PUBLIC}/v2/", TOOLS, auth=None, headers=headers)
    assert answer.status_code == 401
    return re.search('^Bearer realm="([^"]+)"', answer.headers["WWW-Authenticate"])[1]


def test_a_token_is_got_where_the_challenge_says_and_is_good(proxied):
    realm = token_realm(proxied, {})
    assert realm == f"https://{TOOLS}:{proxied.port}{PUBLIC}/v2/token"
    scope = {"scope": "repository:app:pull,push"}
    answer = proxied.request("GET", urlsplit(realm).path, TOOLS, params=scope)
    bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
    start = f"{PUBLIC}/v2/app/blobs/uploads/"
    pushed = proxied.request("POST", start, TOOLS, auth=None, headers=bearer)
    assert pushed.status_code == 202


@contextmanager
def connect(proxied: Proxied) -> Iterator[Client]:
    """A connection to nginx, on which a test sends what it likes."""
    trusted = ssl.create_default_context(cafile=str(proxied.server.data / "tls" / "ca.crt"))
    with closing(Client(proxied.port, 10, tls=trusted, name="registry.example.com")) as client:
        yield client


def test_an_upload_that_is_not_allowed_is_refused_while_its_body_is_awaited(proxied):
    with connect(proxied) as client:
        target = "/v2/app/blobs/uploads/?digest=sha256:" + "0" * 64
        client.request("POST", target, headers=["Content-Length: 1000000000"])
        client.send(b"x" * 100_000)
        assert client.read().status == 401


def test_an_upload_reaches_the_server_while_it_is_sent(proxied):
    host = "registry.example.com"
    location = proxied.request("POST", "/v2/slow/blobs/uploads/", host).headers["Location"]
    token = b64encode(":".join(proxied.server.admin).encode()).decode()
    uploads = proxied.server.data / "blobs" / "default" / "uploads"
    with connect(proxied) as client:
        headers = [f"Authorization: Basic {token}", "Content-Length: 200000"]
        client.request("PATCH", location, headers=headers)
        client.send(b"x" * 100_000)
        wait_until(
            lambda: any(each.stat().st_size == 100_000 for each in uploads.iterdir()),
            what="the first half on the disk",
        )
        client.send(b"y" * 100_000)
        assert client.read().status == 202


def test_on_a_path_the_page_links_to_its_own_files(proxied):
    page = proxied.request("GET", "/repoman/", "tools.example.com", auth=None).text
    link = re.search(r'href="([^"]+\.css[^"]*)"', page)[1]
    assert link.startswith("/repoman/")
    assert proxied.request("GET", link, "tools.example.com", auth=None).status_code == 200


def test_the_log_names_the_client_that_nginx_saw(proxied):
    client = "203.0.113.7"
    proxied.request(
        "GET", "/v2/seen/tags/list", "registry.example.com", headers={"X-Forwarded-For": client}
    )
    # The client may invent what it likes: nginx appends whom it saw, and that is a known proxy
    # here, so that the next address counts.
    wait_until(lambda: f"{client} docker-hosted admin" in proxied.server.log)


def test_a_server_that_trusts_nobody_ignores_the_headers(shared_server):
    answer = requests.post(
        f"http://{shared_server.registry}/v2/x/blobs/uploads/",
        headers={"X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example.com"},
        auth=shared_server.admin,
        timeout=WAIT_S,
    )
    assert answer.headers["Location"].startswith("/v2/x/")
