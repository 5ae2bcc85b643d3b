"""Rights in the browser, as a person gives them: by role and label."""

import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.live import free_port
from tests.page_checks import check_page, open_page, sign_in, violations

PASSWORD = "a first password"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium, shared_server) -> Iterator[Page]:
    with open_page(chromium, shared_server.main_url) as page:
        sign_in(page, *shared_server.admin)
        yield page


def follow(page: Page, name: str) -> None:
    """Follow a link of the navigation."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()


def test_a_role_with_a_selector_is_made_given_and_asked(page):
    mark = secrets.token_hex(4)
    make_selector(page, mark)
    make_role(page, mark)
    make_user(page, f"ann-{mark}", f"team-{mark}")
    matrix = page.get_by_role("table", name="Content of repositories")
    row = matrix.get_by_role("row", name="docker-hosted")
    expect(row).to_contain_text("for some paths")
    expect(row).to_contain_text(f"team-{mark}")
    for path, answer in (("/v2/mine/app/manifests/1", "Yes:"), ("/v2/other/manifests/1", "No:")):
        page.get_by_label("Action", exact=True).select_option("add")
        page.get_by_label("Path", exact=True).fill(path)
        page.get_by_label("in", exact=True).fill("docker-hosted")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_text(answer)).to_be_visible()
    assert violations(page) == []


def make_selector(page: Page, mark: str) -> None:
    """Make a content selector, after a mistake and a trial."""
    follow(page, "Content selectors")
    page.get_by_role("link", name="Create selector").first.click()
    page.get_by_label("Name").fill(f"mine-{mark}")
    page.get_by_label("Expression").fill('path =^ "/v2/mine/')
    page.get_by_label("Expression").press("Tab")
    expect(page.get_by_text("At character 9")).to_be_visible()
    page.get_by_label("Expression").fill('path =^ "/v2/mine/"')
    page.get_by_label("Paths of your own").fill("/v2/mine/app\n/v2/other")
    page.get_by_role("button", name="Try").click()
    tried = page.get_by_role("list", name="Paths of your own")
    rows = tried.get_by_role("listitem")
    expect(rows).to_have_text(["/v2/mine/appfits", "/v2/otherdoes not fit"])
    assert violations(page) == []
    page.get_by_role("button", name="Create selector").click()
    expect(page.get_by_text(f"The content selector mine-{mark} was created.")).to_be_visible()


def make_role(page: Page, mark: str) -> None:
    """Make a role that may read all, and add what the selector picks."""
    follow(page, "Roles")
    page.get_by_role("link", name="Create role").click()
    page.get_by_label("Id", exact=True).fill(f"team-{mark}")
    page.get_by_label("read in all docker repositories", exact=True).check()
    page.get_by_label("on", exact=True).select_option(f"mine-{mark}")
    page.get_by_label("of", exact=True).select_option("docker-hosted")
    page.get_by_role("button", name="Add line").click()
    page.get_by_label(f"add in docker-hosted selected by mine-{mark}").check()
    page.get_by_label("read of users", exact=True).check()
    page.get_by_role("button", name="Create role").click()
    expect(page.get_by_label("read in docker-hosted", exact=True)).to_be_disabled()
    expect(page.get_by_label("read in docker-hosted", exact=True)).to_be_checked()


def make_user(page: Page, name: str, role: str) -> None:
    """Make a user who keeps the first password."""
    follow(page, "Users")
    page.get_by_role("link", name="Create user").click()
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Is asked for another password").uncheck()
    page.get_by_label(role).check()
    page.get_by_role("button", name="Create user").click()


def test_a_user_with_few_rights_finds_only_these_pages(page, chromium, shared_server):
    mark = secrets.token_hex(4)
    make_user(page, f"bob-{mark}", "nx-developer")
    with open_page(chromium, shared_server.main_url) as own:
        sign_in(own, f"bob-{mark}", PASSWORD)
        navigation = own.get_by_role("navigation", name="Main")
        for name in ("Users", "Roles", "Tokens", "LDAP", "Realms", "Certificates"):
            expect(navigation.get_by_role("link", name=name, exact=True)).to_have_count(0)
        page.get_by_role("button", name="Lock").click()
        expect(page.get_by_text("all sessions and logins have ended")).to_be_visible()
        own.goto("/account")
        own.get_by_label("Password").wait_for()
    page.get_by_role("link", name="Delete …").click()
    page.get_by_role("button", name=f"Delete bob-{mark}").click()
    expect(page.get_by_text(f"The user bob-{mark} was deleted.")).to_be_visible()


def test_a_robot_gets_a_token_that_an_administrator_revokes(page):
    mark = secrets.token_hex(4)
    follow(page, "Users")
    page.get_by_role("link", name="Create robot").click()
    page.get_by_label("User name").fill(f"ci-{mark}")
    page.get_by_role("button", name="Create robot").click()
    page.get_by_label("Name", exact=True).fill("build")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_label("Secret of the token build", exact=True)).to_contain_text("rpm_")
    assert violations(page) == []
    follow(page, "Tokens")
    page.get_by_label("Filter by token or user").fill(f"ci-{mark}")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=f"Revoke the token build of ci-{mark} …").click()
    page.get_by_role("button", name="Revoke build").click()
    expect(page.get_by_text(f"Revoked the token build of ci-{mark}.")).to_be_visible()


def test_a_certificate_of_a_server_is_refused_beside_its_field(page):
    follow(page, "Certificates")
    page.get_by_role("link", name="Add certificate").first.click()
    page.get_by_label("PEM").fill("no certificate")
    page.get_by_role("button", name="Add certificate").click()
    expect(page.get_by_role("alert")).to_contain_text("not a certificate in PEM format")
    expect(page.get_by_label("PEM")).to_have_value("no certificate")
    assert check_page(page, "/admin/realms") == []


def test_an_ldap_server_that_does_not_answer_says_so_before_it_is_saved(page):
    mark = secrets.token_hex(4)
    follow(page, "LDAP")
    page.get_by_role("link", name="Add LDAP server").first.click()
    page.get_by_label("Name", exact=True).fill(f"staff-{mark}")
    page.get_by_label("Protocol").select_option("LDAP")
    page.get_by_label("Host").fill("localhost")
    page.get_by_label("Port").fill(str(free_port()))
    page.get_by_label("Search base").fill("dc=example,dc=com")
    page.get_by_label("Log in for searches").select_option("NONE")
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("It does not work")).to_be_visible()
    expect(page.get_by_label("Host")).to_have_value("localhost")
    page.get_by_role("button", name="Add LDAP server").click()
    expect(page.get_by_text("was added. Its users can log in at once.")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Remove …").click()
    page.get_by_role("button", name=f"Remove staff-{mark}").click()
    expect(page.get_by_text(f"The LDAP server staff-{mark} was removed.")).to_be_visible()
