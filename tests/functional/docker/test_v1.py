"""The registry API version 1: its switch, ping, and the logins of old clients."""

import json
import secrets
from collections.abc import Iterator

import pytest

from repoman.testing import HttpClient
from tests.functional.docker.sites import InProcessSite


@pytest.fixture(scope="module")
def v1(in_process: InProcessSite) -> HttpClient:
    """The connector of a repository whose V1 API is on, where anybody may read."""
    return connector(in_process, v1_enabled=True, anonymous=True)


@pytest.fixture(scope="module")
def private(in_process: InProcessSite) -> HttpClient:
    """The same where a login is needed."""
    return connector(in_process, v1_enabled=True, anonymous=False)


@pytest.fixture(scope="module")
def switched_off(in_process: InProcessSite) -> HttpClient:
    """A repository as it is made."""
    return connector(in_process, v1_enabled=False, anonymous=False)


def connector(site: InProcessSite, *, v1_enabled: bool, anonymous: bool) -> HttpClient:
    name = f"v1-{secrets.token_hex(4)}"
    settings = {"docker": {"v1_enabled": v1_enabled}, "access": {"anonymous": anonymous}}
    site.repoman.repositories.create(name, "docker-hosted", settings)
    return HttpClient(site.repoman, connector=name)


@pytest.fixture(autouse=True)
def _leave(in_process: InProcessSite) -> Iterator[None]:
    yield
    in_process.leave()


ADDRESSES = [
    ("GET", "/v1/_ping"),
    ("GET", "/_ping"),
    ("GET", "/v1/search?q=a"),
    ("GET", "/v1/users/"),
    ("POST", "/v1/users/"),
    ("GET", "/v1/repositories/team/app/images"),
    ("PUT", "/v1/repositories/team/app/"),
    ("GET", "/v1/images/00/json"),
    ("DELETE", "/v1"),
    ("PATCH", "/v1/"),
]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize("login", [True, False])
def test_off_every_address_is_absent_and_says_which_switch(switched_off, method, path, login):
    answer = switched_off.request(method, path, login=login)
    assert answer.status_code == 404
    assert answer.content_type == "application/json"
    assert list(answer.json) == ["error"]
    assert "docker.v1_enabled" in answer.json["error"]
    assert "Enable Docker V1 API" in answer.json["error"]


def test_the_second_version_does_not_depend_on_the_switch(switched_off, private):
    for client in (switched_off, private):
        answer = client.get("/v2/")
        assert answer.status_code == 200
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("path", ["/v1/_ping", "/v1/_ping/", "/_ping"])
def test_ping_answers_everybody_in_the_words_that_engines_read(private, path):
    answer = private.get(path, login=False)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.headers["X-Docker-Registry-Version"] == "0.9.1"
    assert answer.headers["X-Docker-Registry-Standalone"] == "true"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.json == {"version": "0.9.1", "standalone": True}
    assert "X-Docker-Token" not in answer.headers
    assert "WWW-Authenticate" not in answer.headers


def test_ping_answers_even_to_a_wrong_password(private):
    assert private.get("/v1/_ping", auth=("admin", "wrong")).status_code == 200


def test_ping_is_found_below_the_main_port(in_process):
    client = HttpClient(in_process.repoman)
    for anonymous, status in ((True, 200), (False, 401)):
        name = f"v1-{secrets.token_hex(4)}"
        settings = {"docker": {"v1_enabled": True}, "access": {"anonymous": anonymous}}
        in_process.repoman.repositories.create(name, "docker-hosted", settings)
        path = f"/repository/{name}/v1/_ping"
        assert client.get(path).status_code == 200
        assert client.get(path, login=False).status_code == status, "it may be secret"
    assert client.get("/v1/_ping").status_code == 404


@pytest.mark.parametrize("path", ["/v1/users", "/v1/users/"])
def test_a_login_with_the_right_password_is_ok(private, path):
    answer = private.get(path)
    assert (answer.status_code, answer.json) == (200, "OK")


@pytest.mark.parametrize("client", ["v1", "private"])
@pytest.mark.parametrize("auth", [None, ("admin", "wrong"), ("", "")])
def test_any_other_login_is_refused(request, client, auth):
    answer = request.getfixturevalue(client).get("/v1/users/", auth=auth, login=False)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert all(isinstance(value, str) for value in answer.json.values())


def test_an_account_that_old_clients_would_make_is_there_already(private):
    body = json.dumps({"username": "joe", "password": "secret", "email": "joe@example.org"})
    answer = private.request("POST", "/v1/users/", login=False, data=body)
    assert answer.status_code == 400
    assert answer.data == b'"Username or email already exists"'


def test_accounts_are_not_changed_here(private):
    answer = private.put("/v1/users/admin/", b"{}")
    assert answer.status_code == 405
    assert "admin" in answer.json["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/_ping"),
        ("DELETE", "/v1/_ping"),
        ("POST", "/v1/search/"),
        ("PUT", "/v1/users"),
        ("PROPFIND", "/v1/search"),
    ],
)
def test_a_method_that_an_address_does_not_have_is_refused(v1, method, path):
    answer = v1.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"].startswith("GET, HEAD")
    assert answer.json == {"error": f"The method {method} is not allowed here."}


@pytest.mark.parametrize("path", ["/v1/_ping", "/v1/search?q=a", "/v1/users/"])
def test_head_has_no_body(v1, path):
    answer = v1.head(path)
    assert (answer.status_code, answer.data) == (200, b"")


def test_unknown_addresses_are_absent(v1):
    answer = v1.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.json == {"error": "/v1/nothing is not an address of the V1 API."}
    assert v1.get("/v1/").status_code == 404
    assert v1.get("/v10").json.keys() == {"errors"}, "not of this API"
