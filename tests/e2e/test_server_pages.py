"""An administrator looks after a server in the browser: from Home to what is wrong, and the log."""

import re
import zipfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.page_checks import open_page, sign_in


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium, shared_server) -> Iterator[Page]:
    """A page of the shared server, as its administrator sees it."""
    with open_page(chromium, shared_server.main_url) as page:
        sign_in(page, *shared_server.admin, to="/admin/doctor")
        yield page


def go_to(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
    page.get_by_role("heading", level=1, name=name).wait_for()


def test_what_the_doctor_finds_is_told_and_checked_again(page):
    page.get_by_role("button", name="Check again").click()
    page.get_by_text("All checks were made:").wait_for()
    found = "The administrator still has the first password"
    page.get_by_role("button", name=f"Check this again: {found}").click()
    page.get_by_text("1 thing needs attention.").wait_for()
    go_to(page, "Home")
    notice = page.get_by_role("status").filter(has_text=found)
    notice.get_by_role("link", name="Open the doctor").click()
    card = page.get_by_role("region", name="Needs attention")
    assert found in card.inner_text()
    assert "repoman user password admin" in card.inner_text()
    page.get_by_role("region", name="Fine").get_by_text("Connectors", exact=True).wait_for()


def test_each_connector_is_listed(page, shared_server):
    go_to(page, "Connectors")
    row = page.get_by_role("row", name="docker-hosted")
    assert shared_server.registry.rpartition(":")[2] in row.inner_text()
    expect(row).to_contain_text("listens")


def test_the_log_follows_and_is_filtered(page):
    go_to(page, "Logs")
    page.get_by_label("Log level").select_option("DEBUG")
    page.get_by_role("button", name="Set for 10 minutes").click()
    page.get_by_text("The server logs from DEBUG on for another").wait_for()
    page.get_by_role("button", name="Back to INFO").click()
    page.get_by_text("The level of the settings counts again.").wait_for()
    log = page.get_by_role("list", name="Log", exact=True)
    expect(log).to_contain_text("listens on")
    page.get_by_label("Filter lines").fill("nothing of this kind")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="No lines fit").wait_for()
    page.get_by_role("link", name="Errors").click()
    assert page.url.endswith("level=ERROR&filter=nothing+of+this+kind")


def test_the_support_bundle_is_saved(page, tmp_path):
    go_to(page, "Information")
    expect(page.get_by_role("row", name="docker 0")).to_contain_text("loaded")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Support bundle").click()
    assert re.fullmatch(r"support-[\d-]+\.zip", saving.value.suggested_filename)
    saving.value.save_as(tmp_path / "support.zip")
    with zipfile.ZipFile(tmp_path / "support.zip") as archive:
        assert "repoman-support/system.json" in archive.namelist()
