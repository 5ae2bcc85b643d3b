"""Repositories made, changed and deleted on the command line while the server runs."""

import secrets
import socket

import pytest

from tests.e2e.registry import Registry
from tests.live import free_port, is_open, wait_until

SOON = 2.0  # seconds from the command to the connector


@pytest.fixture
def team(server):
    """The port of a second repository, made while the server runs."""
    port = free_port()
    server.cli("repo", "create", "docker-hosted", "team", "--set", f"docker.http_port={port}")
    wait_until(lambda: is_open(port), what="the new connector")
    return port


@pytest.mark.xdist_group("docker")
def test_docker_pushes_to_a_repository_made_while_the_server_runs(server, team, docker):
    image = f"127.0.0.1:{team}/app:1"
    docker.login(f"127.0.0.1:{team}", *server.admin)
    docker.import_image(image, secrets.token_bytes(1000))
    docker.run("push", image)
    docker.run("rmi", image)
    docker.run("pull", image)


def test_the_new_repository_is_listed(server, team):
    listed = server.cli("repo", "list").stdout
    assert "team" in listed
    assert str(team) in listed


def test_the_two_repositories_have_contents_of_their_own(server, team):
    first = Registry(f"http://{server.registry}", server.admin)
    second = Registry(f"http://127.0.0.1:{team}", server.admin)
    digest = first.push_image("app", "1", b"only here")
    assert second.request("GET", "/v2/app/tags/list").status_code == 404
    assert not second.has_blob("app", digest)


def test_delete_closes_the_connector(server, team):
    server.cli("repo", "delete", "team", "--yes")
    wait_until(lambda: not is_open(team), what="the end of the connector")
    assert is_open(server.connector_port)


def test_an_update_moves_the_connector(server, team):
    other = free_port()
    server.cli("repo", "set", "team", "--set", f"docker.http_port={other}")
    wait_until(lambda: is_open(other) and not is_open(team), what="the moved connector")


def test_the_new_connector_is_there_after_a_restart(server, team):
    server.restart()
    assert server.listeners["team"] == f"http://127.0.0.1:{team}/"


def test_a_port_of_another_repository_is_refused_with_its_name(server):
    setting = f"docker.http_port={server.connector_port}"
    done = server.cli("repo", "create", "docker-hosted", "team", "--set", setting, check=False)
    assert done.returncode != 0
    assert "docker-hosted" in done.stderr
    assert str(server.connector_port) in done.stderr
    assert "team" not in server.cli("repo", "list").stdout


def test_the_main_port_is_refused_for_a_connector(server):
    setting = f"docker.http_port={server.main_port}"
    done = server.cli("repo", "create", "docker-hosted", "team", "--set", setting, check=False)
    assert done.returncode != 0
    assert str(server.main_port) in done.stderr


def test_a_port_of_another_program_is_named_and_the_server_runs_on(server):
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        setting = f"docker.http_port={port}"
        done = server.cli("repo", "create", "docker-hosted", "team", "--set", setting, check=False)
    assert done.returncode != 0
    assert f"another program listens on port {port}" in done.stderr
    assert "team" not in server.cli("repo", "list").stdout
    assert is_open(server.connector_port)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("docker-hosted", "bad name"), "bad name"),
        (("no-such-recipe", "team"), "no-such-recipe"),
        (("docker-hosted", "team", "--set", "docker.http_port=99999"), "docker.http_port"),
        (("docker-hosted", "team", "--set", "docker.http_prot=5002"), "docker.http_prot"),
        (("docker-hosted", "docker-hosted"), "docker-hosted"),
    ],
)
def test_a_bad_repository_is_refused_with_a_reason(shared_server, words, named):
    done = shared_server.cli("repo", "create", *words, check=False)
    assert done.returncode not in (0, None)
    assert named in done.stderr
    assert "Traceback" not in done.stderr
