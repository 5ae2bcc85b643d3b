"""Whoever has no account learns of nobody who has one."""

import re
from base64 import b64encode

import pytest
from werkzeug.test import Client

from repoman.http.current import CONNECTOR
from repoman.repositories.model import connector_key
from repoman.security.user_records import Status
from repoman.testing.client import application_of
from repoman_docker import plugin as docker
from repoman_web import plugin as web

MARK = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
ASKED = (
    ("GET", "/v2/", "images"),
    ("GET", "/v2/token?scope=repository:app:pull", "images"),
    ("GET", "/v1/users/", "images"),
    ("PUT", "/v2/app/manifests/1", "images"),
    ("GET", "/repository/images/v2/", ""),
    ("GET", "/repository/nowhere/v2/", ""),
    ("GET", "/api/v1/audit", ""),
    ("GET", "/account", ""),
)


@pytest.fixture(scope="module")
def repoman(module_factory):
    repoman = module_factory({"docker": docker, "web": web}, security={"login_failures": 0})
    repoman.repositories.create("images", "docker-hosted", {"docker": {"v1_enabled": True}})
    users = repoman.users
    users.create("somebody", "a password")
    users.create("disabled", "a password")
    users.change("disabled", status=Status.DISABLED)
    users.create("robot", None)
    return repoman


@pytest.fixture(scope="module")
def client(repoman):
    return Client(application_of(repoman))


def told(answer, name):
    """Return all that an answer tells, without what is of the moment or was sent."""
    left_out = ("Date", "Set-Cookie", "Content-Length")
    headers = sorted((key, value) for key, value in answer.headers if key not in left_out)
    text = MARK.sub("", answer.get_data(as_text=True))
    return str((answer.status, headers, text)).replace(name, "NAME")


@pytest.mark.parametrize("name", ["somebody", "disabled", "robot", "anonymous"])
@pytest.mark.parametrize(("method", "path", "connector"), ASKED)
def test_a_wrong_password_is_answered_as_for_nobody(client, method, path, connector, name):
    def ask(name):
        login = b64encode(f"{name}:guess".encode()).decode()
        environ = {"REMOTE_ADDR": "10.0.0.9"}
        if connector:
            environ[CONNECTOR] = connector_key(connector, "http")
        answer = client.open(
            path,
            method=method,
            headers={"Authorization": f"Basic {login}"},
            environ_overrides=environ,
        )
        assert answer.status_code in (303, 401)
        return told(answer, name)

    assert ask(name) == ask("nobody-at-all")


@pytest.mark.parametrize("name", ["somebody", "disabled", "robot"])
def test_the_login_page_tells_nothing_either(client, name):
    def enter(name):
        mark = MARK.search(client.get("/login").text)[1]
        answer = client.post("/login", data={"csrf_token": mark, "name": name, "password": "guess"})
        assert answer.status_code == 403
        return told(answer, name)

    assert enter(name) == enter("nobody-x")


def test_the_right_password_of_a_disabled_user_is_wrong(client):
    login = b64encode(b"disabled:a password").decode()
    environ = {"REMOTE_ADDR": "10.0.0.9", CONNECTOR: connector_key("images", "http")}
    headers = {"Authorization": f"Basic {login}"}
    answer = client.get("/v2/", headers=headers, environ_overrides=environ)
    assert answer.status_code == 401
