"""Nobody becomes somebody else by having their name: neither in another realm nor after them."""

import re
from base64 import b64encode

import pytest
from werkzeug.test import Client

from repoman.errors import Denied
from repoman.http.current import CONNECTOR
from repoman.plugin import Actor, Limit, hookimpl
from repoman.repositories.model import connector_key
from repoman.security.user_records import find_user
from repoman.testing import ADMIN
from repoman.testing.client import application_of
from repoman_docker import plugin as docker
from repoman_web import plugin as web

MARK = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
OUTSIDE = "the password outside"
CATALOG = "/v2/token?scope=registry:catalog:*&scope=repository:team/app:pull,push"


class Realm:
    """Lets everybody in by one password, and says what it likes of them."""

    def __init__(self, password: str, **says: object) -> None:
        self._password, self._says = password, says

    @hookimpl
    def repoman_authenticate(self, credentials):
        if credentials.password != self._password:
            return None
        return Actor(credentials.name, **self._says)


@pytest.fixture
def repoman(repoman_factory):
    plugins = {
        "docker": docker,
        "web": web,
        "outside": Realm(OUTSIDE),
        "other": Realm("other", roles=("nx-admin",)),
        "liar": Realm("liar", realm="local", token="x", roles=("nx-admin",)),
    }
    repoman = repoman_factory(plugins, security={"login_failures": 0})
    repoman.repositories.create("images", "docker-hosted", {"docker": {"v1_enabled": True}})
    return repoman


@pytest.fixture
def send(repoman):
    """Send a request with a name and password, or with a bearer token, to the connector."""
    client = Client(application_of(repoman), use_cookies=False)

    def send(path, login=None, bearer=None, method="GET", port="images", **options):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        if login:
            headers["Authorization"] = "Basic " + b64encode(":".join(login).encode()).decode()
        environ = {CONNECTOR: connector_key(port, "http")} if port else {}
        options["headers"] = {**headers, **options.get("headers", {})}
        return client.open(path, method=method, environ_overrides=environ, **options)

    return send


@pytest.fixture
def browse(repoman):
    """Log in at the pages; return the answer and what opens further pages."""

    def browse(name, password):
        client = Client(application_of(repoman))
        mark = MARK.search(client.get("/login").text)[1]
        form = {"csrf_token": mark, "name": name, "password": password}
        return client.post("/login", data=form), client

    return browse


def push(send, login, name="team/app"):
    """Start an upload and return where it goes on."""
    return send(f"/v2/{name}/blobs/uploads/", login, method="POST").headers["Location"]


@pytest.mark.parametrize("password", [OUTSIDE, "liar", "other"])
def test_the_name_of_a_local_user_gives_nothing_of_theirs(repoman, send, browse, password):
    push(send, ADMIN)
    login = (ADMIN[0], password)
    assert send("/v2/_catalog", login).status_code in (200, 401, 403)
    assert send("/v2/team/app/tags/list", login).status_code == 403
    token = send(CATALOG, login).json
    assert token["scope"] == "registry:catalog:*"  # which shows what one may see: nothing
    assert not send("/v2/_catalog", bearer=token["token"]).json["repositories"]
    answer, client = browse(*login)
    assert answer.status_code == 403
    assert client.get("/account").status_code in (303, 401)
    assert repoman.security.sessions.of_user("admin") == []
    for path in ("/account", "/admin/audit", "/api/v1/audit"):
        assert send(path, login, port="").status_code == 403, path
    answer = send("/account/tokens", login, method="POST", port="", data={"name": "stolen"})
    assert answer.status_code == 403
    assert repoman.security.user_tokens.of_user("admin") == []


def test_an_upload_goes_on_by_who_has_begun_it_alone(repoman, send):
    for name in ("ann", "bob"):
        repoman.users.create(name, "local password", ["nx-admin"])
    login = ("eve", OUTSIDE)
    send("/v2/", login)
    repoman.users.change("eve", roles=["nx-admin"])
    location = push(send, login)
    assert send(location, login).status_code == 204
    repoman.users.delete("eve")
    repoman.users.create("eve", "local password", ["nx-admin"])
    assert send(location, ("eve", "local password")).status_code == 404
    location = push(send, ("ann", "local password"))
    repoman.users.delete("ann")
    repoman.users.create("ann", "local password", ["nx-admin"])
    assert send(location, ("ann", "local password")).status_code == 404


def test_a_push_by_version_1_goes_on_by_who_has_begun_it_alone(repoman, send):
    login, image = ("ann", "local password"), "ab" * 32
    repoman.users.create(*login, ["nx-admin"])
    assert (
        send("/v1/repositories/a/b/", login, method="PUT", json=[{"id": image}]).status_code == 200
    )
    path = f"/v1/images/{image}/json"
    assert send(path, login, method="PUT", json={"id": image}).status_code == 200
    repoman.users.delete("ann")
    repoman.users.create(*login, ["nx-admin"])
    answer = send(path, login, method="PUT", json={"id": image})
    assert answer.status_code == 400
    assert "does not belong" in answer.json["error"]


def test_a_token_of_a_name_is_not_good_for_its_next_user(repoman, send):
    login = ("eve", OUTSIDE)
    token = send(CATALOG, login).json["token"]
    assert send("/v2/", bearer=token).status_code == 200
    repoman.users.delete("eve")
    repoman.users.create("eve", "local password", ["nx-admin"])
    assert send("/v2/", bearer=token).status_code == 401
    again = send(CATALOG, login).json["token"]
    assert send("/v2/team/app/tags/list", bearer=again).status_code == 403
    assert send("/v2/team/app/tags/list", ("eve", "local password")).status_code == 404


def test_the_first_realm_with_a_name_has_it(repoman, send, browse):
    assert send("/v2/", ("eve", OUTSIDE)).status_code == 200
    repoman.users.change("eve", roles=["nx-admin"])
    assert send("/v2/none/tags/list", ("eve", OUTSIDE)).status_code == 404
    assert send("/v2/none/tags/list", ("eve", "other")).status_code == 403
    assert browse("eve", OUTSIDE)[0].status_code == 303
    assert browse("eve", "other")[0].status_code == 403
    user = find_user("eve")
    assert (user.realm, user.external_roles) == ("outside", ())


def test_the_login_of_a_namesake_is_no_login_of_the_user(repoman, send):
    repoman.users.create("ann", "local password")
    send("/v2/", ("ann", OUTSIDE))
    repoman.security.flush()
    assert find_user("ann").last_login_at is None
    send("/v2/", ("ann", "local password"))
    repoman.security.flush()
    assert find_user("ann").last_login_at is not None


@pytest.mark.parametrize("password", [OUTSIDE, "liar"])
@pytest.mark.parametrize("name", ["anonymous", "cli", "system"])
def test_nobody_has_the_name_of_who_acts_besides_users(send, browse, name, password):
    assert send("/v2/", (name, password)).status_code == 401
    assert browse(name, password)[0].status_code == 403
    assert find_user(name) is None


def test_whoever_is_made_anew_has_nothing_of_the_one_before(repoman, send, browse):
    def make():
        repoman.users.create("ann", "local password", ["nx-admin"])

    make()
    _, client = browse("ann", "local password")
    assert client.get("/account").status_code == 200
    bearer = send(CATALOG, ("ann", "local password")).json["token"]
    secret = repoman.security.user_tokens.create("ann", "ci", Limit())
    assert send("/v2/", ("ann", secret)).status_code == 200
    repoman.users.delete("ann")
    make()
    assert client.get("/account").status_code in (303, 401)
    assert send("/v2/", bearer=bearer).status_code == 401
    assert send("/v2/", ("ann", secret)).status_code == 401
    assert send("/v2/", ("ann", "local password")).status_code == 200


def test_the_audit_log_tells_who_has_let_somebody_in(repoman, send):
    send("/v2/", ("ann", OUTSIDE))
    send("/v2/", ("ann", "other"))
    repoman.audit.flush()
    events = repoman.audit.search({"domain": "login"})
    assert {(each["actor"], each["realm"]) for each in events} == {
        ("ann", "outside"),
        ("ann", "other"),
    }


def test_a_session_is_begun_by_the_account_alone(repoman):
    repoman.users.create("ann", "local password")
    begin = repoman.security.sessions.begin
    assert begin(Actor("ann"), "", "")
    for realm in ("outside", "token", ""):
        with pytest.raises(Denied):
            begin(Actor("ann", realm=realm), "", "")
