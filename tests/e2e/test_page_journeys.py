"""What goes wrong between people and pages: two at once, a session that ends, no scripts."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.clock import wait_until
from tests.live import LiveServer, live_server
from tests.page_checks import open_page, sign_in


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("journeys")) as server:
        yield server


def create_raw(page: Page, name: str) -> None:
    """Create a hosted repository by its form."""
    page.goto("/admin/repositories")
    page.get_by_role("link", name="Create repository").click()
    page.get_by_role("link", name="Raw hosted").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text(f"{name} was created")).to_be_visible()


def test_of_two_people_the_second_is_told_what_the_first_has_changed(chromium, server):
    with (
        open_page(chromium, server.main_url) as first,
        open_page(chromium, server.main_url) as second,
    ):
        sign_in(first, *server.admin)
        sign_in(second, *server.admin)
        create_raw(first, "shared-by-two")
        for page in (first, second):
            page.goto("/admin/repositories/shared-by-two")
        first.get_by_label("Read-only: nothing is stored, replaced or deleted").check()
        first.get_by_role("button", name="Save").click()
        expect(first.get_by_role("status").first).to_be_visible()
        second.get_by_label("Disable redeploy: everything is stored once").check()
        second.get_by_role("button", name="Save").click()
        expect(second.get_by_text("Somebody has changed this")).to_be_visible()
        second.goto("/admin/repositories/shared-by-two")
        kept = second.get_by_label("Read-only: nothing is stored, replaced or deleted")
        expect(kept).to_be_checked()


def test_what_was_typed_outlives_the_session(chromium, server):
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin)
        page.goto("/admin/roles/-/new")
        page.get_by_label("Id", exact=True).fill("typed-before-the-end")
        server.cli("session", "end", "admin")
        # The server notices what another process has changed within a second.
        account = f"{server.main_url}/account"
        wait_until(lambda: page.request.get(account, max_redirects=0).status != 200, what="the end")
        page.get_by_role("button", name="Create role").click()
        expect(page.get_by_text("Your session has ended").first).to_be_visible()
        page.get_by_label("User name").fill(server.admin[0])
        page.get_by_label("Password").fill(server.admin[1])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("typed-before-the-end")


def test_without_scripts_pages_are_read_and_forms_sent(chromium, server):
    context = chromium.new_context(base_url=server.main_url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, *server.admin)
    create_raw(page, "without-scripts")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Browse").click()
    page.get_by_role("link", name="without-scripts", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("without-scripts")
    page.goto("/admin/repositories/without-scripts/delete")
    page.get_by_role("textbox").last.fill("without-scripts")
    page.get_by_role("button", name="Delete the repository").click()
    expect(page.get_by_text("without-scripts was deleted")).to_be_visible()
    page.goto("/admin/tasks")
    page.get_by_role("link", name="Create task").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    context.close()
