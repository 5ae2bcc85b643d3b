"""The pages about users: who sees them, what they change, how many statements a list takes."""

import re

import pytest

from repoman.security.actors import Action, Limit
from repoman.security.rights_records import Role
from repoman.security.user_records import Status, insert_user, update_user
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser
from tests.statements import executed_statements

HOSTILE = '"><script>alert(1)</script>'
NEW = {"name": "ann", "password": "first password", "must_change": "on"}
NEW |= {"profile.first_name": "Ann", "profile.last_name": HOSTILE, "profile.email": "ann@acme.test"}


@pytest.fixture
def admin(browser):
    browser.log_in()
    browser.get("/account")
    return browser


def names_in(answer):
    assert answer.status_code == 200, answer.text
    return re.findall(r'class="cut" href="/admin/users/([^"]+)"', answer.text)


def follow(browser, answer):
    assert answer.status_code == 303, answer.text
    return browser.get(answer.location)


def next_of(answer):
    found = re.search(r'href="([^"]+)" rel="next"', answer.text)
    return found and found[1].replace("&amp;", "&")


def log_in_as(repoman, open_browser, *privileges):
    repoman.security.roles.create(Role("some", "", "", privileges, ()))
    repoman.users.create("eve", "a password", ["some"])
    browser = open_browser()
    browser.log_in("eve", "a password")
    return browser


PAGES = ("", "/-/new", "/bob", "/bob/profile", "/bob/tokens", "/bob/sessions", "/bob/delete")


def test_nobody_without_the_right_gets_a_page(repoman, open_browser):
    repoman.users.create("bob", "a password")
    stranger, eve = open_browser(), log_in_as(repoman, open_browser, "nx-roles-read")
    for page in (*(f"/admin/users{each}" for each in PAGES), "/admin/tokens"):
        assert stranger.get(page).status_code == 303
        assert eve.get(page).status_code == 403
    assert "/admin/users" not in eve.get("/account").text


def test_who_may_only_read_sees_no_button_and_changes_nothing(repoman, open_browser):
    repoman.users.create("bob", "a password")
    eve = log_in_as(repoman, open_browser, "nx-users-read")
    assert "bob" in names_in(eve.get("/admin/users"))
    page = eve.get("/admin/users/bob").text
    for button in ("Save roles", "Lock", "Delete"):
        assert button not in page
    for path, fields in (
        ("", {"roles": "nx-admin"}),
        ("/status", {"status": "locked"}),
        ("/profile", {"standing.status": "locked"}),
        ("/password", {"password": "another one", "again": "another one"}),
        ("/delete", {}),
        ("/tokens", {"name": "x", "days": "3", "actions": "Reading"}),
    ):
        assert eve.post(f"/admin/users/bob{path}", **fields).status_code == 403, path
    assert repoman.users.get("bob").roles == ()
    assert repoman.users.get("bob").is_active


def test_only_who_may_do_everything_sets_passwords_and_makes_tokens(repoman, open_browser):
    repoman.users.create("bob", "a password")
    eve = log_in_as(repoman, open_browser, "nx-users-all")
    assert "New password" not in eve.get("/admin/users/bob/profile").text
    assert "Create a token" not in eve.get("/admin/users/bob/tokens").text
    fields = {"password": "another one", "again": "another one"}
    assert eve.post("/admin/users/bob/password", **fields).status_code == 403


def test_a_user_is_created_and_may_log_in(repoman, admin, open_browser):
    admin.get("/admin/users/-/new")
    answer = follow(
        admin, admin.post("/admin/users/-/new", **NEW, **{"access.roles": "nx-developer"})
    )
    assert "The user ann was created." in answer.text
    assert HOSTILE not in answer.text
    user = repoman.users.get("ann")
    assert (user.roles, user.status, user.email) == (
        ("nx-developer",),
        Status.CHANGE_PASSWORD,
        "ann@acme.test",
    )
    assert open_browser().log_in("ann", "first password").status_code == 303


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "-"}, "is not a valid user name"),
        ({"name": "admin"}, "already exists"),
        ({"password": ""}, "Is required"),
        ({"password": "short"}, "Must have 8 to 1000 characters"),
        ({"access.roles": "no-such-role"}, "there is no role"),
    ],
)
def test_what_is_wrong_with_a_new_user_is_said_and_the_rest_stays(admin, repoman, fields, said):
    admin.get("/admin/users/-/new")
    answer = admin.post("/admin/users/-/new", **{**NEW, **fields})
    assert answer.status_code in (400, 409)
    assert said.lower() in answer.text.lower()
    assert 'value="ann@acme.test"' in answer.text
    assert "first password" not in answer.text
    assert [each.name for each in repoman.users.all()] == ["admin"]


def test_a_robot_has_no_password_and_gets_a_token(repoman, admin):
    assert "New password" not in admin.get("/admin/users/-/new?robot=").text
    answer = admin.post("/admin/users/-/new", name="ci", robot="1")
    page = follow(admin, answer)
    assert "needs a token to log in" in page.text
    assert not repoman.users.get("ci").has_password
    fields = {"days": "30", "actions": "Reading", "repositories": "", "names": ""}
    made = admin.post("/admin/users/ci/tokens", name="build", **fields)
    [secret] = set(re.findall(r"rpm_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", made.text))
    assert secret not in admin.get("/admin/users/ci/tokens").text
    again = admin.post("/admin/users/ci/tokens", name="build", **fields)
    assert again.status_code == 400
    assert "already has a token" in again.text


def test_lists_are_narrowed_down(repoman, admin):
    repoman.users.create("bob", "a password", about={"email": "bob@acme.test"})
    repoman.users.create("ci", None)
    insert_user("jo", "", realm="ldap")
    update_user("jo", last_login_at=50.0)
    update_user("ci", last_login_at=100.0)
    assert names_in(admin.get("/admin/users?filter=ACME.test")) == ["bob"]
    assert names_in(admin.get("/admin/users?kind=robots")) == ["ci"]
    assert names_in(admin.get("/admin/users?kind=people")) == ["admin", "bob", "jo"]
    assert names_in(admin.get("/admin/users?realm=ldap")) == ["jo"]
    assert names_in(admin.get("/admin/users?order=login"))[1:] == ["ci", "jo", "bob"]
    assert "No users match" in admin.get("/admin/users?filter=nobody").text
    assert admin.get("/admin/users?after=x").status_code == 406


@pytest.mark.parametrize("order", ["name", "login"])
def test_pages_of_users_hold_each_once_in_as_many_statements(repoman, admin, order):
    token = repoman.security.user_tokens
    with repoman.database.transaction():
        for number in range(230):
            insert_user(f"U{number:03}" if number % 2 else f"u{number:03}", "")
            if number % 3:
                update_user(f"U{number:03}", last_login_at=float(number % 7))
    token.create("U001", "t", Limit())
    counts, found, url = [], [], f"/admin/users?order={order}"
    while url:
        with executed_statements() as statements:
            answer = admin.get(url)
        counts.append(len(statements))
        found += names_in(answer)
        url = next_of(answer)
    assert len(found) == len(set(found)) == 231
    assert max(counts) <= 12, counts
    with executed_statements() as few:
        admin.get("/admin/users?filter=u00")
    assert abs(len(few) - counts[-1]) <= 1


def test_roles_of_a_user_are_changed_and_conflicts_seen(repoman, admin):
    repoman.users.create("bob", "a password")
    page = admin.get("/admin/users/bob")
    revision = re.search(r'name="revision" value="([^"]+)"', page.text)[1]
    answer = admin.post("/admin/users/bob", revision=revision, roles=["nx-developer"])
    assert "The roles of bob were saved." in follow(admin, answer).text
    assert repoman.users.get("bob").roles == ("nx-developer",)
    stale = admin.post("/admin/users/bob", revision=revision, roles=["nx-admin"])
    assert stale.status_code == 409
    assert repoman.users.get("bob").roles == ("nx-developer",)


def test_the_last_administrator_stays(repoman, admin):
    answer = admin.post("/admin/users/admin", roles=["nx-developer"])
    assert answer.status_code == 409
    assert "nobody could administer the server" in answer.text
    assert (
        "cannot lock yourself out"
        in follow(admin, admin.post("/admin/users/admin/status", status="locked")).text
    )
    fields = {"profile.first_name": "", "standing.status": "locked"}
    assert admin.post("/admin/users/admin/profile", **fields).status_code == 400
    assert (
        "Nobody can delete the account that they use" in admin.get("/admin/users/admin/delete").text
    )
    assert admin.post("/admin/users/admin/delete").status_code == 400
    assert repoman.users.get("admin").is_active


def test_a_user_is_locked_and_let_in_again(repoman, admin, open_browser):
    repoman.users.create("bob", "a password")
    bob = open_browser()
    bob.log_in("bob", "a password")
    admin.post("/admin/users/bob/status", status="locked")
    assert not bob.is_in
    assert "bob may not log in" in admin.get("/admin/users/bob").text
    follow(admin, admin.post("/admin/users/bob/status", status="active"))
    assert repoman.users.get("bob").status == Status.ACTIVE


def test_who_never_used_the_password_is_still_asked_for_another_when_let_in(repoman, admin):
    repoman.users.create("bob", "first password", status=Status.CHANGE_PASSWORD)
    for status in ("locked", "active", "active"):
        page = follow(admin, admin.post("/admin/users/bob/status", status=status))
    assert "bob may log in again and is asked for another password." in page.text
    assert repoman.users.get("bob").status == Status.CHANGE_PASSWORD


def test_letting_in_who_is_not_locked_changes_nothing(repoman, admin, open_browser):
    repoman.users.create("bob", "first password", status=Status.CHANGE_PASSWORD)
    open_browser().log_in("bob", "first password")
    follow(admin, admin.post("/admin/users/bob/status", status="active"))
    assert repoman.users.get("bob").status == Status.CHANGE_PASSWORD


def test_profile_and_password_are_changed(repoman, admin, open_browser):
    repoman.users.create("bob", "a password")
    admin.get("/admin/users/bob/profile")
    fields = {
        "profile.first_name": HOSTILE,
        "profile.email": "b@x.test",
        "standing.status": "disabled",
    }
    page = follow(admin, admin.post("/admin/users/bob/profile", **fields))
    assert HOSTILE not in page.text
    assert repoman.users.get("bob").status == Status.DISABLED
    repoman.users.change("bob", status=Status.ACTIVE)
    wrong = admin.post("/admin/users/bob/password", password="another one", again="different")
    assert wrong.status_code == 400
    assert "The two passwords differ" in wrong.text
    admin.post("/admin/users/bob/password", password="another one", again="another one")
    assert open_browser().log_in("bob", "another one").status_code == 303
    own = admin.post("/admin/users/admin/password", password="another one", again="another one")
    assert own.status_code == 400


def test_a_user_of_another_realm_keeps_what_the_realm_says(repoman, admin):
    insert_user("jo", "", realm="ldap", first_name="Jo")
    page = admin.get("/admin/users/jo/profile").text
    assert "are those of LDAP" in page
    assert "New password" not in page
    fields = {"profile.first_name": "X", "standing.status": "locked"}
    admin.post("/admin/users/jo/profile", **fields)
    user = repoman.users.get("jo")
    assert (user.first_name, user.status) == ("Jo", Status.LOCKED)


def test_a_user_is_deleted_after_a_page_that_says_what_goes(repoman, admin):
    repoman.users.create("bob", "a password")
    repoman.security.user_tokens.create("bob", "t", Limit())
    assert "with 1 token and 0 sessions" in admin.get("/admin/users/bob/delete").text
    assert "was deleted" in follow(admin, admin.post("/admin/users/bob/delete")).text
    assert admin.get("/admin/users/bob").status_code == 404


def rights_of(answer, name):
    row = re.search(rf'<th scope="row">(?:(?!</tr>).)*{name}(.*?)</tr>', answer.text, re.S)[1]
    return re.findall(r'class="hidden">(yes|no|for some paths)<', row), row


def test_the_matrix_says_what_is_allowed_and_by_which_role(repoman, admin):
    repoman.security.roles.create(
        Role("readers", "", "", ("nx-repository-view-raw-files-read", "nx-audit-read"), ())
    )
    repoman.users.create("bob", "a password", ["readers"])
    page = admin.get("/admin/users/bob")
    cells, row = rights_of(page, "files")
    wanted = ["yes" if each == Action.READ else "no" for each in Action]
    assert cells == wanted
    assert "readers" in row
    assert rights_of(page, "the audit log")[0] == ["no", "yes", "no", "no"]
    yes = admin.get("/admin/users/bob?action=read&path=/a&repository=files")
    assert "by the role readers, with the privilege nx-repository-view-raw-files-read" in yes.text
    no = admin.get("/admin/users/bob?action=delete&path=a&repository=files")
    assert "No:" in no.text
    unknown = admin.get(f"/admin/users/bob?action=delete&repository={HOSTILE}")
    assert "There is no repository" in unknown.text
    assert HOSTILE not in unknown.text


def test_a_matrix_takes_as_many_statements_for_many_repositories(repoman, admin):
    def count(url):
        with executed_statements() as statements:
            assert admin.get(url).status_code == 200
        return len(statements)

    for url in ("/admin/users/admin", "/account/rights"):
        admin.get(url)
    before = [count("/admin/users/admin"), count("/account/rights")]
    for number in range(60):
        repoman.repositories.create(f"r{number:02}", "raw-hosted", {})
    for url in ("/admin/users/admin", "/account/rights"):
        page = admin.get(url)
        assert page.text.count('<th scope="row"><span') == 50
        assert admin.get(next_of(page)).text.count('<th scope="row"><span') == 11
        assert rights_of(admin.get(f"{url}?filter=R59"), "r59")[0] == ["yes"] * len(Action)
    assert [count("/admin/users/admin"), count("/account/rights")] == before


def test_tokens_of_all_users_are_listed_and_revoked(repoman, admin):
    tokens = repoman.security.user_tokens
    repoman.users.create("bob", "a password")
    tokens.create("bob", "endless", Limit(actions=frozenset({Action.READ})))
    tokens.create("admin", "short", Limit(), 3)
    page = admin.get("/admin/tokens")
    assert re.findall(r'<td class="is-name">([^<]+)<', page.text) == ["short", "endless"]
    assert re.findall(
        r'<td class="is-name">([^<]+)<', admin.get("/admin/tokens?kind=endless").text
    ) == ["endless"]
    assert "No tokens match" in admin.get("/admin/tokens?filter=zzz").text
    [token] = tokens.of_user("bob")
    url = f"/admin/tokens/bob/-/{token.id}/revoke"
    assert "refused from their next request on" in admin.get(url).text
    assert "Revoked the token endless of bob." in follow(admin, admin.post(url)).text
    assert admin.get(url).status_code == 404
    assert tokens.of_user("bob") == []


def test_pages_of_tokens_hold_each_once(repoman, admin):
    for number in range(3):
        repoman.users.create(f"u{number}", None)
        for each in range(50):
            repoman.security.user_tokens.create(f"u{number}", f"t{each:02}", Limit())
    found, counts, url = [], [], "/admin/tokens"
    while url:
        with executed_statements() as statements:
            answer = admin.get(url)
        counts.append(len(statements))
        found += re.findall(r"Revoke the token (\w+ of \w+)", answer.text)
        url = next_of(answer)
    assert len(found) == len(set(found)) == 150
    assert max(counts) <= 12


@pytest.fixture
def repoman(repoman_factory, clock):
    repoman = repoman_factory({"raw": raw, "web": web}, clock)
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


@pytest.fixture
def open_browser(repoman):
    return lambda: Browser(repoman)


def test_each_page_of_a_user_and_of_the_account_has_a_title_of_its_own(admin):
    paths = [f"/account{each}" for each in ("", "/password", "/sessions", "/rights")]
    paths += [f"/admin/users/admin{each}" for each in ("", "/tokens", "/sessions", "/profile")]
    found = [re.search(r"<title>(.*?)</title>", admin.get(each).text) for each in paths]
    titles = [each[1] for each in found if each]
    assert len(set(titles)) == len(paths)
    assert "Your account, sessions · repoman" in titles
