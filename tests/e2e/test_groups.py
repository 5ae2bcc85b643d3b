"""Groups by the docker command: own images and those of a remote, at one address."""

import json
import secrets
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.clock import WAIT_S
from tests.e2e.clients import Docker, own_daemon
from tests.live import LiveServer, free_port, is_open, live_server, wait_until

pytestmark = pytest.mark.xdist_group("docker")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    """A server with a repository of one's own, and a proxy of its other hosted repository."""
    with live_server(tmp_path_factory.mktemp("groups")) as server:
        server.cli("repo", "create", "docker-hosted", "own")
        server.cli(
            *("repo", "create", "docker-proxy", "remote", "--stdin", "http_client.password"),
            *("--set", f"proxy.remote_url=http://{server.registry}"),
            *("--set", "http_client.username=admin"),
            given=f"{server.password}\n",
        )
        yield server


@pytest.fixture
def make_group(server) -> Callable[..., str]:
    """Make a group of both and return its address; settings are ``section.key``."""

    def make(**settings: str) -> str:
        port = free_port()
        options = {
            "group.members": json.dumps(["own", "remote"]),
            "docker.http_port": str(port),
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
        words = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
        server.cli("repo", "create", "docker-group", f"group-{secrets.token_hex(4)}", *words)
        wait_until(lambda: is_open(port), what="the connector of the group")
        return f"127.0.0.1:{port}"

    return make


def push(docker: Docker, server: LiveServer, registry: str, name: str, *, check: bool = True):
    """Push an image of one small layer; nothing of it stays here."""
    image = f"{registry}/{name}:1"
    docker.import_image(image, secrets.token_bytes(10_000))
    docker.login(registry, *server.admin)
    ran = docker.run("push", image, check=check)
    docker.run("rmi", image)
    return ran


def test_a_push_to_the_group_lands_in_the_member_that_takes_it(server, docker, make_group):
    group = make_group(group__writable_member="own")
    push(docker, server, group, "acme/app")
    docker.run("pull", f"{group}/acme/app:1")
    docker.run("rmi", f"{group}/acme/app:1")
    url = f"{server.main_url}/repository/own/v2/acme/app/tags/list"
    assert requests.get(url, auth=server.admin, timeout=WAIT_S).json()["tags"] == ["1"]


def test_an_image_of_the_remote_is_pulled_through_the_group(server, docker, make_group):
    push(docker, server, server.registry, "there/app")
    group = make_group()
    docker.login(group, *server.admin)
    docker.run("pull", f"{group}/there/app:1")
    docker.run("rmi", f"{group}/there/app:1")


def test_a_push_to_a_group_that_takes_none_is_told_where_to_go(server, docker, make_group):
    ran = push(docker, server, make_group(), "acme/other", check=False)
    assert ran.status != 0
    assert "is a group that does not accept pushes. Push to own instead." in ran.text


def test_a_pinned_name_comes_from_nowhere_else(server, docker, make_group):
    push(docker, server, server.registry, "acme/pinned")
    group = make_group(group__pins=json.dumps({"acme/*": ["own"]}))
    docker.login(group, *server.admin)
    ran = docker.run("pull", f"{group}/acme/pinned:1", check=False)
    assert ran.status != 0
    assert "manifest unknown" in ran.text


def test_the_daemon_has_a_group_as_its_mirror_of_docker_hub(docker, tmp_path):
    options = {"security": {"anonymous_read": True}}
    with live_server(tmp_path / "mirror", settings=options) as server:
        server.cli("repo", "create", "docker-hosted", "own")
        server.cli(
            *("repo", "create", "docker-proxy", "hub", "--set", "docker_proxy.expand_library=true"),
            *("--set", f"proxy.remote_url=http://{server.registry}"),
        )
        port = free_port()
        server.cli(
            *("repo", "create", "docker-group", "all", "--set", f"docker.http_port={port}"),
            *("--set", 'group.members=["own", "hub"]'),
        )
        wait_until(lambda: is_open(port), what="the connector of the group")
        push(docker, server, server.registry, "library/hello")
        with own_daemon("--registry-mirror", f"http://127.0.0.1:{port}") as mirrored:
            other = Docker(mirrored, tmp_path)
            other.run("pull", "hello:1")
            assert other.has_image("hello:1")
