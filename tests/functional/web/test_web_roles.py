"""The pages about roles: matrices that write privileges, roles within, what is refused."""

import re

import pytest

from repoman.security.rights_records import Role, SelectorRow
from tests.statements import executed_statements

HOSTILE = '"><script>alert(1)</script>'
LINE = "content:raw:files:"
TEXT = {"id": "team", "name": "", "description": "Of the team"}


@pytest.fixture
def admin(browser):
    browser.log_in()
    browser.get("/account")
    return browser


@pytest.fixture
def roles(repoman):
    return repoman.security.roles


def follow(browser, answer):
    assert answer.status_code == 303, answer.text
    return browser.get(answer.location)


def sent_by(page):
    """What a browser sends of the form of a role as it is."""
    found: dict[str, list[str]] = {}
    form = re.search(r"<form method=\"post\" action=\"/admin/roles.*?</form>", page.text, re.S)[0]
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        is_box = attributes.get("type") == "checkbox"
        is_off = is_box and not re.search(r"\bchecked\b", tag)
        if "name" in attributes and not is_off and not re.search(r"\bdisabled\b", tag):
            found.setdefault(attributes["name"], []).append(attributes.get("value", ""))
    found.pop("csrf_token", None)
    return found


def cell(page, label):
    """Whether a box is ticked, and whether it is fixed."""
    tag = re.search(rf'<input class="pick"[^>]*aria-label="{re.escape(label)}"[^>]*>', page.text)[0]
    return bool(re.search(r"\bchecked\b", tag)), bool(re.search(r"\bdisabled\b", tag))


def test_they_are_for_those_who_have_the_right(repoman, open_browser, roles):
    roles.create(Role("readers", "", "", ("nx-roles-read",)))
    repoman.users.create("eve", "a password", ["readers"])
    repoman.users.create("bob", "a password", ["nx-developer"])
    stranger, eve, bob = open_browser(), open_browser(), open_browser()
    eve.log_in("eve", "a password")
    bob.log_in("bob", "a password")
    for path in ("", "/-/new", "/readers", "/readers/delete"):
        assert stranger.get(f"/admin/roles{path}").status_code == 303
        assert bob.get(f"/admin/roles{path}").status_code == 403
    assert eve.get("/admin/roles").status_code == 200
    page = eve.get("/admin/roles/readers")
    assert "Save role" not in page.text
    assert eve.post("/admin/roles/readers", **TEXT).status_code == 403
    assert eve.post("/admin/roles/readers/delete").status_code == 403
    assert eve.get("/admin/roles/-/new").status_code == 403


def test_a_tick_writes_the_privilege_with_the_known_name(admin, roles):
    admin.get("/admin/roles/-/new")
    answer = admin.post(
        "/admin/roles/-/new",
        **TEXT,
        line=[LINE, "content:*:*:", "settings:raw:files:"],
        tick=[f"{LINE}:read", "content:*:*::browse", "settings:raw:files::*"],
        privilege=["nx-tasks-run", "nx-users-read\n nx-licensing-read \n"],
        **{"within.roles": "nx-anonymous"},
    )
    page = follow(admin, answer)
    assert "The role team was created." in page.text
    role = roles.get("team")
    assert role.privileges == (
        "nx-licensing-read",
        "nx-repository-admin-raw-files-*",
        "nx-repository-view-*-*-browse",
        "nx-repository-view-raw-files-read",
        "nx-tasks-run",
        "nx-users-read",
    )
    assert role.roles == ("nx-anonymous",)
    assert cell(page, "read in files") == (True, False)
    assert cell(page, "browse in files") == (True, True)
    assert cell(page, "edit in files") == (False, False)
    assert cell(page, "delete in files (settings)") == (True, True)
    assert cell(page, "run of tasks") == (True, False)
    assert "nx-licensing-read" in page.text


def test_sending_a_form_as_it_is_changes_nothing(repoman, admin, roles):
    repoman.security.selectors.create(SelectorRow("mine", 'path =^ "/mine/"'))
    properties = {"format": "raw", "repository": "files", "selector": "mine"}
    repoman.security.privileges.create(
        "both", "repository-content-selector", {**properties, "actions": ["add", "edit"]}
    )
    repoman.security.privileges.create(
        "view", "repository-view", {"format": "raw", "repository": "files", "actions": ["read"]}
    )
    names = ("both", "nx-all", "nx-audit-create", "nx-repository-view-raw-*-*", "view")
    names = tuple(sorted((*names, "nx-repository-admin-*-*-read", "nx-script-*-read")))
    roles.create(Role("team", "Team", "Text", names, ("nx-anonymous",)))
    before = roles.get("team")
    follow(admin, admin.post("/admin/roles/team", **sent_by(admin.get("/admin/roles/team"))))
    assert roles.get("team") == before


def test_a_line_with_a_selector_makes_a_privilege_once(repoman, admin, roles):
    repoman.security.selectors.create(SelectorRow("mine", 'path =^ "/mine/"'))
    roles.create(Role("team", "", "", ()))
    sent = sent_by(admin.get("/admin/roles/team"))
    sent["id"] = ["team"]
    more = {"add": "1", "add.kind": "content", "add.repository": "files", "add.selector": "mine"}
    page = admin.post("/admin/roles/team", **sent, **more)
    assert page.status_code == 200
    assert cell(page, "add in files selected by mine") == (False, False)
    assert roles.get("team").privileges == ()
    line = "content:raw:files:mine"
    sent = sent_by(page)
    sent["tick"] = [f"{line}:add", f"{line}:read"]
    follow(admin, admin.post("/admin/roles/team", **sent))
    assert roles.get("team").privileges == ("mine-raw-files-add", "mine-raw-files-read")
    roles.create(Role("other", "", "", ()))
    admin.post("/admin/roles/other", line=[line], tick=[f"{line}:add"])
    assert roles.get("other").privileges == ("mine-raw-files-add",)
    sent = sent_by(admin.get("/admin/roles/team"))
    sent["tick"] = [f"{line}:read"]
    follow(admin, admin.post("/admin/roles/team", **sent))
    assert roles.get("team").privileges == ("mine-raw-files-read",)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"id": "nx-mine"}, "reserved for built-in names"),
        ({"id": ""}, "Is required"),
        ({"id": HOSTILE}, "is not a valid name"),
        ({"privilege": "nothing"}, "there is no privilege"),
        ({"within.roles": "nothing"}, "there is no role"),
        ({"line": "x", "tick": "y"}, "is not a line of rights"),
        ({"line": LINE, "tick": f"{LINE}:fly"}, "there is no privilege"),
        ({"line": f"{LINE}none", "tick": f"{LINE}none:add"}, "There is no content selector"),
        ({"add": "1", "add.repository": "nothing"}, "There is no repository"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(admin, roles, fields, said):
    admin.get("/admin/roles/-/new")
    answer = admin.post("/admin/roles/-/new", **{**TEXT, **fields})
    assert answer.status_code == 400
    assert said.lower() in answer.text.lower()
    assert 'value="Of the team"' in answer.text
    assert HOSTILE not in answer.text
    assert len(roles.all()) == 3


def test_circles_are_refused_by_name(admin, roles):
    roles.create(Role("one", "", "", ()))
    roles.create(Role("two", "", "", (), ("one",)))
    answer = admin.post("/admin/roles/one", name="one", **{"within.roles": "two"})
    assert answer.status_code == 400
    assert "would include &#39;two&#39;, which includes &#39;one&#39;" in answer.text
    assert roles.get("one").roles == ()


def test_the_last_administrator_stays(repoman, admin, roles):
    roles.create(Role("boss", "", "", ("nx-all",)))
    repoman.users.create("root", "a password", ["boss"])
    repoman.users.change("admin", roles=["boss"])
    answer = admin.post("/admin/roles/boss", name="boss")
    assert answer.status_code == 409
    assert "nobody could administer the server" in answer.text
    assert admin.post("/admin/roles/boss/delete").status_code == 409
    assert roles.get("boss").privileges == ("nx-all",)


def test_built_in_roles_are_shown_and_copied(admin, roles):
    page = admin.get("/admin/roles/nx-developer")
    assert "belongs to the program" in page.text
    assert "Save role" not in page.text
    assert cell(page, "everything in all repositories") == (True, True)
    assert admin.post("/admin/roles/nx-developer").status_code == 400
    assert "neither changed nor deleted" in admin.get("/admin/roles/nx-developer/delete").text
    new = sent_by(admin.get("/admin/roles/-/new?like=nx-developer"))
    follow(admin, admin.post("/admin/roles/-/new", **{**new, "id": "devs"}))
    assert roles.get("devs").privileges == tuple(sorted(roles.get("nx-developer").privileges))


def test_who_may_not_read_roles_copies_none(repoman, browser_of, roles):
    properties = {"domain": "roles", "actions": ["create"]}
    repoman.security.privileges.create("blind", "application", properties)
    roles.create(Role("team", "", "", ("nx-licensing-read",)))
    ann = browser_of("blind")
    assert ann.get("/admin/roles/-/new").status_code == 200
    for like in ("team", "nothing"):
        answer = ann.get(f"/admin/roles/-/new?like={like}")
        assert answer.status_code == 403
        assert "nx-licensing-read" not in answer.text


def test_a_role_is_deleted_after_a_page_that_says_who_loses_it(repoman, admin, roles):
    roles.create(Role("one", "", "", ()))
    roles.create(Role("two", "", "", (), ("one",)))
    repoman.users.create("bob", "a password", ["one"])
    page = admin.get("/admin/roles/one/delete").text
    assert "1 user loses its rights" in page
    assert "It is taken from the roles <b>two</b>" in page
    follow(admin, admin.post("/admin/roles/one/delete"))
    assert repoman.users.get("bob").roles == ()
    assert admin.get("/admin/roles/one").status_code == 404


def test_lists_are_by_key_in_as_many_statements(repoman, admin, roles):
    for number in range(205):
        roles.create(Role(f"R{number:03}", "", HOSTILE.replace('"', "") if number == 7 else "", ()))
    found, counts, url = [], [], "/admin/roles"
    while url:
        with executed_statements() as statements:
            page = admin.get(url)
        counts.append(len(statements))
        found += re.findall(r'is-name nowrap"><a href="/admin/roles/([^"]+)"', page.text)
        after = re.search(r'href="([^"]+)" rel="next"', page.text)
        url = after and after[1].replace("&amp;", "&")
    assert found == [each.id for each in roles.all()]
    assert max(counts) <= 12
    assert "<script>alert" not in admin.get("/admin/roles?filter=r007").text
    assert "No roles match" in admin.get("/admin/roles?filter=zzz").text


def test_a_matrix_has_lines_with_rights_and_a_page_of_repositories(repoman, admin, roles):
    def count():
        with executed_statements() as statements:
            page = admin.get("/admin/roles/team")
        return len(statements), page

    roles.create(Role("team", "", "", ("nx-repository-view-raw-files-read",)))
    count()
    before, _ = count()
    for number in range(60):
        repoman.repositories.create(f"a{number:02}", "raw-hosted", {})
    count()
    after, page = count()
    assert after == before
    assert cell(page, "read in files") == (True, False)
    assert 'aria-label="read in a49"' in page.text
    assert 'aria-label="read in a50"' not in page.text
    found = admin.get("/admin/roles/team?filter=a5")
    sent = sent_by(found)
    sent["tick"] = ["content:raw:a55::add"]
    follow(admin, admin.post("/admin/roles/team?filter=a5", **sent))
    assert roles.get("team").privileges == (
        "nx-repository-view-raw-a55-add",
        "nx-repository-view-raw-files-read",
    )
