"""Trials of LDAP servers over REST, before they are kept: connections, logins, lists of users."""

from base64 import b64encode

import pytest

from repoman.security.rights_records import Role
from repoman.testing import HttpClient, RepomanFactory
from repoman_raw import plugin as raw
from tests.clock import wait_until
from tests.fakes.slapd import READER, READER_PASSWORD, slapd
from tests.functional.ldap.conftest import ALICE
from tests.functional.ldap.wire import MIN, WHERE, body_of, send
from tests.live import free_port


@pytest.fixture(scope="module")
def repoman(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("trials"))
    yield factory({"raw": raw}, security={"login_failures": 0})
    factory.stop()


@pytest.fixture(autouse=True)
def no_servers(repoman):
    """Nothing is left of a test."""
    yield
    for each in repoman.ldap_servers.all():
        repoman.ldap_servers.delete(each.name)


def server_at(directory, **more):
    port = int(directory.url.rpartition(":")[2])
    login = {"authScheme": "SIMPLE", "authUsername": READER, "authPassword": READER_PASSWORD}
    return {**MIN, "host": "127.0.0.1", "port": port, "userBaseDn": "ou=people", **login, **more}


def login_at(server, name="alice", password=ALICE):
    encoded = {
        "base64Username": b64encode(name.encode()).decode(),
        "base64Password": b64encode(password.encode()).decode(),
    }
    return {"ldapServer": server, **encoded}


def test_a_connection_is_tried(client, directory):
    answer = send(client, "POST", "/verify-connection", server_at(directory))
    assert (answer.status_code, answer.data) == (200, b"")
    for wrong in ({"authPassword": "wrong"}, {"port": free_port()}):
        answer = send(client, "POST", "/verify-connection", server_at(directory, **wrong))
        assert answer.status_code == 400
        assert "cannot be used" in answer.json["message"]
        assert "wrong" not in answer.json["message"]
    assert client.get(WHERE).json == []


def test_a_login_is_tried(client, directory):
    server = server_at(directory)
    answer = send(client, "POST", "/verify-login", login_at(server))
    assert (answer.status_code, answer.data) == (200, b"")
    for name, password in (("alice", "wrong one"), ("nobody", ALICE), ("*", ALICE)):
        answer = send(client, "POST", "/verify-login", login_at(server, name, password))
        assert answer.status_code == 400
        assert "Connected to" in answer.json["message"]
        assert password not in answer.json["message"]
    for encoded in ("!", ""):
        broken = {**login_at(server), "base64Password": encoded}
        answer = send(client, "POST", "/verify-login", broken)
        assert [each["id"] for each in answer.json] == ["base64Password"]


def test_a_stored_password_is_tried_at_its_own_address_only(client, directory):
    assert send(client, "POST", "", server_at(directory)).status_code == 201
    lacking = {**server_at(directory), "authPassword": None}
    answer = send(client, "POST", "/verify-connection", lacking)
    assert [each["id"] for each in answer.json] == ["PARAMETER authPassword"]
    known = "/verify-connection?existingServerName="
    assert send(client, "POST", f"{known}one", lacking).status_code == 200
    elsewhere = {**lacking, "host": "localhost"}
    assert send(client, "POST", f"{known}one", elsewhere).status_code == 400
    assert send(client, "POST", f"{known}none", lacking).status_code == 404


# --- Users of a directory ------------------------------------------------------------------------

USERS = "/verify-user-mapping"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A directory with nobody but alice, who is in two groups, and bob."""
    with slapd(tmp_path_factory.mktemp("people")) as server:
        alice = server.add_person("alice", ALICE, mail="alice@example.org")
        server.add_person("bob", "battery staple")
        for name in ("developers", "Staff"):
            server.add_group(name, alice)
        yield server


def test_users_are_listed_with_their_groups(client, people):
    answer = send(client, "POST", USERS, body_of(people, "one", userRealNameAttribute="sn"))
    assert answer.status_code == 200
    assert answer.json == [
        {
            "username": "alice",
            "realName": "Alice",
            "email": "alice@example.org",
            "membership": ["Staff", "developers"],
        },
        {"username": "bob", "realName": "Bob", "email": None, "membership": []},
    ]
    assert client.get(WHERE).json == []
    by_users = body_of(people, "one", groupType="DYNAMIC", userLdapFilter="(uid=a*)")
    [alice] = send(client, "POST", USERS, by_users).json
    assert (alice["username"], alice["membership"]) == ("alice", ["Staff", "developers"])
    no_roles = body_of(people, "one", ldapGroupsAsRoles=False)
    assert [each["membership"] for each in send(client, "POST", USERS, no_roles).json] == [[], []]
    nobody = send(client, "POST", USERS, body_of(people, "one", userObjectClass="device"))
    assert (nobody.status_code, nobody.json) == (200, [])


def test_at_most_twenty_users_are_listed(client, tmp_path):
    with slapd(tmp_path) as server:
        for number in range(25):
            server.add_person(f"user{number}", "a password")
        found = send(client, "POST", USERS, body_of(server, "one")).json
    assert len({each["username"] for each in found}) == 20


def test_a_directory_that_does_not_answer_lists_nobody(client, people):
    for wrong in ({"port": free_port()}, {"authPassword": "wrong"}, {"userBaseDn": "ou=none"}):
        answer = send(client, "POST", USERS, body_of(people, "one", **wrong))
        assert answer.status_code == 400
        assert "does not respond" in answer.json["message"]
        assert READER_PASSWORD not in answer.text


def test_users_are_listed_with_the_stored_password(client, people):
    assert send(client, "POST", "", body_of(people, "one")).status_code == 201
    lacking = body_of(people, "one", authPassword=None)
    assert send(client, "POST", USERS, lacking).status_code == 400
    assert len(send(client, "POST", f"{USERS}?existingServerName=one", lacking).json) == 2
    elsewhere = {**lacking, "host": "127.0.0.1"}
    assert send(client, "POST", f"{USERS}?existingServerName=one", elsewhere).status_code == 400


# --- Who may, and what is written down -----------------------------------------------------------


def test_templates_are_servers_that_can_be_stored(client):
    found = client.get(f"{WHERE}/templates").json
    assert [each["name"] for each in found] == [
        "Active Directory",
        "Generic LDAP Server",
        "Posix with Dynamic Groups",
        "Posix with Static Groups",
    ]
    for each in found:
        assert send(client, "POST", "", {**MIN, **each}).status_code == 201
    assert {each["groupType"] for each in client.get(WHERE).json} == {"STATIC", "DYNAMIC"}


CALLS = (
    ("POST", "/verify-connection", 200),
    ("POST", "/verify-login", 200),
    ("POST", USERS, 200),
    ("GET", "/templates", 200),
    ("DELETE", "/cache", 204),
)


def test_trials_need_the_right_to_change_servers(repoman, directory):
    repoman.security.roles.create(Role("seers", "", "", ("nx-ldap-read",)))
    repoman.security.roles.create(Role("changers", "", "", ("nx-ldap-update",)))
    for name in ("seer", "changer"):
        repoman.users.create(name, "a password", [f"{name}s"])
    client, server = HttpClient(repoman), body_of(directory, "one")
    for method, path, status in CALLS:
        body = login_at(server) if path == "/verify-login" else server

        def ask(login, method=method, path=path, body=body):
            sent = {} if method != "POST" else {"json": body}
            return client.request(
                method, f"{WHERE}{path}", login=False, auth=login, **sent
            ).status_code

        assert ask(None) in (401, 403)
        assert ask(("seer", "a password")) == (200 if path == "/templates" else 403), path
        assert ask(("changer", "a password")) == status, path


def test_trials_are_in_the_audit_log_without_passwords(client, repoman, directory):
    server = body_of(directory, "one")
    send(client, "POST", USERS, server)
    send(client, "POST", "/verify-login", login_at(server, password="a wrong one"))

    def find():
        return repoman.audit.search({"domain": "ldap", "type": "try"}, limit=2)

    def is_told():
        repoman.audit.flush()
        found = [(each["attributes"]["what"], bool(each["is_success"])) for each in find()]
        return found == [("login", False), ("list", True)]

    wait_until(is_told, what="the trials in the audit log")
    assert {each["target"] for each in find()} == {f"ldap://localhost:{directory.port}"}
    assert {each["actor"] for each in find()} == {"admin"}
    for secret in (READER_PASSWORD, "a wrong one"):
        assert secret not in str(find())
