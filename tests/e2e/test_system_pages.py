"""Tasks in a browser, as an administrator uses them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.chromium import open_chromium
from tests.gallery.installed import gallery_server
from tests.live import LiveServer
from tests.page_checks import check_page, open_page, sign_in


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    server = gallery_server(tmp_path_factory.mktemp("system"))
    yield server.start()
    server.end()


def test_a_task_is_created_watched_stopped_scheduled_and_deleted(chromium, server):
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin, to="/admin/tasks")
        page.get_by_role("link", name="Create task").click()
        page.get_by_role("link", name="Dust shelves").click()
        page.get_by_label("Name").fill("Spring")
        page.get_by_label("Shelves").fill("1000000")
        page.get_by_text("Daily", exact=True).click()
        page.get_by_label("Time", exact=True).fill("03:00")
        page.get_by_label("Time zone").fill("Europe/Berlin")
        page.get_by_label("Time zone").blur()
        expect(page.get_by_text("03:00 Europe/Berlin")).to_be_visible()
        page.get_by_role("button", name="Create and run now").click()
        expect(page.get_by_role("heading", name="Spring", level=1)).to_be_visible()
        # The log and the progress go on while nobody touches anything.
        expect(page.get_by_text("Dusted shelf 1.", exact=True)).to_be_visible()
        expect(page.get_by_role("progressbar")).to_be_visible()
        assert check_page(page, page.url.removeprefix(server.main_url)) == []
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("stopped: The task was stopped.")).to_be_visible(timeout=30_000)
        expect(page.get_by_role("progressbar")).to_have_count(0)
        _change_and_delete(page, server)


def _change_and_delete(page, server):
    page.get_by_role("link", name="Change").click()
    page.get_by_text("Weekly", exact=True).click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("1 field needs another value")).to_be_visible()
    page.get_by_label("Sunday").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("weekly, Sunday 03:00 Europe/Berlin")).to_be_visible()
    page.get_by_role("button", name="More about Spring").click()
    page.get_by_role("link", name="Delete …").click()
    assert check_page(page, page.url.removeprefix(server.main_url)) == []
    page.get_by_role("button", name="Delete task").click()
    expect(page.get_by_text("Spring was deleted.")).to_be_visible()
