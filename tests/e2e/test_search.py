"""``docker search`` and ``podman search``: the real clients, against every type of repository."""

import json
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import Docker, Podman, Ran
from tests.fakes.index import fake_index
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import make_image
from tests.functional.docker.wires import Socket
from tests.live import LiveServer, free_port, is_open, live_server, wait_until

pytestmark = pytest.mark.xdist_group("docker")

QUICKLY = 10.0  # seconds for a whole command; a handshake that is not ended takes 30


@dataclass(frozen=True)
class SearchPlace:
    """A server with repositories to search, by the ports of their connectors."""

    server: LiveServer
    hosted: int
    hosted_https: int
    proxy: int
    proxy_https: int
    group: int
    group_https: int
    private: int
    off: int


def create(server: LiveServer, kind: str, port: int, **settings: object) -> str:
    name = f"{kind}-{secrets.token_hex(4)}"
    given = {"docker.v1_enabled": "true", "docker.http_port": port}
    given |= {key.replace("__", "."): value for key, value in settings.items()}
    words = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
    server.cli("repo", "create", f"docker-{kind}", name, *words)
    return name


def push(server: LiveServer, port: int, *names: str) -> None:
    wait_until(lambda: is_open(port), what="the connector")
    for name in names:
        Registry(Socket(port), "", server.admin).push(name, "1", make_image())


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[SearchPlace]:
    """Images in a hosted repository, in the index of a proxy, and in a group of both."""
    settings = {"security": {"anonymous_read": True}}
    directory = tmp_path_factory.mktemp("search")
    with live_server(directory, settings=settings) as server, fake_index() as index:
        index.add("nginx", description="The official\nweb server", star_count=900, is_official=True)
        index.add("team/nginx-exporter", description="Metrics", star_count=12)
        index.add("odd/e.f_g-h")
        ports = [free_port() for _ in range(8)]
        hosted, hosted_https, proxy, proxy_https, group, https, private, off = ports
        server.cli("cert", "create", "127.0.0.1")
        first = create(server, "hosted", hosted, docker__https_port=hosted_https)
        second = create(
            server,
            "proxy",
            proxy,
            docker__https_port=proxy_https,
            proxy__remote_url=index.url,
            docker_proxy__index_type="custom",
            docker_proxy__index_url=index.url,
        )
        members = {"group__members": json.dumps([first, second]), "docker__https_port": https}
        create(server, "group", group, **members)
        create(server, "hosted", private, access__anonymous="false")
        create(server, "hosted", off, docker__v1_enabled="false")
        push(server, hosted, "acme/nginx-proxy", "acme/a.b_c-d", *(f"many/i{n}" for n in range(30)))
        push(server, private, "secret/nginx")
        for port in ports:
            wait_until(lambda port=port: is_open(port), what="the connector")
        yield SearchPlace(server, *ports)


@pytest.fixture
def podman() -> Iterator[Podman]:
    """The podman command, logged in nowhere."""
    with tempfile.TemporaryDirectory(prefix="podman-") as directory:
        yield Podman(Path(directory))


def results(ran: Ran) -> list[dict[str, str]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def search(docker: Docker, port: int, term: str, *options: str) -> list[dict[str, str]]:
    """Search as people do, and be quick about it."""
    words = ("--no-trunc", "--format", "{{json .}}", *options)
    ran = docker.run("search", *words, f"127.0.0.1:{port}/{term}")
    assert ran.seconds < QUICKLY
    return results(ran)


def names(docker: Docker, port: int, term: str, *options: str) -> list[str]:
    return [each["Name"] for each in search(docker, port, term, *options)]


# --- docker --------------------------------------------------------------------------------------


def test_docker_searches_every_type_of_repository(place, docker):
    for port in (place.hosted, place.hosted_https):
        assert names(docker, port, "nginx") == ["acme/nginx-proxy"]
    for port in (place.proxy, place.proxy_https):
        assert names(docker, port, "nginx") == ["nginx", "team/nginx-exporter"]
    both = ["acme/nginx-proxy", "nginx", "team/nginx-exporter"]
    assert names(docker, place.group, "nginx") == both
    assert names(docker, place.group_https, "nginx") == both


def test_docker_shows_what_the_index_says(place, docker):
    found = {each["Name"]: each for each in search(docker, place.group, "nginx")}
    assert found["nginx"]["StarCount"] == "900"
    assert found["nginx"]["IsOfficial"] == "true"
    assert found["nginx"]["Description"] == "The official web server"
    assert found["acme/nginx-proxy"]["StarCount"] == "0"
    assert found["acme/nginx-proxy"]["IsOfficial"] == "false"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("is-official=true", ["nginx"]),
        ("is-official=false", ["acme/nginx-proxy", "team/nginx-exporter"]),
        ("stars=3", ["nginx", "team/nginx-exporter"]),
        ("stars=100", ["nginx"]),
    ],
)
def test_docker_filters(place, docker, condition, expected):
    assert names(docker, place.group, "nginx", "--filter", condition) == expected


@pytest.mark.parametrize(("limit", "count"), [(None, 25), (1, 1), (7, 7), (100, 30)])
def test_docker_limits(place, docker, limit, count):
    options = () if limit is None else ("--limit", str(limit))
    found = names(docker, place.hosted, "many/i", *options)
    assert len(found) == len(set(found)) == count


@pytest.mark.parametrize("term", ["a.b_c-d", "B_C", ".b_", "acme/a", "/a.b", "ac", "_c"])
@pytest.mark.parametrize("where", ["hosted", "hosted_https", "group", "group_https"])
def test_docker_finds_special_characters(place, docker, where, term):
    assert "acme/a.b_c-d" in names(docker, getattr(place, where), term)


@pytest.mark.parametrize("term", ["e.f_g-h", ".f_", "odd/e", "/e.f"])
@pytest.mark.parametrize("where", ["proxy", "proxy_https", "group"])
def test_docker_finds_special_characters_in_an_index(place, docker, where, term):
    assert "odd/e.f_g-h" in names(docker, getattr(place, where), term)


@pytest.mark.parametrize(
    "term", ["%", "*", "a%b", "'", '"', "é", "nginx b", "a&n=1", "a?b", "#", "+", "\\"]
)
@pytest.mark.parametrize("where", ["hosted", "hosted_https", "proxy", "group"])
def test_docker_finds_nothing_by_characters_that_no_name_has(place, docker, where, term):
    assert names(docker, getattr(place, where), term) == []


def test_docker_lists_all_without_a_term(place, docker):
    assert len(names(docker, place.hosted, "", "--limit", "100")) == 32


def test_docker_searches_where_a_login_is_needed(place, docker):
    registry = f"127.0.0.1:{place.private}"
    refused = docker.run("search", f"{registry}/nginx", check=False)
    assert refused.status != 0
    assert "401" in refused.text or "login" in refused.text
    assert "secret/nginx" not in refused.text
    docker.login(registry, *place.server.admin)
    assert names(docker, place.private, "nginx") == ["secret/nginx"]
    docker.run("logout", registry)
    assert docker.run("search", f"{registry}/nginx", check=False).status != 0


def test_docker_searches_logged_in_where_anybody_may(place, docker):
    ports = {place.group: 3, place.group_https: 3, place.proxy: 2, place.proxy_https: 2}
    for port, count in ports.items():
        docker.login(f"127.0.0.1:{port}", *place.server.admin)
        assert len(names(docker, port, "nginx")) == count


def test_docker_is_refused_where_the_api_is_off(place, docker):
    ran = docker.run("search", f"127.0.0.1:{place.off}/nginx", check=False)
    assert ran.status != 0
    assert "404" in ran.text


def test_a_handshake_on_an_http_connector_costs_nothing(place, docker):
    # The daemon tries TLS first, and waits for the end of that before it tries HTTP.
    ran = docker.run("search", f"127.0.0.1:{place.hosted}/nginx")
    assert ran.seconds < QUICKLY
    assert "Traceback" not in place.server.log


# --- podman --------------------------------------------------------------------------------------


def test_podman_searches_what_anybody_may_see(place, podman):
    found = {each["Name"].partition("/")[2]: each for each in podman.search(place.group, "nginx")}
    assert list(found) == ["acme/nginx-proxy", "nginx", "team/nginx-exporter"]
    assert found["nginx"]["Stars"] == 900
    assert found["nginx"]["Official"] == "[OK]"
    assert [each["Name"] for each in podman.search(place.hosted, "many", "--limit", "5")] != []


def test_podman_searches_a_proxy(place, podman):
    found = {each["Name"].partition("/")[2]: each for each in podman.search(place.proxy, "nginx")}
    assert list(found) == ["nginx", "team/nginx-exporter"]
    assert found["team/nginx-exporter"]["Stars"] == 12
    assert "official" in found["nginx"]["Description"]


def test_podman_falls_back_to_the_catalog_where_a_login_is_needed(place, podman):
    podman.login(f"127.0.0.1:{place.private}", *place.server.admin)
    [found] = podman.search(place.private, "nginx")
    assert found["Name"] == f"127.0.0.1:{place.private}/secret/nginx"
