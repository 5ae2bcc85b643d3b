"""The pages about LDAP servers: the order, the form, and trials with a real directory."""

import re

import pytest

from repoman.security.options import LdapOptions
from repoman.security.rights_records import Role
from repoman.security.user_records import insert_user
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.fakes.slapd import BASE, GROUPS, PEOPLE, READER, READER_PASSWORD
from tests.functional.ldap.conftest import ALICE
from tests.functional.web.conftest import Browser
from tests.live import free_port


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw, "web": web})


@pytest.fixture
def admin(repoman):
    browser = Browser(repoman)
    browser.log_in()
    browser.get("/account")
    return browser


@pytest.fixture
def fields(directory):
    """What a person types of the directory."""
    port = directory.url.rpartition(":")[2].strip("/")
    return {
        "name": "one",
        "protocol": "LDAP",
        "host": "localhost",
        "port": port,
        "search_base": BASE,
        "auth_scheme": "SIMPLE",
        "auth_username": READER,
        "auth_password": READER_PASSWORD,
        "connection_timeout_seconds": "30",
        "user_subtree": "on",
    }


def follow(browser, answer):
    assert answer.status_code == 303, answer.text
    return browser.get(answer.location)


def test_they_are_for_those_who_have_the_right(repoman, admin, fields):
    follow(admin, admin.post("/admin/ldap/-/new", **fields))
    repoman.security.roles.create(Role("readers", "", "", ("nx-ldap-read",)))
    repoman.users.create("eve", "a password", ["readers"])
    repoman.users.create("bob", "a password", ["nx-developer"])
    stranger, eve, bob = Browser(repoman), Browser(repoman), Browser(repoman)
    eve.log_in("eve", "a password")
    bob.log_in("bob", "a password")
    for path in ("", "/-/new", "/-/options", "/one", "/one/delete"):
        assert stranger.get(f"/admin/ldap{path}").status_code == 303
        assert bob.get(f"/admin/ldap{path}").status_code == 403
    assert eve.get("/admin/ldap").status_code == 200
    page = eve.get("/admin/ldap/one").text
    assert 'class="buttons"' not in page
    assert READER_PASSWORD not in page
    for path in (
        "/one",
        "/one/login",
        "/-/new",
        "/-/options",
        "/-/order",
        "/-/forget",
        "/one/delete",
    ):
        assert eve.post(f"/admin/ldap{path}", **fields, test="connection").status_code == 403


def test_a_server_is_tried_before_it_is_saved(repoman, admin, fields):
    admin.get("/admin/ldap/-/new")

    def test(**more):
        return admin.post("/admin/ldap/-/new", **{**fields, **more})

    page = test(test="connection")
    assert page.status_code == 200
    assert "It works" in page.text
    assert READER_PASSWORD not in page.text
    page = test(test="user", **{"test.user": "alice"})
    assert "alice@example.org" in page.text
    assert "It does not work" in test(test="user", **{"test.user": "nobody"}).text
    page = test(test="people").text
    assert "It works" in page
    assert "alice@example.org" in page
    assert "It does not work" in test(test="people", user_object_class="device").text
    assert "It does not work" in test(test="connection", port=str(free_port())).text
    for more, said in (
        ({"test": "user"}, "Enter the name of a user"),
        ({"test": "connection", "auth_password": ""}, "Is required unless"),
        ({"test": "connection", "host": "a b"}, "host name or address"),
    ):
        answer = test(**more)
        assert answer.status_code == 400
        assert said in answer.text
    assert repoman.ldap_servers.all() == ()


def test_a_template_fills_the_form_in(repoman, admin):
    page = admin.get("/admin/ldap/-/new").text
    link = re.search(r'href="([^"]*template=Active[^"]*)"', page)[1]
    page = admin.get(link.replace("&amp;", "&"))
    assert page.status_code == 200
    assert 'value="sAMAccountName"' in page.text
    assert 'value="Active Directory"' not in page.text
    assert re.search(r'value="DYNAMIC"[^>]* (selected|checked)', page.text)
    assert 'value="30"' in page.text, "the usual timeout"
    assert "Nothing was" not in page.text
    assert admin.get("/admin/ldap/-/new?template=none").status_code == 200
    assert repoman.ldap_servers.all() == ()


def test_a_login_is_tried_at_a_stored_server(repoman, admin, fields):
    admin.get("/admin/ldap/-/new")
    follow(admin, admin.post("/admin/ldap/-/new", **fields))

    def test(**more):
        return admin.post("/admin/ldap/one/login", test="login", **more)

    page = test(**{"test.user": "alice", "test.password": ALICE})
    assert "It works" in page.text
    assert "The password is correct." in page.text
    assert ALICE not in page.text
    page = test(**{"test.user": "alice", "test.password": "wrong password"})
    assert "It does not work" in page.text
    assert "wrong password" not in page.text
    answer = test(**{"test.user": "alice"})
    assert answer.status_code == 400
    assert "Enter the password of the user" in answer.text
    assert repoman.security.sessions.of_user("alice") == []


def test_a_server_is_added_changed_and_removed(repoman, admin, fields):
    assert "No LDAP servers yet" in admin.get("/admin/ldap").text
    admin.get("/admin/ldap/-/new")
    follow(admin, admin.post("/admin/ldap/-/new", **fields))
    again = admin.post("/admin/ldap/-/new", **fields)
    assert again.status_code == 409
    assert "already exists" in again.text
    page = admin.get("/admin/ldap/one")
    revision = re.search(r'name="revision" value="([^"]+)"', page.text)[1]
    changed = {**fields, "auth_password": "", "user_ldap_filter": "(uid=a*)", "revision": revision}
    follow(admin, admin.post("/admin/ldap/one", **changed))
    server = repoman.ldap_servers.get("one")
    assert server.user_ldap_filter == "(uid=a*)"
    assert server.auth_password.get_secret_value() == READER_PASSWORD
    assert admin.post("/admin/ldap/one", **changed).status_code == 409  # of an older revision
    assert "can no longer log in" in admin.get("/admin/ldap/one/delete").text
    follow(admin, admin.post("/admin/ldap/one/delete"))
    assert repoman.ldap_servers.all() == ()
    assert admin.get("/admin/ldap/one").status_code == 404


def test_the_stored_password_is_sent_to_no_other_server(repoman, admin, fields):
    admin.get("/admin/ldap/-/new")
    follow(admin, admin.post("/admin/ldap/-/new", **fields))
    kept = {**fields, "auth_password": "", "test": "connection"}
    assert "It works" in admin.post("/admin/ldap/one", **kept).text
    other = admin.post("/admin/ldap/one", **{**kept, "host": "127.0.0.1"})
    assert other.status_code == 400
    assert "Is required unless" in other.text


def test_servers_are_put_in_order(repoman, admin, fields):
    admin.get("/admin/ldap/-/new")
    for name in ("one", "two", "three"):
        follow(admin, admin.post("/admin/ldap/-/new", **{**fields, "name": name}))
    page = follow(admin, admin.post("/admin/ldap/-/order", name="three", to="up"))
    assert "three is asked as number 2." in page.text
    follow(admin, admin.post("/admin/ldap/-/order", name="one", to="down"))
    assert [each.name for each in repoman.ldap_servers.all()] == ["three", "one", "two"]
    assert admin.post("/admin/ldap/-/order", name="none", to="up").status_code == 404


def test_what_is_remembered_can_be_forgotten(repoman, admin, fields):
    assert "Ask again" not in admin.get("/admin/ldap").text
    admin.get("/admin/ldap/-/new")
    follow(admin, admin.post("/admin/ldap/-/new", **fields))
    assert "Ask again" in admin.get("/admin/ldap").text
    before = repoman.ldap_servers.generation()
    page = follow(admin, admin.post("/admin/ldap/-/forget"))
    assert "The directories will be asked again." in page.text
    assert repoman.ldap_servers.generation() == before + 1


def test_the_first_directory_is_tried_and_saved(repoman, admin, directory):
    fields = {"urls": directory.url, "timeout": "5", "bind_dn": READER, "user_base": PEOPLE}
    fields |= {"bind_password": READER_PASSWORD, "group_base": GROUPS, "user_subtree": "on"}
    fields |= {"user_filter": "(uid={user})", "group_filter": "(member={dn})"}
    fields |= {"name_attribute": "uid", "group_attribute": "cn", "group_subtree": "on"}
    fields |= {"roles": "developers = nx-developer", "email_attribute": "mail"}
    admin.get("/admin/ldap/-/options")
    page = admin.post("/admin/ldap/-/options", **fields, **{"test": "user", "test.user": "alice"})
    assert page.status_code == 200
    assert "<dd>nx-developer</dd>" in page.text
    assert READER_PASSWORD not in page.text
    assert repoman.options.get("ldap", LdapOptions).urls == ()
    follow(admin, admin.post("/admin/ldap/-/options", **fields, enabled="on"))
    options = repoman.options.get("ldap", LdapOptions)
    assert (options.enabled, options.roles) == (True, {"developers": ("nx-developer",)})
    assert "First directory" in admin.get("/admin/ldap").text
    kept = {**fields, "bind_password": "", "test": "connection"}
    assert "It works" in admin.post("/admin/ldap/-/options", **kept).text
    kept["urls"] = directory.url.replace("localhost", "127.0.0.1")
    assert kept["urls"] != directory.url
    other = admin.post("/admin/ldap/-/options", **kept)
    assert other.status_code == 400
    assert "requires a bind_password" in other.text


def test_a_realm_is_asked_whether_it_still_has_a_user(repoman, admin, fields):
    admin.get("/admin/ldap/-/new")
    follow(admin, admin.post("/admin/ldap/-/new", **fields))
    for name in ("alice", "gone"):
        insert_user(name, "", realm="ldap")
        assert "Ask LDAP" in admin.get(f"/admin/users/{name}").text
    assert "/admin/users/admin/realm" not in admin.get("/admin/users/admin").text
    assert "LDAP has alice." in follow(admin, admin.post("/admin/users/alice/realm")).text
    page = follow(admin, admin.post("/admin/users/gone/realm"))
    assert "LDAP has no gone any more" in page.text
    repoman.security.realms.activate(["NexusAuthenticatingRealm"])
    page = follow(admin, admin.post("/admin/users/alice/realm"))
    assert "LDAP is not active or does not answer." in page.text
