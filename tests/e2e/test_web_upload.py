"""Uploads as a person makes them in a browser, with its script and without."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.clock import WAIT_S
from tests.live import LiveServer, live_server
from tests.page_checks import keep_picture, open_page, sign_in, violations


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("upload")) as server:
        policy = ("--set", "storage.write_policy=allow_once")
        server.cli("repo", "create", "raw-hosted", "files", *policy)
        server.cli("repo", "create", "raw-hosted", "firmware")
        yield server


def choose(page: Page, folder: str, *files: tuple[str, bytes]) -> None:
    """Fill the form in and send it."""
    page.get_by_label("Folder").fill(folder)
    chosen = [{"name": name, "mimeType": "", "buffer": content} for name, content in files]
    page.get_by_label("Choose files").set_input_files(chosen)


def stored(server: LiveServer, path: str) -> bytes:
    url = f"{server.main_url}/repository/files/{path}"
    return requests.get(url, auth=server.admin, timeout=WAIT_S).content


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_files_are_uploaded_and_each_says_what_became_of_it(chromium, server, scheme):
    with open_page(chromium, server.main_url, scheme=scheme) as page:
        sign_in(page, *server.admin, to="/upload")
        assert violations(page) == []
        keep_picture(page, "upload-choice", "wide")
        page.get_by_role("link", name="files", exact=False).first.click()
        choose(page, f"{scheme}/x2", ("large.bin", b"L" * 3_000_000), ("CHANGES.txt", b"news"))
        chosen = page.get_by_role("list", name="Chosen files")
        expect(chosen.get_by_role("listitem")).to_have_count(2)
        expect(chosen).to_contain_text("2.9 MiB")
        assert violations(page) == []
        keep_picture(page, "upload-chosen", "wide")
        page.get_by_role("button", name="Upload").click()
        page.get_by_role("main").get_by_text("2 files were stored in files.").wait_for()
        assert stored(server, f"{scheme}/x2/large.bin") == b"L" * 3_000_000
        choose(page, f"{scheme}/x2", ("large.bin", b"other"), ("more.txt", b"more"))
        page.get_by_role("button", name="Upload").click()
        page.get_by_role("main").get_by_text("1 file was not stored").wait_for()
        told = page.get_by_role("region", name="Files of the last upload")
        expect(told).to_contain_text("cannot be replaced")
        expect(told.get_by_role("listitem")).to_have_count(2)
        expect(page.get_by_label("Folder")).to_have_value(f"{scheme}/x2")
        assert violations(page) == []
        keep_picture(page, "upload-done", "wide")
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        keep_picture(page, "upload-done", "narrow")


def test_files_are_uploaded_without_a_script(chromium, server):
    context = chromium.new_context(base_url=server.main_url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, *server.admin, to="/upload/files")
    choose(page, "plain", ("a.txt", b"a"), ("b.txt", b"b"))
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("main").get_by_text("2 files were stored in files.").wait_for()
    assert stored(server, "plain/b.txt") == b"b"
    context.close()
