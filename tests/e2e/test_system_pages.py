"""Tasks, blob stores, the audit log and the mail server in a browser, as an administrator does."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.chromium import open_chromium
from tests.fakes.smtp import MailServer
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


def test_a_blob_store_is_created_gets_a_quota_and_is_deleted(chromium, server):
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin, to="/admin/blobstores")
        page.get_by_role("link", name="Create blob store").click()
        page.get_by_role("button", name="Create blob store").click()
        expect(page.get_by_text("Is required.")).to_be_visible()
        page.get_by_label("Name").fill("archive")
        page.get_by_label("If less is free than").check()
        page.get_by_label("Limit").fill("1000000")
        page.get_by_role("button", name="Create blob store").click()
        row = page.get_by_role("row").filter(has_text="archive")
        expect(row.get_by_text("beyond its quota")).to_be_visible()
        page.get_by_role("link", name="archive", exact=True).click()
        expect(page.get_by_role("heading", name="Damaged and missing blobs")).to_be_visible()
        page.get_by_role("button", name="Work on archive").click()
        page.get_by_role("link", name="Quotas …").click()
        page.get_by_label("Never").check()
        page.get_by_role("button", name="Save").click()
        expect(row.get_by_text("beyond its quota")).to_have_count(0)
        page.get_by_role("button", name="More about archive").click()
        page.get_by_role("link", name="Delete …").click()
        expect(page.get_by_role("button", name="Delete blob store")).to_be_disabled()
        assert check_page(page, page.url.removeprefix(server.main_url)) == []
        page.get_by_label("to delete it").fill("archive")
        page.get_by_role("button", name="Delete blob store").click()
        expect(page.get_by_text("archive was deleted.")).to_be_visible()
        page.get_by_role("button", name="Work on all blob stores").click()
        page.get_by_role("button", name="Verify now").click()
        expect(page.get_by_text("damaged or missing: 0").first).to_be_visible(timeout=60_000)


def test_the_mail_server_is_tried_and_the_audit_log_tells_it(chromium, server):
    mail = MailServer()
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin, to="/admin/email")
        page.get_by_label("Host optional").fill("127.0.0.1")
        page.get_by_label("Port").fill(str(mail.port))
        page.get_by_label("From address").fill("repoman@example.org")
        page.get_by_role("button", name="Save").click()
        page.get_by_label("To", exact=True).fill("ann@example.org")
        page.get_by_role("button", name="Send test message").click()
        expect(page.get_by_text("A test message was sent to ann@example.org.")).to_be_visible()
        assert len(mail.messages) == 1
        mail.stop()
        page.get_by_role("link", name="Audit log").click()
        page.get_by_label("Category").select_option("option")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("option change")).to_be_visible()
        assert check_page(page, page.url.removeprefix(server.main_url)) == []
        with page.expect_download() as found:
            page.get_by_role("link", name="As JSON lines").click()
        lines = found.value.path().read_text(encoding="utf-8").splitlines()
        assert {json.loads(each)["domain"] for each in lines} == {"option"}
