"""A server process with a Docker repository, one of plain files, and pages; how to attack it."""

from collections.abc import Callable, Iterator

import pytest

from repoman.testing import RepomanFactory
from tests.attack.raw import Answer, request, send
from tests.live import LiveServer, live_server, wait_until

Attack = Callable[..., Answer]


@pytest.fixture(scope="package")
def victim(tmp_path_factory) -> Iterator[LiveServer]:
    """A server that nobody shares with other tests."""
    with live_server(tmp_path_factory.mktemp("victim")) as server:
        server.cli("repo", "create", "raw-hosted", "files")
        server.cli("repo", "create", "docker-hosted", "other")
        server.cli(
            "user",
            "create",
            "eve",
            "--role",
            "nx-developer",
            "--password-stdin",
            given="password of eve\n",
        )
        add_proxy_and_group(server)
        attack = request("GET", "/repository/other/v2/", login=server.admin)
        wait_until(lambda: send(server.main_port, attack).status == 200)
        grouped = request("GET", "/repository/all/v2/", login=server.admin)
        wait_until(lambda: send(server.main_port, grouped).status == 200)
        yield server


def add_proxy_and_group(server: LiveServer) -> None:
    """Have a proxy of the server's own registry and a group of both, for both versions."""
    name, password = server.admin
    both = ("--set", "docker.v1_enabled=true")
    server.cli("repo", "set", "docker-hosted", *both)
    server.cli(
        *("repo", "create", "docker-proxy", "mirror", *both),
        *("--set", f"proxy.remote_url=http://{server.registry}"),
        *("--set", f"http_client.username={name}", "--stdin", "http_client.password"),
        given=password,
    )
    members = '["docker-hosted", "mirror"]'
    server.cli("repo", "create", "docker-group", "all", "--set", f"group.members={members}", *both)


@pytest.fixture(scope="module")
def module_factory(tmp_path_factory) -> Iterator[RepomanFactory]:
    """Start a Repoman in process, for all tests of a module."""
    factory = RepomanFactory(tmp_path_factory.mktemp("in-process"))
    yield factory
    factory.stop()


@pytest.fixture
def attack(victim) -> Iterator[Attack]:
    """Send a request to the main port as admin; the server must neither fail nor log a failure."""
    seen = len(victim.log)

    def run(method: str, target: str, *fields: str, port: int = 0, **options: object) -> Answer:
        options.setdefault("login", victim.admin)
        answer = send(port or victim.main_port, request(method, target, *fields, **options))
        assert answer.status < 500, (target, answer.raw[:500])
        return answer

    yield run
    assert "Traceback" not in victim.log[seen:]
