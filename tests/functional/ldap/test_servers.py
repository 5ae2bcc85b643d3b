"""Several LDAP servers over REST: what is kept, and whose users they let in."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from repoman.errors import Unavailable
from repoman.security.actors import Credentials
from repoman.security.directory import Directory
from repoman.security.ldap import LdapRealm
from repoman.security.ldap_servers import directory_of
from repoman.security.rights_records import Role
from repoman.security.throttling import LoginQueue
from repoman.testing import HttpClient
from repoman_raw import plugin as raw
from tests.fakes.slapd import BASE, READER, READER_PASSWORD, slapd
from tests.functional.ldap.conftest import ALICE
from tests.functional.ldap.wire import MIN, WHERE, body_of, send
from tests.live import free_port

VIEW = {
    "name": "one",
    "protocol": "LDAP",
    "host": "localhost",
    "port": 389,
    "searchBase": BASE,
    "authScheme": "NONE",
    "authRealm": None,
    "authUsername": None,
    "connectionTimeoutSeconds": 30,
    "connectionRetryDelaySeconds": 0,
    "maxIncidentsCount": 0,
    "useTrustStore": False,
    "userBaseDn": None,
    "userSubtree": False,
    "userObjectClass": None,
    "userLdapFilter": None,
    "userIdAttribute": None,
    "userRealNameAttribute": None,
    "userEmailAddressAttribute": None,
    "userPasswordAttribute": None,
    "ldapGroupsAsRoles": False,
    "groupType": None,
    "groupBaseDn": None,
    "groupSubtree": False,
    "groupObjectClass": None,
    "groupIdAttribute": None,
    "groupMemberAttribute": None,
    "groupMemberFormat": None,
    "userMemberOfAttribute": None,
    "order": 1,
}


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw})


def names(client):
    return [(each["name"], each["order"]) for each in client.get(WHERE).json]


# --- What is kept --------------------------------------------------------------------------------


def test_a_server_is_given_back_as_it_was_set(client, repoman, repoman_factory):
    assert client.get(WHERE).json == []
    assert send(client, "POST", "", MIN).status_code == 201
    shown = client.get(f"{WHERE}/one").json
    assert shown.pop("id")
    assert shown == VIEW
    wanted = {
        "protocol": "LDAPS",
        "authScheme": "SIMPLE",
        "authUsername": READER,
        "authRealm": "EXAMPLE",
        "useTrustStore": True,
        "userBaseDn": "ou=people",
        "userSubtree": True,
        "userLdapFilter": "mail=*@example.org",
        "ldapGroupsAsRoles": True,
        "groupType": "STATIC",
        "groupMemberFormat": "uid=${username},ou=people,dc=example,dc=org",
        "groupMemberAttribute": "",
        "userPasswordAttribute": "userPassword",
    }
    body = {**MIN, **wanted, "authPassword": READER_PASSWORD, "groupType": "static", "odd": 1}
    assert send(client, "PUT", "/one", {**body, "userObjectClass": None}).status_code == 204
    again = HttpClient(repoman_factory({"raw": raw}))
    shown = again.get(f"{WHERE}/one").json
    assert shown.pop("id")
    assert shown == {**VIEW, **wanted}
    assert READER_PASSWORD not in again.get(WHERE).text
    data = b"".join(path.read_bytes() for path in repoman.data.glob("repoman.db*"))
    assert READER_PASSWORD.encode() not in data


def test_a_password_that_is_left_out_is_kept(client, repoman):
    body = {**MIN, "authScheme": "SIMPLE", "authUsername": READER, "authPassword": "secret"}
    send(client, "POST", "", body)
    for given in ({"authPassword": ""}, {"authPassword": None}, {}):
        changed = {**MIN, "authScheme": "SIMPLE", "authUsername": READER, **given}
        assert send(client, "PUT", "/one", changed).status_code == 204
        assert repoman.ldap_servers.get("one").auth_password.get_secret_value() == "secret"
    send(client, "PUT", "/one", {**body, "authPassword": "another"})
    assert repoman.ldap_servers.get("one").auth_password.get_secret_value() == "another"
    for other in ({"host": "evil.example.org"}, {"port": 10389}, {"protocol": "LDAPS"}):
        answer = send(client, "PUT", "/one", {**body, "authPassword": None, **other})
        assert (answer.status_code, answer.json[0]["id"]) == (400, "PARAMETER authPassword"), other
    anonymous = {"authPassword": None, "host": "evil.example.org", "authScheme": "NONE"}
    assert send(client, "PUT", "/one", {**body, **anonymous}).status_code == 204
    assert repoman.ldap_servers.get("one").auth_password.get_secret_value() == ""


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": None}, "PARAMETER name"),
        ({"name": "a/b"}, "PARAMETER name"),
        ({"name": "taken"}, "PARAMETER name"),
        ({"name": "cache"}, "PARAMETER name"),
        ({"name": "templates"}, "PARAMETER name"),
        ({"protocol": "http"}, "PARAMETER protocol"),
        ({"host": "a:389"}, "PARAMETER host"),
        ({"host": "a b"}, "PARAMETER host"),
        ({"port": 0}, "PARAMETER port"),
        ({"searchBase": ""}, "PARAMETER searchBase"),
        ({"authScheme": "CRAM_MD5"}, "PARAMETER authScheme"),
        ({"authScheme": "SIMPLE"}, "PARAMETER authUsername"),
        ({"authScheme": "SIMPLE", "authUsername": "cn=a"}, "PARAMETER authPassword"),
        ({"connectionTimeoutSeconds": 3601}, "PARAMETER connectionTimeoutSeconds"),
        ({"ldapGroupsAsRoles": True}, "PARAMETER groupType"),
        ({"ldapGroupsAsRoles": True, "groupType": ""}, "PARAMETER groupType"),
        ({"userIdAttribute": "uid)(cn"}, "PARAMETER userIdAttribute"),
        ({"userLdapFilter": "((a=b)"}, "PARAMETER userLdapFilter"),
        ({"userLdapFilter": "(a={x})"}, "PARAMETER userLdapFilter"),
        ({"groupMemberFormat": "${other})"}, "PARAMETER groupMemberFormat"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_server_is_told_by_its_field(client, values, field):
    send(client, "POST", "", {**MIN, "name": "taken"})
    answer = send(client, "POST", "", {**MIN, **values})
    assert (answer.status_code, answer.json[0]["id"]) == (400, field)
    assert names(client) == [("taken", 1)]


def test_servers_have_an_order(client):
    for name in ("a", "b", "c"):
        send(client, "POST", "", {**MIN, "name": name})
    assert send(client, "POST", "/change-order", ["c", "a"]).status_code == 204
    assert names(client) == [("c", 1), ("a", 2), ("b", 3)]
    assert send(client, "POST", "/change-order", ["b", "zz"]).status_code == 400
    assert names(client) == [("c", 1), ("a", 2), ("b", 3)]
    assert send(client, "PUT", "/a", {**MIN, "name": "new"}).status_code == 204
    assert names(client) == [("c", 1), ("new", 2), ("b", 3)]
    assert send(client, "PUT", "/new", {**MIN, "name": "b"}).status_code == 400
    assert client.delete(f"{WHERE}/c").status_code == 204
    assert names(client) == [("new", 1), ("b", 2)]


def test_clients_that_add_servers_at_once_lose_none(repoman, client):
    def add(name):
        return send(HttpClient(repoman), "POST", "", {**MIN, "name": name}).status_code

    wanted = [f"s{number}" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(add, wanted)) == {201}
        assert sorted(pool.map(add, ["twice"] * 4)) == [201, 400, 400, 400]
    assert sorted(name for name, _ in names(client)) == sorted([*wanted, "twice"])
    assert [order for _, order in names(client)] == [*range(1, 10)]


def test_a_change_that_others_overtook_is_refused(client):
    send(client, "POST", "", MIN)
    tag = client.get(f"{WHERE}/one").headers["ETag"]
    send(client, "PUT", "/one", {**MIN, "port": 390})
    late = client.request(
        "PUT",
        f"{WHERE}/one",
        data=json.dumps({**MIN, "port": 391}),
        content_type="application/json",
        headers={"If-Match": tag},
    )
    assert late.status_code == 412
    assert client.get(f"{WHERE}/one").json["port"] == 390


def test_an_unknown_server_is_not_found(client):
    for method in ("GET", "DELETE"):
        assert client.request(method, f"{WHERE}/none").status_code == 404
    assert send(client, "PUT", "/none", MIN).status_code == 404


def test_changes_are_in_the_audit_log_without_the_password(client, repoman):
    body = {**MIN, "authScheme": "SIMPLE", "authUsername": READER, "authPassword": "the secret"}
    send(client, "POST", "", body)
    send(client, "PUT", "/one", {**body, "port": 390, "authPassword": "the other secret"})
    send(client, "POST", "/change-order", ["one"])
    client.delete(f"{WHERE}/one")
    events = repoman.audit.search({"domain": "ldap"}, since=0, limit=9, after=None)
    assert [each["type"] for each in events] == ["delete", "order", "change", "create"]
    assert events[2]["attributes"]["keys"] == "port auth_password"
    assert "secret" not in str(events)


def test_a_rotation_of_the_keys_reaches_the_passwords(client, repoman, repoman_factory):
    body = {**MIN, "authScheme": "SIMPLE", "authUsername": READER, "authPassword": "secret"}
    send(client, "POST", "", body)
    assert repoman.database.rotate_keys() >= 1
    again = repoman_factory({"raw": raw})
    assert again.ldap_servers.get("one").auth_password.get_secret_value() == "secret"


# --- Who gets in ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """Another directory: carol is in testers, and there is another alice."""
    with slapd(tmp_path_factory.mktemp("second")) as server:
        carol = server.add_person("carol", "carol's own", cn="Carol C.", mail="c@example.org")
        server.add_person("alice", "of the second")
        server.add_group("testers", carol)
        yield server


@pytest.fixture
def both(client, directory, second):
    for server, name in ((directory, "first"), (second, "second")):
        assert send(client, "POST", "", body_of(server, name)).status_code == 201


@pytest.fixture
def realm(repoman):
    return LdapRealm(
        LoginQueue(8),
        repoman.options,
        60,
        servers=repoman.ldap_servers.directories,
        generation=repoman.ldap_servers.generation,
        trusted=repoman.trust_store.pem,
    )


def log_in(realm, name, password):
    return realm.repoman_authenticate(credentials=Credentials(name, password))


def test_users_of_every_server_get_in_with_their_groups_as_roles(both, realm):
    actor = log_in(realm, "alice", ALICE)
    assert (actor.realm, sorted(actor.roles)) == ("ldap", ["Staff", "developers"])
    assert log_in(realm, "carol", "carol's own").roles == ("testers",)
    assert log_in(realm, "carol", "wrong") is None
    assert log_in(realm, "nobody", "wrong") is None
    assert realm.repoman_find_user(name="carol").roles == ("testers",)


def test_a_name_belongs_to_the_first_server_that_knows_it(both, realm, client):
    assert log_in(realm, "alice", "of the second") is None
    send(client, "POST", "/change-order", ["second"])
    assert log_in(realm, "alice", "of the second") is not None
    assert log_in(realm, "alice", ALICE) is None


def test_no_server_sees_the_password_of_a_user_of_another_one(
    both, realm, directory, second, monkeypatch
):
    sent = []
    open_ = Directory._open

    def spy(self, url, dn, password):
        sent.append((url, dn, password))
        return open_(self, url, dn, password)

    monkeypatch.setattr(Directory, "_open", spy)
    assert log_in(realm, "alice", "a wrong password") is None
    assert [url for url, _, password in sent if password == "a wrong password"] == [directory.url]
    binds = {
        server.url: sum(url == server.url for url, *_ in sent) for server in (directory, second)
    }
    assert set(binds.values()) == {2}, "as many to each, so that the time tells nothing"
    sent.clear()
    assert log_in(realm, "nobody", "another wrong password") is None
    assert [password for *_, password in sent if password == "another wrong password"] == []
    assert len(sent) == sum(binds.values())


def test_a_server_that_does_not_answer_leaves_the_next_one(both, realm, client, directory):
    broken = body_of(directory, "first", port=free_port())
    send(client, "PUT", "/first", broken)
    assert log_in(realm, "carol", "carol's own").name == "carol"
    with pytest.raises(Unavailable):
        log_in(realm, "nobody", "wrong")
    assert log_in(realm, "carol", "wrong") is None, "the second server says so"
    with pytest.raises(Unavailable):
        realm.repoman_find_user(name="never seen")


def test_what_is_remembered_can_be_forgotten(both, realm, client, directory, repoman):
    send(client, "POST", "", body_of(directory, "third"))
    assert log_in(realm, "carol", "carol's own") is not None
    changes = repoman.ldap_servers.generation()
    opened = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Directory, "_open", lambda self, url, *_: opened.append(url))
        assert log_in(realm, "carol", "carol's own").name == "carol", "from memory"
        assert opened == []
    assert client.delete(f"{WHERE}/cache").status_code == 204
    assert repoman.ldap_servers.generation() == changes + 1
    open_ = Directory._open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Directory, "_open", lambda self, *of: opened.append(of) or open_(self, *of))
        assert log_in(realm, "carol", "carol's own").name == "carol"
    assert opened, "the directories were asked again"
    [event] = repoman.audit.search({"domain": "ldap", "type": "forget"}, limit=9)
    assert event["actor"] == "admin"


def test_roles_of_groups_count_over_http(both, client, repoman):
    repoman.security.roles.create(Role("testers", "testers", "", ("nx-search-read",)))
    answer = client.get(WHERE, auth=("carol", "carol's own"))
    assert answer.status_code == 403
    privilege = {"domain": "ldap", "actions": ["read"]}
    repoman.security.privileges.create("see-ldap", "application", privilege)
    repoman.security.roles.change(Role("testers", "testers", "", ("see-ldap",)))
    assert client.get(WHERE, auth=("carol", "carol's own")).status_code == 200
    client.delete(f"{WHERE}/second")
    assert client.get(WHERE, auth=("carol", "carol's own")).status_code == 401


@pytest.mark.parametrize(
    ("values", "roles"),
    [
        ({"groupType": "DYNAMIC"}, ("testers",)),
        ({"groupMemberFormat": f"uid=${{username}},ou=people,{BASE}"}, ("testers",)),
        ({"ldapGroupsAsRoles": False}, ()),
        ({"groupObjectClass": "person"}, ()),
        ({"groupBaseDn": None}, ()),
        ({"groupBaseDn": None, "groupSubtree": True}, ("testers",)),
        ({"userLdapFilter": "mail=c@example.org"}, ("testers",)),
        ({"userBaseDn": "", "userSubtree": True}, ("testers",)),
        ({"userLdapFilter": "(mail=x@example.org)"}, None),
        ({"userObjectClass": "organization"}, None),
        ({"userBaseDn": None}, None),
    ],
    ids=str,
)
def test_the_settings_of_a_server_say_who_gets_in(client, realm, second, values, roles):
    assert send(client, "POST", "", body_of(second, "one", **values)).status_code == 201
    actor = log_in(realm, "carol", "carol's own")
    assert (actor and actor.roles) == roles


def test_tls_is_checked_against_the_trust_store(client, realm, repoman, second):
    tls = {"protocol": "ldaps", "port": second.tls_port}
    send(client, "POST", "", body_of(second, "one", **tls))
    with pytest.raises(Unavailable):
        log_in(realm, "carol", "carol's own")
    repoman.trust_store.add(second.certificate.path.read_text())
    send(client, "PUT", "/one", body_of(second, "one", useTrustStore=True, **tls))
    assert log_in(realm, "carol", "carol's own").name == "carol"


def test_a_filter_that_is_not_in_parentheses_is_put_into_them(client, repoman):
    send(client, "POST", "", {**MIN, "userLdapFilter": "a=b", "userObjectClass": "person"})
    options = directory_of(repoman.ldap_servers.get("one"))
    assert options.user_filter == "(&(objectClass=person)(uid={user})(a=b))"
    assert options.urls == ("ldap://localhost:389",)
