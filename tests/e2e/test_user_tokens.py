"""User tokens and robots as they are made on the command line, and as docker meets them."""

import json
import secrets
from collections.abc import Callable

import pytest
import requests

from tests.clock import WAIT_S
from tests.e2e.clients import Docker
from tests.live import LiveServer, wait_until

pytestmark = pytest.mark.xdist_group("docker")


@pytest.fixture
def server(shared_server) -> LiveServer:
    return shared_server


@pytest.fixture
def make_robot(server) -> Callable[..., str]:
    """Make a robot that may do everything with content, and return its name."""

    def make() -> str:
        name = f"robot-{secrets.token_hex(4)}"
        server.cli("user", "create", name, "--robot", "--role", "nx-developer")
        return name

    return make


def make_token(server: LiveServer, user: str, *options: str) -> str:
    """Make a token called ci, and return its secret: all that is on standard output."""
    return server.cli("token", "create", user, "ci", *options).stdout.removesuffix("\n")


def login_status(server: LiveServer, *login: str) -> int:
    url = f"http://{server.registry}/v2/"
    return requests.get(url, auth=login, timeout=WAIT_S).status_code


def new_image(server: LiveServer, docker: Docker, name: str) -> str:
    image = f"{server.registry}/{name}-{secrets.token_hex(4)}:1"
    docker.import_image(image, secrets.token_bytes(1000))
    return image


def test_a_robot_pushes_and_pulls_by_its_token(server, docker, make_robot):
    robot = make_robot()
    assert docker.login(server.registry, robot, "", check=False).status != 0
    docker.login(server.registry, robot, make_token(server, robot))
    image = new_image(server, docker, "team/app")
    docker.run("push", image)
    docker.run("rmi", image)
    docker.run("pull", image)


def test_a_token_is_for_what_it_was_made_for(server, docker, make_robot):
    robot = make_robot()
    docker.login(server.registry, robot, make_token(server, robot, "--name", "team/*"))
    image = new_image(server, docker, "team/app")
    docker.run("push", image)
    other = new_image(server, docker, "other/app")
    ran = docker.run("push", other, check=False)
    assert ran.status != 0
    assert "denied" in ran.text
    secret = server.cli("token", "create", robot, "reader", "--read-only").stdout.strip()
    docker.login(server.registry, robot, secret)
    docker.run("rmi", image)
    docker.run("pull", image)
    docker.import_image(image, b"another")
    ran = docker.run("push", image, check=False)
    assert ran.status != 0
    assert "denied" in ran.text


def test_a_token_for_another_repository_is_of_no_use_here(server, docker, make_robot):
    robot = make_robot()
    secret = make_token(server, robot, "--repository", "elsewhere-*")
    ran = docker.login(server.registry, robot, secret, check=False)
    assert ran.status != 0
    assert "403 Forbidden" in ran.text
    secret = server.cli("token", "create", robot, "here", "--repository", "docker-*").stdout
    docker.login(server.registry, robot, secret.removesuffix("\n"))


@pytest.mark.parametrize(
    "words",
    ["token revoke USER ci", "user set USER --disable", "user delete USER --yes"],
)
def test_what_ends_a_token_ends_it_beside_a_running_server(server, docker, make_robot, words):
    robot = make_robot()
    secret = make_token(server, robot)
    docker.login(server.registry, robot, secret)
    image = new_image(server, docker, "team/app")
    docker.run("push", image)
    server.cli(*words.replace("USER", robot).split())
    wait_until(lambda: login_status(server, robot, secret) == 401, what="the end of the token")
    ran = docker.login(server.registry, robot, secret, check=False)
    assert ran.status != 0
    assert "401 Unauthorized" in ran.text
    assert docker.run("push", image, check=False).status != 0


def test_a_robot_that_is_given_a_password_is_a_user(server, make_robot):
    robot = make_robot()
    secret = make_token(server, robot)

    def kind() -> str:
        lines = server.cli("user", "list").stdout.splitlines()
        return next(line.split()[1] for line in lines if line.startswith(robot))

    assert kind() == "robot"
    server.cli("user", "password", robot, "--password-stdin", given="a password\n")
    assert kind() == "local"
    wait_until(lambda: login_status(server, robot, "a password") == 200, what="the password")
    assert login_status(server, robot, secret) == 200


def test_the_last_use_is_listed(server, make_robot):
    robot = make_robot()
    secret = make_token(
        server,
        robot,
        *("--repository", "docker-*", "--name", "team/*", "--action", "read", "--days", "30"),
    )
    [line] = server.cli("token", "list", robot).stdout.splitlines()
    assert "never used" in line
    assert "repositories docker-*; names team/*; actions read" in line
    assert login_status(server, robot, secret) == 200

    def used() -> dict[str, object]:
        [token] = json.loads(server.cli("token", "list", robot, "--json").stdout)
        return token if token["last_used_at"] else {}

    token = wait_until(used, what="the time of the last use")
    assert token["expires_at"] - token["created_at"] == pytest.approx(30 * 86_400)
    assert token["limit"] == {
        "repositories": ["docker-*"],
        "names": ["team/*"],
        "actions": ["read"],
    }
    assert secret not in json.dumps(token)
    assert "digest" not in token


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("user create a --robot --password-stdin", "A robot has no password"),
        ("token create nobody ci", "There is no user 'nobody'."),
        ("token create admin ci --days 0", "must be 1 to 36500"),
        ("token revoke admin none", "admin has no token 'none'."),
        ("token list nobody", "There is no user 'nobody'."),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(server, words, text):
    ran = server.cli(*words.split(), check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: ")
    assert text in ran.stderr
