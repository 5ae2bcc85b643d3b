"""Access without a login, realms, content selectors and user tokens, as clients set them."""

import json

import pytest

from repoman.rest.absent import absent
from repoman.rest.certificates import certificates
from repoman.rest.ldap import ldap
from repoman.rest.network import network
from repoman.rest.realms import realms
from repoman.rest.selectors import selectors
from repoman.security.actors import Limit
from repoman.security.rights_records import Role
from repoman.testing import Clock, HttpClient
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw

ANN = ("ann", "a password")
ENDPOINTS = [
    each
    for area in (absent, certificates, ldap, network, realms, selectors)
    for each in area.endpoints
]
BODIES = [b"", b"null", b"[]", b"{}", b"1", b'"x"', b"{", b'[{"a":1}]', b"\xff\xfe", b"[null]"]
BODIES += [b'{"name":{"a":[1]},"expression":[],"enabled":"perhaps","port":99999,"host":7}']
BODIES += [json.dumps({"name": "\x00/%", "expression": "\udcff"}).encode()]


@pytest.fixture
def repoman(repoman_factory):
    return start(repoman_factory)


def start(repoman_factory):
    repoman = repoman_factory({"raw": raw, "docker": docker})
    if "ann" not in {each.name for each in repoman.users.all()}:
        repoman.users.create(*ANN)
    return repoman


def ask(client, method, path, body=None, **options):
    if body is not None:
        options |= {"data": json.dumps(body), "content_type": "application/json"}
    return client.request(method, f"/service/rest/v1{path}", **options)


def told(repoman):
    events = repoman.audit.search({}, since=0, limit=100, after=None)
    return [
        (f"{each['domain']}.{each['type']}", each["target"], each["attributes"]) for each in events
    ]


# --- Rights and bad input ------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_only_those_with_the_right_are_answered(client, endpoint):
    path = f"/service/rest{endpoint.path}".replace("{name}", "x").replace("{id}", "x")
    for options in ({"login": False}, {"auth": ANN}):
        answer = client.request(endpoint.method, path, data=b"{}", **options)
        assert answer.status_code in (401, 403)


@pytest.mark.parametrize("body", BODIES)
def test_no_body_is_an_internal_error(client, body):
    for endpoint in ENDPOINTS:
        path = f"/service/rest{endpoint.path}".replace("{name}", "x").replace("{id}", "x")
        for name in ("", "?host=%00&port=0", "?host=a:b&port=x"):
            answer = client.request(
                endpoint.method, path + name, data=body, content_type="application/json"
            )
            assert answer.status_code < 500, (endpoint.path, answer.text)


def test_a_privilege_of_the_domain_is_enough(client, repoman):
    repoman.security.privileges.create(
        "see-realms", "application", {"domain": "settings", "actions": ["read"]}
    )
    repoman.security.roles.create(Role("watchers", "watchers", "", ("see-realms",)))
    repoman.users.change("ann", roles=["watchers"])
    assert ask(client, "GET", "/security/realms/active", auth=ANN).status_code == 200
    assert ask(client, "PUT", "/security/realms/active", [], auth=ANN).status_code == 403


# --- Access without a login ----------------------------------------------------------------------


def test_access_without_a_login_is_given_back_as_it_was_set(client, repoman, repoman_factory):
    wanted = {"enabled": True, "userId": "guest", "realmName": "NexusAuthenticatingRealm"}
    assert ask(client, "PUT", "/security/anonymous", wanted).json == wanted
    repoman.repositories.create("files", "raw-hosted", {})
    client.put("/repository/files/a", b"a")
    assert client.get("/repository/files/a", login=False).status_code == 200
    again = HttpClient(start(repoman_factory))
    assert ask(again, "GET", "/security/anonymous").json == wanted
    ask(again, "PUT", "/security/anonymous", {"enabled": False, "userId": None, "realmName": None})
    assert ask(again, "GET", "/security/anonymous").json == {
        "enabled": False,
        "userId": "anonymous",
        "realmName": "NexusAuthorizingRealm",
    }
    assert again.get("/repository/files/a", login=False).status_code == 401


def test_a_realm_of_nobody_is_refused_by_its_field(client):
    answer = ask(client, "PUT", "/security/anonymous", {"enabled": True, "realmName": "zz"})
    assert (answer.status_code, answer.json[0]["id"]) == (400, "realmName")
    assert ask(client, "GET", "/security/anonymous").json["enabled"] is False


# --- Realms --------------------------------------------------------------------------------------


def test_realms_have_the_ids_that_clients_know(client):
    listed = ask(client, "GET", "/security/realms/available").json
    found = {each["id"]: each["name"] for each in listed}
    assert found == {
        "DockerToken": "Docker Bearer Token Realm",
        "LdapRealm": "LDAP Realm",
        "NexusAuthenticatingRealm": "Local Authenticating Realm",
        "User-Token": "User Token Realm",
    }
    assert list(found.values()) == sorted(found.values())


def test_active_realms_are_given_back_as_they_were_set(client, repoman, repoman_factory):
    assert ask(client, "GET", "/security/realms/active").json == ["NexusAuthenticatingRealm"]
    wanted = ["LdapRealm", "DockerToken", "NexusAuthorizingRealm", "LdapRealm", "User-Token"]
    assert ask(client, "PUT", "/security/realms/active", wanted).status_code == 204
    kept = ["LdapRealm", "DockerToken", "User-Token"]
    assert ask(client, "GET", "/security/realms/active").json == kept
    assert repoman.options.describe("realms")["active"] == ["ldap", "docker-token", "token"]
    again = HttpClient(start(repoman_factory))
    assert ask(again, "GET", "/security/realms/active").json == kept, "and admin can still log in"


def test_an_unknown_realm_changes_nothing(client):
    answer = ask(client, "PUT", "/security/realms/active", ["DockerToken", "zz"])
    assert answer.status_code == 400
    assert answer.mimetype == "text/plain"
    assert answer.text.strip() == "ValidationErrorXO{id='*', message='Unknown realmIds: [zz]'}"
    assert ask(client, "GET", "/security/realms/active").json == ["NexusAuthenticatingRealm"]


def test_a_realm_of_a_directory_is_active_once_there_is_one(client, repoman):
    repoman.options.update(
        "ldap", {"enabled": True, "urls": ["ldap://127.0.0.1:1"], "user_base": "dc=org"}
    )
    active = ask(client, "GET", "/security/realms/active").json
    assert sorted(active) == ["LdapRealm", "NexusAuthenticatingRealm"]


# --- Content selectors ---------------------------------------------------------------------------


def selector(name="s1", expression='format == "raw"', **others):
    return {"name": name, "expression": expression, **others}


def test_a_selector_lives_as_clients_expect(client):
    where = "/security/content-selectors"
    assert ask(client, "POST", where, selector(description="d")).status_code == 204
    view = {"name": "s1", "type": "csel", "description": "d", "expression": 'format == "raw"'}
    assert ask(client, "GET", f"{where}/s1").json == view
    assert ask(client, "GET", where).json == [view]
    change = {"expression": 'path =^ "/v2/"', "description": None}
    assert ask(client, "PUT", f"{where}/s1", change).status_code == 204
    assert ask(client, "GET", f"{where}/s1").json == {
        **view,
        "description": "",
        "expression": 'path =^ "/v2/"',
    }
    assert ask(client, "DELETE", f"{where}/s1").status_code == 204
    for method in ("GET", "DELETE"):
        assert ask(client, method, f"{where}/s1").status_code == 404
    assert ask(client, "PUT", f"{where}/s1", change).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (selector(), "name"),
        (selector("S1"), "name"),
        (selector("nx-a"), "name"),
        (selector("a b"), "name"),
        (selector("s2", "format =="), "expression"),
        (selector("s2", "x" * 100_000), "expression"),
        ({"name": "s2"}, "PARAMETER expression"),
        ({"name": 1, "expression": "a"}, "name"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_selector_is_told_by_its_field(client, body, field):
    ask(client, "POST", "/security/content-selectors", selector())
    answer = ask(client, "POST", "/security/content-selectors", body)
    assert (answer.status_code, answer.json[0]["id"]) == (400, field)


def test_a_selector_in_use_stays(client, repoman):
    ask(client, "POST", "/security/content-selectors", selector())
    properties = {"selector": "s1", "format": "raw", "repository": "*", "actions": ["read"]}
    repoman.security.privileges.create("p1", "repository-content-selector", properties)
    answer = ask(client, "DELETE", "/security/content-selectors/s1")
    assert (answer.status_code, answer.json["id"]) == (400, "*")
    assert "p1" in answer.json["message"]
    assert ask(client, "GET", "/security/content-selectors/s1").status_code == 200


# --- User tokens ---------------------------------------------------------------------------------


def settings(**values):
    return {
        "enabled": True,
        "protectContent": False,
        "expirationEnabled": False,
        "expirationDays": 30,
        **values,
    }


def set_tokens(client, **values):
    return ask(client, "PUT", "/security/user-tokens", settings(**values))


def make_token(repoman, days=None):
    return repoman.security.user_tokens.create("ann", "ci", Limit(), days)


def test_the_settings_of_user_tokens_are_given_back(client):
    assert ask(client, "GET", "/security/user-tokens").json == settings()
    wanted = settings(protectContent=True, expirationEnabled=True, expirationDays=45)
    assert ask(client, "PUT", "/security/user-tokens", wanted).json == wanted
    assert set_tokens(client, expirationDays=0).json == settings()
    answer = set_tokens(client, expirationDays=1000)
    assert (answer.status_code, answer.json[0]["id"]) == (400, "PARAMETER expirationDays")


def test_disabled_tokens_let_nobody_in_until_they_are_enabled(client, repoman):
    secret = make_token(repoman)
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.users.change("ann", roles=["nx-developer"])
    assert client.put("/repository/files/a", b"a", auth=("ann", secret)).status_code == 201
    set_tokens(client, enabled=False)
    assert client.get("/repository/files/a", auth=("ann", secret)).status_code == 401
    with pytest.raises(Exception, match="disabled"):
        repoman.security.user_tokens.create("ann", "other", Limit())
    assert client.get("/repository/files/a", auth=ANN).status_code == 200
    set_tokens(client)
    assert client.get("/repository/files/a", auth=("ann", secret)).status_code == 200


def test_protected_content_needs_a_token_and_the_rest_does_not(client, repoman):
    secret = make_token(repoman)
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.users.change("ann", roles=["nx-developer"])
    client.put("/repository/files/a", b"a")
    set_tokens(client, protectContent=True)
    assert client.get("/repository/files/a", auth=ANN).status_code == 401
    assert ask(client, "GET", "/security/user-tokens", auth=ANN).status_code == 403
    assert client.get("/repository/files/a", auth=ANN).status_code == 401, "the header is known"
    assert client.get("/repository/files/a").status_code == 401
    assert client.get("/repository/files/a", auth=("ann", secret)).status_code == 200
    assert ask(client, "GET", "/security/user-tokens").status_code == 200
    ask(client, "PUT", "/security/anonymous", {"enabled": True})
    assert client.get("/repository/files/a", login=False).status_code == 200


def test_docker_gets_no_token_for_a_password_where_content_is_protected(repoman):
    repoman.repositories.create("images", "docker-hosted", {})
    secret = make_token(repoman)
    repoman.users.change("ann", roles=["nx-developer"])
    client = HttpClient(repoman, connector="images")
    path = "/v2/token?scope=repository:a:pull"
    bearer = client.get(path, auth=ANN).json["token"]
    header = {"Authorization": f"Bearer {bearer}"}
    assert client.get("/v2/", login=False, headers=header).status_code == 200
    set_tokens(HttpClient(repoman), protectContent=True)
    assert client.get(path, auth=ANN).status_code == 401
    assert client.get("/v2/", auth=ANN).status_code == 401
    header = {"Authorization": f"Bearer {client.get(path, auth=('ann', secret)).json['token']}"}
    assert client.get("/v2/", login=False, headers=header).status_code == 200


def test_an_expiry_for_all_ends_old_tokens_and_limits_new_ones(repoman_factory):
    clock = Clock(1_000_000_000.0)
    repoman = repoman_factory({"raw": raw}, clock=clock)
    repoman.users.create(*ANN, roles=["nx-developer"])
    repoman.repositories.create("files", "raw-hosted", {})
    client = HttpClient(repoman)
    secret = make_token(repoman)
    client.put("/repository/files/a", b"a")
    set_tokens(client, expirationEnabled=True, expirationDays=2)
    clock.jump(86_400)
    assert client.get("/repository/files/a", auth=("ann", secret)).status_code == 200
    with pytest.raises(Exception, match="must be 1 to 2"):
        repoman.security.user_tokens.create("ann", "long", Limit(), days=3)
    repoman.security.user_tokens.create("ann", "usual", Limit())
    [usual] = [each for each in repoman.security.user_tokens.of_user("ann") if each.name == "usual"]
    assert usual.expires_at == clock() + 2 * 86_400
    clock.jump(86_400)
    repoman.security.user_tokens.create("ann", "new", Limit())  # Forgets what was remembered.
    assert client.get("/repository/files/a", auth=("ann", secret)).status_code == 401


def test_all_tokens_are_revoked_at_once(client, repoman, monkeypatch):
    monkeypatch.setattr("repoman.security.user_tokens.REVOKED_BATCH", 2)
    for number in range(5):
        repoman.security.user_tokens.create("ann", f"t{number}", Limit())
    assert ask(client, "DELETE", "/security/user-tokens").status_code == 204
    assert repoman.security.user_tokens.of_user() == []
    assert [each for each in told(repoman) if each[0] == "token.reset"]


def test_changes_are_in_the_audit_log_by_the_fields_that_changed(client, repoman):
    set_tokens(client, expirationDays=31)
    ask(client, "PUT", "/security/anonymous", {"enabled": True})
    found = {target: values for kind, target, values in told(repoman) if kind == "option.change"}
    assert found["user_tokens"]["keys"] == "expiration_days"
    assert found["anonymous"]["keys"] == "enabled"


# --- What is not there ---------------------------------------------------------------------------


def test_there_are_no_scripts_capabilities_licenses_or_iq_servers(client):
    assert ask(client, "GET", "/script").json == []
    for method, path in (("POST", "/script"), ("PUT", "/script/x")):
        answer = ask(client, method, path, {"name": "x", "content": "1", "type": "groovy"})
        assert (answer.status_code, answer.data) == (410, b"")
    for method, path in (("POST", "/script/x/run"), ("DELETE", "/script/x"), ("GET", "/script/x")):
        answer = client.request(method, f"/service/rest/v1{path}", data=b"{}", content_type="a/b")
        assert (answer.status_code, answer.data) == (404, b"")
    for path in ("/system/license", "/security/saml"):
        answer = ask(client, "GET", path)
        assert (answer.status_code, answer.data) == (404, b"")
    assert ask(client, "GET", "/capabilities").json == []
    assert ask(client, "POST", "/capabilities", {"type": "x"}).status_code == 400
    assert ask(client, "GET", "/iq").json["url"] is None


def test_there_is_no_license_agreement_to_accept(client):
    shown = ask(client, "GET", "/system/eula").json
    assert shown["accepted"] is True
    assert ask(client, "POST", "/system/eula", shown).status_code == 204
    other = {"accepted": True, "disclaimer": "another text"}
    assert ask(client, "POST", "/system/eula", other).status_code == 400
