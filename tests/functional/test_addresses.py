"""The addresses that clients are told: made of the Host they sent, or of the external address."""

import re
import socket

import pytest

from repoman.errors import Invalid
from repoman.testing import ADMIN, HttpClient
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.clock import WAIT_S
from tests.live import free_port

REALM = re.compile(r'Bearer realm="([^"]*)",service="[^"]*"')
PLUGINS = {"docker": docker, "raw": raw, "web": web}
OPEN = {"access": {"anonymous": True}}
# A Host, and what an address made of it has.
HOSTS = {
    "registry.example.com:5000": "registry.example.com:5000",
    "my_registry:5000": "my_registry:5000",
    "_dmarc.example.com": "_dmarc.example.com",
    "MY-Registry:5000": "MY-Registry:5000",
    "registry.example.com.:5000": "registry.example.com.:5000",
    "registry.example.com:": "registry.example.com",
    "registry.example.com:80": "registry.example.com",
    "xn--bcher-kva.example:5000": "xn--bcher-kva.example:5000",
    "127.0.0.1:5000": "127.0.0.1:5000",
    f"{'a' * 63}:5000": f"{'a' * 63}:5000",
    "[::1]:5000": "[::1]:5000",
    "[2001:DB8::1]": "[2001:DB8::1]",
}
NO_HOSTS = (
    *(":5000", "[]", "[::1", "[::1]5000", "[fe80::1%25eth0]:5000", "...", "_", "-"),
    *("a b", "a/b", "a\\b", 'a"b', "a@b", "user:pw@a", "a?b", "a#b", "a,b", "a%20b", "b\xfccher"),
    *("a:b", "a:0", "a:65536", "a:-1", "a:5000:5000", "::1", "a..b", ".a", "a.."),
    *("[:]", "[1.2:3]", "[1.2.3.4]", f"{'a' * 64}.b", "b." * 200 + "b"),
)


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory(PLUGINS)
    repoman.repositories.create("images", "docker-hosted", OPEN)
    return repoman


def realm(repoman, host=None, *, mounted=False):
    client = HttpClient(repoman, connector=None if mounted else "images")
    path = "/repository/images/v2/" if mounted else "/v2/"
    answer = client.get(path, login=False, headers={"Host": host} if host else {})
    found = REALM.fullmatch(answer.headers.get("WWW-Authenticate", ""))
    return found[1] if found else answer.status_code


@pytest.mark.parametrize(("host", "told"), HOSTS.items())
def test_a_host_of_any_kind_is_in_the_realm(repoman, host, told):
    assert realm(repoman, host) == f"http://{told}/v2/token"
    assert realm(repoman, host, mounted=True) == f"http://{told}/repository/images/v2/token"


@pytest.mark.parametrize("path", ["/v2/", "/v2/team/app/manifests/1"])
def test_without_a_host_the_address_of_the_socket_counts(shared_server, path):
    port = shared_server.connector_port
    head = f"GET {path} HTTP/1.0\r\nAuthorization: Bearer nothing\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()
    assert answer.startswith("HTTP/1.0 401")
    assert REALM.search(answer)[1] == f"http://127.0.0.1:{port}/v2/token"


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_refused(repoman, host):
    assert realm(repoman, host) == 400
    for accept in ("text/html", "*/*"):
        headers = {"Host": host, "Accept": accept}
        assert HttpClient(repoman).get("/", headers=headers).status_code == 400
    assert realm(repoman, host, mounted=True) == 400


@pytest.mark.parametrize("host", HOSTS)
def test_one_can_sign_in_under_any_host(repoman, host):
    client = HttpClient(repoman)
    headers = {"Host": host}
    page = client.get("/login", headers=headers, login=False)
    mark = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    form = {"name": ADMIN[0], "password": ADMIN[1], "csrf_token": mark[1]}
    cookies = "; ".join(each.split(";")[0] for each in page.headers.getlist("Set-Cookie"))
    origin = {"Origin": f"http://{HOSTS[host]}", "Cookie": cookies}
    options = {"login": False, "data": form}
    entered = client.request("POST", "/login", headers={**headers, **origin}, **options)
    assert entered.status_code == 303
    strange = {**origin, "Origin": "http://elsewhere.example"}
    refused = client.request("POST", "/login", headers={**headers, **strange}, **options)
    assert refused.status_code == 403


# --- The external address -----------------------------------------------------------------------

SERVER = "https://repoman.example.com/tools"
REGISTRY = "https://registry.example.com"


@pytest.fixture
def external(repoman_factory):
    repoman = repoman_factory(PLUGINS, server={"external_url": SERVER + "/"})
    settings = {**OPEN, "docker": {"external_url": REGISTRY, "http_port": free_port()}}
    repoman.repositories.create("images", "docker-hosted", settings)
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


def test_the_realm_is_at_the_external_address(external):
    assert realm(external, "10.0.0.5:5000") == f"{REGISTRY}/v2/token"
    assert realm(external, mounted=True) == f"{SERVER}/repository/images/v2/token"


def test_links_are_below_the_external_address(external):
    upload = "/v2/team/app/blobs/uploads/"
    begun = HttpClient(external, connector="images").request("POST", upload)
    assert begun.headers["Location"].startswith(f"{upload}")
    begun = HttpClient(external).request("POST", "/repository/images" + upload)
    assert begun.headers["Location"].startswith(f"/tools/repository/images{upload}")


def test_the_pages_tell_the_external_addresses(external):
    client = HttpClient(external)
    images, files = client.get("/browse/images").text, client.get("/browse/files").text
    assert "docker push registry.example.com/" in images
    assert f"{SERVER}/repository/files" in files
    assert "localhost" not in images + files


def test_an_external_address_without_a_connector_is_shown_to_nobody(external):
    external.repositories.update("images", {"docker": {"http_port": None}})
    page = HttpClient(external).get("/").text
    assert "images" in page
    assert "registry.example.com" not in page


def test_a_browser_may_write_by_the_address_that_it_came_by(external):
    client = HttpClient(external)
    for origin, status in (
        ("http://10.0.0.5:8081", 201),
        ("https://repoman.example.com", 201),
        ("https://elsewhere.example", 403),
    ):
        headers = {"Host": "10.0.0.5:8081", "Origin": origin}
        path = f"/repository/files/{status}-{len(origin)}"
        assert client.put(path, b"hello", headers=headers).status_code == status


@pytest.mark.parametrize("url", [SERVER, "http://repoman.example.com:80"])
def test_one_can_sign_in_behind_a_proxy_that_does_not_pass_on_the_host(repoman_factory, url):
    client = HttpClient(repoman_factory(PLUGINS, server={"external_url": url}))
    headers = {"Host": "10.0.0.5:8081"}
    page = client.get("/login", headers=headers, login=False)
    mark = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    form = {"name": ADMIN[0], "password": ADMIN[1], "csrf_token": mark[1]}
    headers["Cookie"] = "; ".join(e.split(";")[0] for e in page.headers.getlist("Set-Cookie"))
    scheme = url.partition(":")[0]
    for origin, status in (
        (f"{scheme}://elsewhere.example", 403),
        (f"{scheme}://repoman.example.com.elsewhere.example", 403),
        (f"{scheme}://repoman.example.com", 303),
    ):
        options = {"headers": {**headers, "Origin": origin}, "login": False, "data": form}
        assert client.request("POST", "/login", **options).status_code == status


def test_a_setting_that_is_taken_back_has_no_effect(external):
    external.repositories.update("images", {"docker": {"external_url": ""}})
    assert realm(external, "10.0.0.5:5000") == "http://10.0.0.5:5000/v2/token"
    page = HttpClient(external).get("/").text
    assert "registry.example.com" not in page


@pytest.mark.parametrize(
    "url",
    [
        *("registry.example.com", "ftp://registry.example.com", "https://", "https://user@a"),
        *("https://a?b", "https://a#b", "https://a?", "https://a b", 'https://a/"', "https://a:0"),
        *("https://[", "https://[:]", "https://a..b"),
    ],
)
def test_an_external_address_that_is_none_is_refused(repoman, url):
    with pytest.raises(Invalid, match=r"^docker\.external_url: must "):
        repoman.repositories.update("images", {"docker": {"external_url": url}})


def test_https_is_preferred_in_hints(repoman_factory):
    repoman = repoman_factory(PLUGINS)
    ports = {"http_port": 25_001, "https_port": 25_443}
    repoman.repositories.create("images", "docker-hosted", {"docker": ports})
    page = HttpClient(repoman).get("/browse/images", headers={"Host": "my_host:8081"}).text
    assert "docker push my_host:25443/" in page


# --- A registry client at the main port ---------------------------------------------------------


def test_a_registry_client_at_the_main_port_is_told_where_the_connectors_are(repoman):
    repoman.repositories.update("images", {"docker": {"http_port": 25_002}})
    client = HttpClient(repoman)
    headers = {"Host": "registry.example.com:8081"}
    ping = client.get("/v2/", login=False, headers=headers)
    assert ping.status_code == 401
    at = REALM.fullmatch(ping.headers["WWW-Authenticate"])[1]
    assert at == "http://registry.example.com:8081/v2/token"
    told = client.get("/v2/token?service=x&account=admin", headers=headers)
    [error] = told.json["errors"]
    assert (told.status_code, error["code"]) == (403, "DENIED")
    assert "images at registry.example.com:25002" in error["message"]
    assert client.get("/v2/team/app/manifests/1", login=False).status_code == 401
    wrong = client.get("/v2/token", auth=("admin", "wrong"), login=False)
    assert wrong.status_code == 401


def test_a_registry_client_stays_at_the_external_address_of_the_main_port(external):
    """A proxy may do TLS and not say so: what is sent to plain HTTP then does not arrive."""
    ping = HttpClient(external).get("/v2/", login=False, headers={"Host": "10.0.0.5:8081"})
    assert REALM.fullmatch(ping.headers["WWW-Authenticate"])[1] == f"{SERVER}/v2/token"


def test_whoever_may_know_no_repository_is_told_none(repoman_factory):
    repoman = repoman_factory(PLUGINS)
    repoman.repositories.create("images", "docker-hosted", {"docker": {"http_port": 25_003}})
    [error] = HttpClient(repoman).get("/v2/token", login=False).json["errors"]
    assert "images at" not in error["message"]
    assert "Ask the administrator" in error["message"]
