"""The page about the REST API in a real browser: from local files, and without a complaint."""

import pytest
from playwright.sync_api import Page

from tests.chromium import open_chromium
from tests.e2e.test_web import sign_in


@pytest.fixture
def page(shared_server):
    """A page; what the browser complains of, or asks another host for, fails the test."""
    complaints, asked = [], []
    with open_chromium() as browser:
        page = browser.new_page(base_url=shared_server.main_url)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        yield page
    assert complaints == []
    local = (f"{shared_server.main_url}/", "data:", "blob:")
    assert [each for each in asked if not each.startswith(local)] == []


def run(page: Page, operation: str) -> str:
    """Send a request by hand, and return its status."""
    block = page.locator(f"#operations-{operation}")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    return block.locator(".live-responses-table .response-col_status").last.inner_text()


def test_the_api_is_read_and_tried(page, shared_server, tmp_path):
    page.goto("/account")
    sign_in(page, *shared_server.admin)
    page.goto("/service/rest/swagger")
    page.get_by_role("heading", name="Tasks").wait_for()
    page.screenshot(path=tmp_path / "swagger.png", full_page=True)
    page.get_by_role("heading", name="Tasks").click()
    assert run(page, "Tasks-list_tasks") == "200"
    page.screenshot(path=tmp_path / "tried.png", full_page=True)


def test_a_file_that_is_not_of_the_page_is_not_sent(shared_server, page):
    for name in ("oauth2-redirect.html", "..%2fflask_swagger_ui.py", "swagger-ui.js"):
        assert page.request.get(f"/service/rest/swagger/{name}").status == 404
