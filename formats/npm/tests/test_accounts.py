"""Logins, searches and the rest of the API."""

import gzip
import json
import logging

import pytest

from repoman.plugin import Limit

USER = "-/user/org.couchdb.user:"


def log_in(publisher, name="amy", password="a password", **options):
    value = {"_id": f"org.couchdb.user:{name}", "name": name, "password": password, "type": "user"}
    return publisher.send(f"{USER}{name}", value, login=False, **options)


@pytest.fixture(autouse=True)
def amy(repoman):
    """A user, in a server where nobody reads without a login."""
    repoman.users.create("amy", "a password", ["nx-admin"])
    repoman.repositories.update("js", {"access": {"anonymous": False}})


def bearer(token):
    return {"login": False, "headers": {"Authorization": f"Bearer {token}"}}


def test_a_login_gets_a_token_that_works_until_the_logout(publisher, repoman):
    answer = log_in(publisher)
    assert (answer.status_code, answer.json["ok"]) == (201, True)
    token = answer.json["token"]
    assert publisher.get("-/whoami", **bearer(token)).json == {"username": "amy"}
    assert publisher.get("-/npm/v1/user", **bearer(token)).json["name"] == "amy"
    assert publisher.get("demo", **bearer(token)).status_code == 404
    assert publisher.get("demo", login=False).status_code == 401
    [kept] = repoman.security.user_tokens.of_user("amy")
    assert kept.limit.repositories == ("js",)
    other = log_in(publisher).json["token"]
    path = f"-/user/token/{token}"
    assert publisher.send(path, None, "DELETE", **bearer(other)).status_code == 403
    assert publisher.send(path, None, "DELETE", **bearer(token)).json == {"ok": True}
    assert publisher.get("-/whoami", **bearer(token)).status_code == 401
    assert publisher.get("-/whoami", **bearer(other)).status_code == 200


def test_a_logout_writes_its_token_down_nowhere(publisher, repoman, caplog):
    caplog.set_level(logging.INFO, logger="repoman.access")
    token, other = (log_in(publisher).json["token"] for _ in range(2))
    path = f"-/user/token/{token}"
    assert publisher.send(path, None, "DELETE", **bearer(other)).status_code == 403
    assert publisher.send(path, None, "DELETE", **bearer(token)).status_code == 200
    told = [each.getMessage() for each in caplog.records if "/token/" in each.getMessage()]
    assert len(told) == 2
    repoman.audit.flush()
    [refused] = repoman.audit.search({"domain": "access"})
    for each in (*told, refused["target"]):
        assert f"/-/user/token/{token[:21]}***" in each
        assert token not in each


def test_an_old_token_is_no_obstacle_to_a_login(publisher):
    headers = {"Authorization": "Bearer rpm_0123456789abcdef_gone"}
    assert publisher.get("-/whoami", login=False, headers=headers).status_code == 401
    assert log_in(publisher, headers=headers).status_code == 201


def test_a_password_that_is_no_text_is_refused(publisher):
    assert log_in(publisher, password="half a character: \ud800").status_code == 400


@pytest.mark.parametrize("name", ["amy", "nobody"])
def test_a_wrong_password_gets_none(publisher, name):
    answer = log_in(publisher, name, "wrong")
    assert answer.status_code == 401
    assert "OTP" not in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"name": "amy"}', b'{"name": "amy", "password": 1}', b"[" * 50_000]
)
def test_what_is_no_login_is_refused(client, body):
    answer = client.put(f"/repository/js/{USER}amy", body, login=False)
    assert answer.status_code in (400, 401)


def test_a_user_token_of_any_kind_is_a_bearer(publisher, repoman):
    token = repoman.security.user_tokens.create("amy", "ci", Limit(names=("@acme/*",)))
    assert publisher.get("@acme/x", **bearer(token)).status_code == 404
    assert publisher.get("other", **bearer(token)).status_code == 403


def test_the_login_by_a_browser_is_not_offered(publisher):
    answer = publisher.send("-/v1/login", {}, "POST")
    assert (answer.status_code, "does not offer" in answer.json["error"]) == (404, True)
    assert publisher.get("-/ping").json == {}


# Searches, audits ---------------------------------------------------------------------------------


def found(publisher, query):
    answer = publisher.get(f"-/v1/search?{query}")
    assert answer.status_code == 200, answer.text
    return [each["package"]["name"] for each in answer.json["objects"]]


def test_packages_are_found_by_their_names(publisher):
    for name in ("zoo", "demo", "@acme/demo-lib", "other"):
        publisher.publish(name)
    assert found(publisher, "text=demo") == ["@acme/demo-lib", "demo"]
    assert found(publisher, "text=scope:acme") == ["@acme/demo-lib"]
    assert found(publisher, "text=&size=2") == ["@acme/demo-lib", "demo"]
    assert found(publisher, "text=&size=2&from=2") == ["other", "zoo"]
    assert publisher.get("-/v1/search?size=x").status_code == 400


def test_an_audit_of_a_hosted_repository_knows_nothing(publisher, client):
    body = gzip.compress(json.dumps({"demo": ["1.0.0"]}).encode())
    path = "/repository/js/-/npm/v1/security/advisories/bulk"
    options = {"headers": {"Content-Encoding": "gzip"}}
    answer = client.request("POST", path, data=body, **options)
    assert (answer.status_code, answer.json) == (200, {})
    old = publisher.send("-/npm/v1/security/audits/quick", {"dependencies": {}}, "POST")
    assert old.json["metadata"]["vulnerabilities"]["high"] == 0
    for wrong in (b"no gzip", gzip.compress(b" " * (9 << 20)), gzip.compress(b"[")):
        assert client.request("POST", path, data=wrong, **options).status_code in (400, 413)
