"""Whatever fails, a visitor without a right cannot tell a repository from one that is not there."""

import re
from base64 import b64encode
from itertools import cycle

import pytest
from werkzeug.test import Client

from repoman.errors import Unavailable
from repoman.plugin import hookimpl
from repoman.testing import ADMIN
from repoman.testing.client import application_of
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from repoman_web import plugin as web

V1 = {"docker": {"v1_enabled": True}}
BASIC = {"docker": {"force_basic_auth": True}}
EXISTING = {
    "images-one": ("docker-hosted", {}),
    "images-two": ("docker-hosted", V1),
    "images-six": ("docker-hosted", BASIC),
    "images-off": ("docker-hosted", V1),
    "images-all": ("docker-group", {**V1, "group": {"members": ["images-one"]}}),
    "images-hub": ("docker-proxy", {"proxy": {"remote_url": "http://127.0.0.1:9"}}),
    "files-ones": ("raw-hosted", {}),
    "files-offs": ("raw-hosted", {}),
}
OFFLINE = ("images-off", "files-offs")
ABSENT = "never-made"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
METHODS = ("GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO")
PATHS = (
    "",
    "/",
    "//",
    "/x.txt",
    "/v2",
    "/v2/",
    "/v2/token",
    "/v2/token?scope=repository:a/b:pull&service=x",
    "/v2/_catalog",
    "/v2/a/b/tags/list",
    "/v2/a/b/manifests/1",
    "/v2/a/b/blobs/uploads/?digest=sha256:1",
    "/v2/A/blobs/x",
    "/v2/" + "a" * 3000,
    "/v1",
    "/v1/_ping",
    "/_ping",
    "/v1/users/",
    "/v1/search?q=x",
    "/v1/repositories/a/images",
    "/v1/images/abc/layer",
    "/%ff%00/../x",
)
BODIES = (b"", b"x", b"{}", b"grant_type=refresh_token", b"x" * 70_000)


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(text.encode()).decode()}


HEADERS = {
    "nobody": {},
    "empty login": basic(":"),
    "wrong password": basic("eve:guess"),
    "no right": basic("eve:right password"),
    "no right, with a form": {**basic("eve:right password"), **FORM},
    "a form": FORM,
    "json": {"Content-Type": "application/json"},
    "another site": {"Origin": "http://evil.example"},
    "another site, with a login": {**basic("eve:right password"), "Sec-Fetch-Site": "cross-site"},
    "an origin that is none": {"Origin": "http://["},
    "bytes": {"Authorization": "Basic \xff"},
    "no base64": {"Authorization": "Basic !!!"},
    "no colon": {"Authorization": "Basic YQ=="},
    "another scheme": {"Authorization": "Digest x=1"},
    "no token": {"Authorization": "Bearer"},
    "a forged token": {"Authorization": "Bearer x.y.z"},
    "a forged token of version 1": {
        "Authorization": 'Token signature=x,repository="a",access=read'
    },
    "a realm that is silent": basic("down:x"),
    "a realm that fails": basic("bug:x"),
    "a browser": {"Accept": "text/html"},
}
FAILING = ("a realm that is silent", "a realm that fails")


class Outside:
    """A realm with two bad days."""

    @hookimpl
    def repoman_authenticate(self, credentials):
        if credentials.name == "down":
            raise Unavailable("The directory is down.")
        if credentials.name == "bug":
            raise ValueError("a bug in a plugin")


@pytest.fixture(scope="module")
def repoman(module_factory):
    plugins = {"docker": docker, "raw": raw, "web": web, "outside": Outside()}
    repoman = module_factory(plugins, security={"login_failures": 3, "login_wait": 900})
    for name, (recipe, settings) in EXISTING.items():
        repoman.repositories.create(name, recipe, settings)
    for name in OFFLINE:
        repoman.repositories.update(name, {}, is_online=False)
    repoman.users.create("eve", "right password")
    repoman.users.create("zoe", "right password")
    return repoman


@pytest.fixture(scope="module")
def client(repoman):
    return Client(application_of(repoman))


@pytest.fixture
def patience(repoman, monkeypatch):
    """Nobody is slowed down, however often they guess."""
    monkeypatch.setattr(repoman.security.authenticator._lockout, "_allowed", 0)


def told(client, name, method, path, headers, body):
    """Return all that an answer tells, with the name of the repository left out."""
    answer = client.open(
        f"/repository/{name}{path}",
        method=method,
        headers=headers,
        data=body,
        environ_overrides={"REMOTE_ADDR": "10.0.0.9"},
    )
    left_out = ("Date", "Content-Length")
    told = sorted((key, value) for key, value in answer.headers if key not in left_out)
    text = f"{answer.status_code} {told} {answer.get_data(as_text=True)}"
    return re.sub(r"Retry-After', '\d+|in \d+ s\b", "SOON", text.replace(name, "NAME"))


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("visitor", HEADERS)
def test_no_failure_tells_a_repository(client, visitor):
    methods, bodies = cycle(METHODS), cycle(BODIES)
    for path in PATHS:
        for _ in range(4):
            method, body = next(methods), next(bodies)
            asked = (method, path, HEADERS[visitor], b"" if method in ("GET", "HEAD") else body)
            expected = told(client, ABSENT, *asked)
            assert expected[0] == "4" or visitor in FAILING, (expected, asked[:2])
            for name in EXISTING:
                assert told(client, name, *asked) == expected, (name, *asked[:2], body[:20])


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("headers", [FORM, {**FORM, "Origin": "http://evil.example"}, {}])
def test_the_token_endpoint_tells_no_repository(client, headers, body):
    for password in ("guess", "right password"):
        login = f"grant_type=password&username=eve&password={password}&scope=repository:a:pull"
        for sent in (body, login.encode() + body):
            expected = told(client, ABSENT, "POST", "/v2/token", headers, sent)
            for name in EXISTING:
                answer = told(client, name, "POST", "/v2/token", headers, sent)
                assert answer == expected, name


@pytest.mark.parametrize("path", ["/", "/v2/", "/v2/a/tags/list", "/v1/_ping"])
def test_a_lockout_tells_no_repository(client, path):
    for _ in range(5):
        told(client, ABSENT, "GET", path, basic("zoe:wrong"), b"")
    for method in ("GET", "PUT", "FOO"):
        expected = told(client, ABSENT, method, path, basic("zoe:wrong"), b"")
        assert expected.startswith("429"), expected
        for name in EXISTING:
            assert told(client, name, method, path, basic("zoe:wrong"), b"") == expected


def test_whoever_has_a_right_is_told_what_is_wrong(client):
    """Or the tests above would pass where nothing is ever told."""
    login = basic(":".join(ADMIN))
    assert "is offline" in told(client, "images-off", "GET", "/v2/", login, b"")
    assert "The repository does not exist" in told(client, ABSENT, "GET", "/v2/", login, b"")
