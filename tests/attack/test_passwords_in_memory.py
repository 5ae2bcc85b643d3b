"""Nobody who can read the memory of the process finds passwords of clients who are gone."""

import gc
import http.client
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from repoman.security.actors import Credentials
from repoman.testing import ADMIN, HttpClient
from repoman_docker import plugin
from tests.live import live_server, wait_until

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"security": {"login_failures": 0, "password_cost": 8192}}
    with live_server(tmp_path_factory.mktemp("memory"), settings=settings) as server:
        yield server


@pytest.fixture
def ask(server):
    """Send one request by a connection of its own, and return the answer with its body."""

    def ask(method, path, login=None, body=b"", headers=(), port=0, times=1):
        fields = dict(headers)
        if login:
            fields["Authorization"] = "Basic " + encoded(login)
        connection = http.client.HTTPConnection("127.0.0.1", port or server.connector_port)
        with closing(connection):
            for _ in range(times):
                connection.request(method, path, body, fields)
                answer = connection.getresponse()
                answer.told = answer.read()
        return answer

    return ask


def encoded(login: tuple[str, str]) -> str:
    return b64encode(":".join(login).encode()).decode()


def count(pid: int, texts: list[bytes]) -> int:
    """Return how often texts are found in what a process may write to."""
    found = 0
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, rights = line.split()[:2]
            begin, end = (int(each, 16) for each in area.split("-"))
            if "rw" in rights:
                try:
                    memory.seek(begin)
                    data = memory.read(end - begin)
                except (OSError, ValueError):  # the kernel's own
                    continue
                found += sum(map(data.count, texts))
    return found


def poll(ask, login, status=200):
    """As a client that looks again and again whether there is something new."""
    assert ask("GET", "/v2/", login, times=20 if status == 200 else 2).status == status


def get_token(ask, login, status=200):
    assert ask("GET", "/v2/token?service=docker-hosted", login).status == status


def post_token(ask, login, status=200):
    form = urlencode({"grant_type": "password", "username": login[0], "password": login[1]})
    assert ask("POST", "/v2/token", body=form.encode(), headers=FORM).status == status


def guess(ask, login):
    """As somebody who has mistyped the password."""
    assert ask("GET", "/v2/", (login[0], f"{login[1]}-wrong"), times=5).status == 401


def forget_the_scheme(ask, login):
    headers = {"Authorization": f"Basis {encoded(login)}"}
    assert ask("GET", "/v2/", headers=headers, times=5).status == 401


@pytest.mark.parametrize("way", [poll, get_token, post_token, guess, forget_the_scheme])
def test_no_password_stays(server, ask, way):
    name = way.__name__.replace("_", "-")
    login = (name, f"secret-of-{name}-0123456789")
    server.cli("user", "create", name, "--role", "nx-developer", "--password-stdin", given=login[1])
    wait_until(lambda: ask("GET", "/v2/", login).status == 200)
    way(ask, login)
    # base64 of name and password without its end, which depends on what follows
    texts = [login[1].encode(), encoded(login)[:-4].encode(), encoded(login)[8:-4].encode()]

    def is_forgotten() -> bool:
        # What is freed is not wiped: others, whose requests have the same size, take its room.
        other = ("x" * len(name), "x" * len(login[1]))
        for _ in range(2):
            for each in (poll, get_token, post_token):
                each(ask, other, 401)
            guess(ask, other)
            forget_the_scheme(ask, other)
        return count(server.process.pid, texts) == 0

    wait_until(is_forgotten, "an end of all copies of the password")


@pytest.mark.parametrize(
    ("connector", "path"),
    [
        ("images", "/v2/"),
        ("images", "/v2/token"),
        ("images", "/v1/users/"),
        ("", "/"),
        ("", "/nowhere"),
        ("", "/repository/images/v2/"),
        ("", "/repository/never-made/v2/"),
    ],
)
@pytest.mark.parametrize("password", [ADMIN[1], "a wrong one"])
def test_nothing_holds_on_to_a_login_once_it_is_answered(module_factory, connector, path, password):
    """An error that is part of a cycle would, with all that was at hand when it was raised."""
    repoman = module_factory({"docker": plugin}, security={"login_failures": 0})
    if repoman.repositories.find("images") is None:
        repoman.repositories.create("images", "docker-hosted", {"docker": {"v1_enabled": True}})
    client = HttpClient(repoman, connector=connector or None)
    gc.collect()
    gc.disable()
    try:
        assert client.get(path, auth=(ADMIN[0], password)).status_code in (200, 401, 404)
        assert [each for each in gc.get_objects() if isinstance(each, Credentials)] == []
    finally:
        gc.enable()
