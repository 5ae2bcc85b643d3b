"""The pages about content selectors and privileges."""

import re

import pytest

from repoman.security.rights_records import Privilege, Role, SelectorRow, save_privilege
from repoman.testing import ADMIN
from tests.statements import executed_statements

HOSTILE = '"><script>alert(1)</script>'
MINE = 'path =^ "/mine/"'
ROW = re.compile(r'<a (?:class="cut" )?href="/admin/(?:privileges|selectors)/([\w.*-]+)"')
PATH = re.compile(r'<code class="grow">([^<]+)</code>')
RIGHTS = {"rights.format": "raw", "rights.repository": "files", "rights.actions": ["read", "add"]}


@pytest.fixture
def admin(browser):
    browser.log_in()
    browser.get("/account")
    return browser


@pytest.fixture
def security(repoman):
    return repoman.security


def follow(browser, answer):
    assert answer.status_code == 303, answer.text
    return browser.get(answer.location)


def pages_of(admin, url):
    found, counts = [], []
    while url:
        with executed_statements() as statements:
            page = admin.get(url)
        counts.append(len(statements))
        found += re.findall(
            r'<a (?:class="cut" )?href="/admin/(?:privileges|selectors)/([\w.*-]+)"', page.text
        )
        after = re.search(r'href="([^"]+)" rel="next"', page.text)
        url = after and after[1].replace("&amp;", "&")
    return found, max(counts)


@pytest.mark.parametrize("area", ["selectors", "privileges"])
def test_they_are_for_those_who_have_the_right(repoman, open_browser, security, area):
    security.selectors.create(SelectorRow("mine", MINE))
    save_privilege(Privilege("mine", "wildcard", "", {"pattern": "nexus:x:read"}))
    security.roles.create(Role("readers", "", "", (f"nx-{area}-read",)))
    repoman.users.create("eve", "a password", ["readers"])
    repoman.users.create("bob", "a password", ["nx-developer"])
    stranger, eve, bob = open_browser(), open_browser(), open_browser()
    eve.log_in("eve", "a password")
    bob.log_in("bob", "a password")
    for path in ("", "/-/new", "/mine", "/mine/delete"):
        assert stranger.get(f"/admin/{area}{path}").status_code == 303
        assert bob.get(f"/admin/{area}{path}").status_code == 403
    assert eve.get(f"/admin/{area}").status_code == 200
    assert ">Save " not in eve.get(f"/admin/{area}/mine").text
    fields = {"expression": "path != ''", "rights.pattern": "nexus:*"}
    assert eve.post(f"/admin/{area}/mine", **fields).status_code == 403
    assert eve.post(f"/admin/{area}/mine/delete").status_code == 403
    assert eve.get(f"/admin/{area}/-/new").status_code == 403
    assert security.selectors.get("mine").expression == MINE


def test_a_selector_is_created_changed_and_deleted_with_its_privileges(admin, security):
    admin.get("/admin/selectors/-/new")
    fields = {"name": "mine", "expression": MINE, "description": HOSTILE}
    page = follow(admin, admin.post("/admin/selectors/-/new", **fields))
    assert HOSTILE not in page.text
    page = follow(
        admin, admin.post("/admin/selectors/mine", **{**fields, "expression": 'path == "/a"'})
    )
    assert security.selectors.get("mine").expression == 'path == "/a"'
    made = {**RIGHTS, "name": "p", "rights.selector": "mine", "rights.actions": "read"}
    kind = "repository-content-selector"
    follow(admin, admin.post(f"/admin/privileges/-/new?type={kind}", **made))
    assert "1 privilege goes with it: <b>p</b>" in admin.get("/admin/selectors/mine/delete").text
    follow(admin, admin.post("/admin/selectors/mine/delete"))
    assert admin.get("/admin/selectors/mine").status_code == 404
    assert admin.get("/admin/privileges/p").status_code == 404


@pytest.mark.parametrize(
    ("expression", "said", "marked"),
    [
        ('path =^ "/a" and form == "x"', "At character 18, expected", "f"),
        ('path =~ "/a("', "in the regular expression", None),
        ("path", "At character 5", " "),
        (f"path == '{HOSTILE}' or", "expected", " "),
    ],
)
def test_the_place_of_a_mistake_is_shown(admin, security, expression, said, marked):
    admin.get("/admin/selectors/-/new")
    fields = {"name": "mine", "expression": expression}
    for more in ({}, {"try": "1"}):
        answer = admin.post("/admin/selectors/-/new", **fields, **more)
        assert answer.status_code == 400
        assert said in answer.text
        assert HOSTILE not in answer.text
        shown = re.search(r'<pre class="mistake".*?<mark>(.*?)</mark>', answer.text, re.S)[1]
        assert marked in (None, shown)
    checked = admin.get("/admin/selectors/-/check", query_string={"value": expression}).json
    assert checked["tone"] == "error"
    assert admin.get("/admin/selectors/-/check", query_string={"value": MINE}).json["tone"] == "ok"
    assert security.selectors.all() == []


def test_it_is_tried_out_on_own_paths_and_in_a_repository(repoman, admin, security, open_browser):
    client = open_browser()
    for path in ("mine/a", "mine/b", "other/c"):
        put = client.open("PUT", f"/repository/files/{path}", auth=ADMIN, data=b"x")
        assert put.status_code in (200, 201)
    admin.get("/admin/selectors/-/new")
    fields = {"name": "mine", "expression": MINE, "try": "1", "try.repository": "files"}
    page = admin.post("/admin/selectors/-/new", **fields, **{"try.paths": "/mine/x\n/y"})
    assert page.status_code == 200
    assert PATH.findall(page.text) == [
        "/mine/x",
        "/y",
        "/mine/a",
        "/mine/b",
    ]
    assert page.text.count("does not fit") == 1
    fields["expression"] = 'path == "/nothing"'
    assert "Nothing in <b>files</b> fits." in admin.post("/admin/selectors/-/new", **fields).text
    fields["expression"] = 'format == "other"'
    assert "Nothing in <b>files</b> fits." in admin.post("/admin/selectors/-/new", **fields).text
    fields["try.repository"] = "nowhere"
    assert "There is no repository nowhere." in admin.post("/admin/selectors/-/new", **fields).text
    assert security.selectors.all() == []


def test_a_visitor_sees_only_paths_that_they_may_browse(repoman, security, open_browser):
    client = open_browser()
    for path in ("mine/a", "other/c"):
        client.open("PUT", f"/repository/files/{path}", auth=ADMIN, data=b"x")
    repoman.repositories.create("vault", "raw-hosted", {})
    security.selectors.create(SelectorRow("mine", MINE))
    kind = "repository-content-selector"
    properties = {"format": "raw", "repository": "files", "selector": "mine", "actions": ["browse"]}
    security.privileges.create("mine", kind, properties)
    security.roles.create(Role("some", "", "", ("mine", "nx-selectors-read")))
    repoman.users.create("eve", "a password", ["some"])
    eve = open_browser()
    eve.log_in("eve", "a password")
    assert "vault" not in eve.get("/admin/selectors/mine").text
    fields = {"expression": 'path != ""', "try": "1"}
    page = eve.post("/admin/selectors/mine", **fields, **{"try.repository": "files"})
    assert PATH.findall(page.text) == ["/mine/a"]
    page = eve.post("/admin/selectors/mine", **fields, **{"try.repository": "vault"})
    assert "There is no repository vault." in page.text


def test_a_privilege_is_created_changed_and_deleted(admin, security):
    assert "Any permission, written as text" in admin.get("/admin/privileges/-/new").text
    url = "/admin/privileges/-/new?type=repository-view"
    admin.get(url)
    follow(admin, admin.post(url, name="p", description=HOSTILE, **RIGHTS))
    made = security.privileges.get("p")
    assert made.properties == {"format": "raw", "repository": "files", "actions": ["read", "add"]}
    security.roles.create(Role("team", "", "", ("p",)))
    page = admin.get("/admin/privileges/p")
    assert "nexus:repository-view:raw:files:read,add" in page.text
    assert "/admin/roles/team" in page.text
    assert HOSTILE not in page.text
    changed = {**RIGHTS, "rights.actions": "*", "description": "All"}
    follow(admin, admin.post("/admin/privileges/p", **changed))
    assert security.privileges.get("p").properties["actions"] == ["*"]
    assert "It is taken from 1 role: <b>team</b>" in admin.get("/admin/privileges/p/delete").text
    follow(admin, admin.post("/admin/privileges/p/delete"))
    assert security.roles.get("team").privileges == ()


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("wildcard", {"rights.pattern": "x"}, "Must begin with nexus:"),
        ("wildcard", {"name": "nx-a", "rights.pattern": "nexus:*"}, "reserved for built-in"),
        ("application", {"rights.domain": "users"}, "actions"),
        ("repository-view", {**RIGHTS, "rights.repository": "none"}, "There is no repository"),
        ("repository-admin", {**RIGHTS, "rights.actions": "fly"}, "field needs another value"),
    ],
)
def test_what_is_wrong_with_a_privilege_is_said(admin, security, kind, fields, said):
    url = f"/admin/privileges/-/new?type={kind}"
    admin.get(url)
    answer = admin.post(url, **{"name": "mine", "description": "kept", **fields})
    assert answer.status_code == 400
    assert said.lower() in answer.text.lower()
    assert 'value="kept"' in answer.text
    assert security.privileges.page("", None, None, 9) == []


def test_built_in_privileges_are_shown_and_stay(admin):
    for name in ("nx-users-read", "nx-all", "nx-repository-view-raw-files-read"):
        assert "belongs to the program" in admin.get(f"/admin/privileges/{name}").text
        assert "neither changed nor deleted" in admin.get(f"/admin/privileges/{name}/delete").text
        assert admin.post(f"/admin/privileges/{name}/delete").status_code == 400
    assert admin.post("/admin/privileges/nx-users-read", description="x").status_code == 400


def test_lists_are_by_key_in_as_many_statements(admin, security):
    assert "Nobody has made a privilege" in admin.get("/admin/privileges").text
    assert "No content selectors yet" in admin.get("/admin/selectors").text
    names = [f"p{number:03}" for number in range(210)]
    for name in names:
        save_privilege(Privilege(name, "wildcard", "", {"pattern": "nexus:x:read"}))
        security.selectors.create(SelectorRow(name, MINE))
    for url in ("/admin/privileges", "/admin/selectors"):
        found, count = pages_of(admin, url)
        assert found == names
        assert count <= 12
    found, count = pages_of(admin, "/admin/privileges?origin=program")
    assert {"nx-all", "nx-users-read"} <= set(found)
    found, count = pages_of(admin, "/admin/privileges?origin=repositories&type=repository-admin")
    assert "nx-repository-admin-raw-files-edit" in found
    assert "nx-repository-view-raw-files-edit" not in found
    assert count <= 12
    assert pages_of(admin, "/admin/privileges?filter=P20")[0] == names[200:210]
