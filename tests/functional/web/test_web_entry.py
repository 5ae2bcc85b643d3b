"""The pages about who is let in: access without a login, realms, certificates."""

import re

import pytest

from repoman.security.actors import Action
from repoman.security.options import ANONYMOUS_OPTIONS, AnonymousOptions
from repoman.security.rights_records import Role
from tests.fakes.scripted import Scripted, reply
from tests.live import free_port
from tests.server.certificates import Certificate
from tests.statements import executed_statements

PAGES = ("/admin/anonymous", "/admin/realms", "/admin/certificates", "/admin/certificates/-/new")


@pytest.fixture
def admin(browser):
    browser.log_in()
    browser.get("/account")
    return browser


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"), "localhost")


@pytest.fixture(scope="module")
def remote(certificate):
    server = Scripted(lambda asked: reply(200), certificate.for_server())
    yield server
    server.stop()


def follow(browser, answer):
    assert answer.status_code == 303, answer.text
    return browser.get(answer.location)


def cells(page, name):
    row = re.search(rf'<th scope="row">(?:(?!</tr>).)*{name}(.*?)</tr>', page.text, re.S)[1]
    return re.findall(r'class="hidden">(yes|no|for some paths)<', row)


def test_they_are_for_those_who_have_the_right(repoman, open_browser):
    repoman.security.roles.create(
        Role("readers", "", "", ("nx-settings-read", "nx-ssl-truststore-read"))
    )
    repoman.users.create("eve", "a password", ["readers"])
    repoman.users.create("bob", "a password", ["nx-developer"])
    stranger, eve, bob = open_browser(), open_browser(), open_browser()
    eve.log_in("eve", "a password")
    bob.log_in("bob", "a password")
    for page in PAGES:
        assert stranger.get(page).status_code == 303
        assert bob.get(page).status_code == 403
    for page in PAGES[:3]:
        answer = eve.get(page)
        assert answer.status_code == 200
        assert 'class="buttons"' not in answer.text
    assert eve.get("/admin/certificates/-/new").status_code == 403
    assert eve.get("/admin/certificates/-/server?host=localhost").status_code == 403
    assert eve.post("/admin/anonymous", enabled="on").status_code == 403
    assert eve.post("/admin/realms", active="LdapRealm").status_code == 403
    assert eve.post("/admin/certificates/-/new", pem="x").status_code == 403
    assert not repoman.options.get(ANONYMOUS_OPTIONS, AnonymousOptions).enabled


def test_anonymous_access_is_switched_and_shown_by_repository(repoman, admin):
    repoman.repositories.create("open", "raw-hosted", {"access": {"anonymous": True}})
    reading = ["yes" if each in ("browse", "read") else "no" for each in Action]
    page = admin.get("/admin/anonymous")
    assert cells(page, "files") == ["no"] * len(Action)
    assert cells(page, "open") == reading
    assert "a setting of its own" in page.text
    fields = {"enabled": "on", "access.roles": "nx-anonymous"}
    page = follow(admin, admin.post("/admin/anonymous", **fields))
    assert "Anybody may read without a login." in page.text
    assert cells(page, "files") == reading
    page = follow(admin, admin.post("/admin/anonymous", **{"access.roles": "nx-anonymous"}))
    assert "Everybody has to log in." in page.text
    refused = admin.post("/admin/anonymous", **{"access.roles": "nothing"})
    assert refused.status_code == 400
    assert "there is no role" in refused.text.lower()


def test_the_roles_of_anybody_are_those_of_a_user(repoman, open_browser):
    privileges = ("nx-settings-update", "nx-users-read")
    repoman.security.roles.create(Role("settings", "", "", privileges))
    repoman.users.create("eve", "a password", ["settings"])
    eve = open_browser()
    eve.log_in("eve", "a password")
    eve.get("/admin/anonymous")
    fields = {"enabled": "on", "access.roles": "nx-admin"}
    follow(eve, eve.post("/admin/anonymous", **fields))
    options = repoman.options.get(ANONYMOUS_OPTIONS, AnonymousOptions)
    assert (options.enabled, options.roles) == (True, ("nx-anonymous",))


def test_roles_of_anybody_that_are_not_shown_stay(repoman, browser_of):
    properties = {"domain": "users", "actions": ["update"]}
    repoman.security.privileges.create("blind", "application", properties)
    ann = browser_of("nx-settings-update", "blind")
    assert "access.roles" not in ann.get("/admin/anonymous").text
    follow(ann, ann.post("/admin/anonymous", enabled="on"))
    options = repoman.options.get(ANONYMOUS_OPTIONS, AnonymousOptions)
    assert (options.enabled, options.roles) == (True, ("nx-anonymous",))


def test_the_matrix_of_anybody_takes_as_many_statements(repoman, admin):
    def count():
        with executed_statements() as statements:
            assert admin.get("/admin/anonymous").status_code == 200
        return len(statements)

    count()
    before = count()
    for number in range(40):
        repoman.repositories.create(f"r{number:02}", "raw-hosted", {})
    count()
    assert count() == before


def test_realms_are_put_in_order(repoman, admin):
    service = repoman.security.realms
    page = admin.get("/admin/realms")
    assert "Local Authenticating Realm" in page.text
    ids = [each.id for each in service.available()]
    moved = admin.post("/admin/realms", active=ids[:2], **{"active.move": f"down {ids[0]}"})
    assert moved.status_code == 200
    order = re.findall(r'data-name="([^"]+)"', moved.text)
    assert order == [ids[1], ids[0]]
    follow(admin, admin.post("/admin/realms", active=order))
    assert service.active() == order
    refused = admin.post("/admin/realms", active="Nothing")
    assert refused.status_code == 400
    assert service.active() == order


def test_a_certificate_is_added_as_text_shown_and_deleted(repoman, admin, certificate):
    pem = certificate.path.read_text()
    assert "No certificates yet" in admin.get("/admin/certificates").text
    admin.get("/admin/certificates/-/new")
    page = follow(admin, admin.post("/admin/certificates/-/new", pem=pem))
    assert "is trusted from the next connection on" in page.text
    [found] = repoman.trust_store.all()
    assert found.id in admin.get(f"/admin/certificates/{found.id}").text
    again = admin.post("/admin/certificates/-/new", pem=pem)
    assert again.status_code == 409
    assert "in the trust store already" in again.text
    assert "No certificates match" in admin.get("/admin/certificates?filter=zzz").text
    assert "fail from the next one on" in admin.get(f"/admin/certificates/{found.id}/delete").text
    follow(admin, admin.post(f"/admin/certificates/{found.id}/delete"))
    assert repoman.trust_store.all() == []
    assert admin.get(f"/admin/certificates/{found.id}").status_code == 404


@pytest.mark.parametrize("pem", ["", "<script>alert(1)</script>", "-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate_is_refused_and_stays(repoman, admin, pem):
    admin.get("/admin/certificates/-/new")
    answer = admin.post("/admin/certificates/-/new", pem=pem)
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text
    assert pem == "" or pem.split("-")[0].replace("<", "&lt;").replace(">", "&gt;") in answer.text
    assert repoman.trust_store.all() == []


def test_a_certificate_is_shown_by_its_server_before_it_is_trusted(repoman, admin, remote):
    port = remote.url.rpartition(":")[2]
    page = admin.get(f"/admin/certificates/-/server?host=localhost&port={port}")
    assert page.status_code == 200
    assert repoman.trust_store.all() == []
    pem = re.search(r'name="pem" value="([^"]+)"', page.text)[1]
    follow(admin, admin.post("/admin/certificates/-/new", pem=pem))
    assert len(repoman.trust_store.all()) == 1
    page = admin.get(f"/admin/certificates/-/server?host=localhost&port={port}")
    assert "It is trusted already." in page.text
    for query, said in (
        (f"host=localhost&port={free_port()}", "does not show a certificate"),
        ("host=a/b&port=443", "is not a valid host name"),
        ("host=&port=443", "Is required"),
        ("host=localhost&port=x", "field-said is-error"),
    ):
        answer = admin.get(f"/admin/certificates/-/server?{query}")
        assert answer.status_code == 400
        assert said in answer.text
