"""The search as a person does it, with the keyboard alone: login, search, tag, copy."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.e2e.pushed_images import APP, push_images
from tests.live import LiveServer, live_server
from tests.page_checks import keep_picture, open_page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("search")) as server:
        push_images(server, tmp_path_factory.mktemp("images"))
        yield server


def tab_until(page: Page, is_there: Callable[[], bool], most: int = 80) -> None:
    """Press Tab until the right thing is focused."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if is_there():
            return
    raise AssertionError("It was not reached with Tab.")


def test_a_search_by_keyboard(chromium, server):
    with open_page(chromium, server.main_url) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto("/login?next=/browse")
        page.get_by_label("User name").focus()
        page.keyboard.type(server.admin[0])
        page.keyboard.press("Tab")
        page.keyboard.type(server.admin[1])
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Browse").wait_for()
        page.keyboard.press("/")
        page.keyboard.type("2.14.1")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Tags").wait_for()
        keep_picture(page, "search-journey", "wide")
        name = "(document.activeElement.innerText || '').trim()"
        tab_until(page, lambda: page.evaluate(name) == f"{APP}:2.14.1")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("2.14.1")
        assert page.url.endswith(f"/image/{APP}/-/tags/2.14.1")
        copied = "document.activeElement.dataset.copy || ''"
        tab_until(page, lambda: "pull" in page.evaluate(copied))
        page.keyboard.press("Enter")
        pulled = page.evaluate("navigator.clipboard.readText()")
        assert pulled.endswith(f"/{APP}:2.14.1")


def test_criteria_stay_in_the_form_and_in_the_address(chromium, server):
    with open_page(chromium, server.main_url) as page:
        page.goto("/login?next=/search")
        page.get_by_label("User name").fill(server.admin[0])
        page.get_by_label("Password").fill(server.admin[1])
        page.get_by_role("button", name="Sign in").click()
        search = page.get_by_role("search", name="Search")
        search.get_by_label("Name", exact=True).fill("platform/*")
        search.get_by_label("Version").fill("2.14*")
        search.get_by_label("Repository").select_option("docker-hosted")
        search.get_by_role("button", name="Search").click()
        page.get_by_role("link", name=f"{APP}:2.14.1").wait_for()
        expect(search.get_by_label("Version")).to_have_value("2.14*")
        page.reload()
        expect(page.get_by_role("link", name=f"{APP}:2.14.1")).to_be_visible()
        page.get_by_role("navigation", name="Kinds").get_by_role("link", name="Tags").click()
        expect(page.get_by_role("link", name=f"{APP}:2.14.1")).to_be_visible()
        search.get_by_role("link", name="Clear").click()
        page.get_by_role("heading", name="What are you looking for?").wait_for()
