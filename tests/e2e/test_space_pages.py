"""The pages about space in a browser: light, dark, on a phone, with charts that have some days."""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.chromium import open_chromium
from tests.clock import WAIT_S
from tests.live import LiveServer
from tests.page_checks import check_page, open_page, sign_in

DAY_S = 86_400.0
DAYS = 40
MIB = 1 << 20
PATHS = ("/", "/admin/space", "/browse/files/space", "/admin/blobstores/default")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    server = LiveServer(tmp_path_factory.mktemp("space"))
    server.start()
    for name in ("files", "more"):
        server.cli("repo", "create", "raw-hosted", name)
        for path, data in (("both.bin", b"x" * MIB), (f"{name}.bin", name.encode() * MIB)):
            url = f"{server.main_url}/repository/{name}/{path}"
            requests.put(url, data=data, auth=server.admin, timeout=WAIT_S).raise_for_status()
    _remember_days(server)
    yield server
    server.end()


def _remember_days(server):
    """Have the server know what there was on the last days, and what tasks freed."""
    today = time.time() // DAY_S * DAY_S
    with closing(sqlite3.connect(server.data / "repoman.db", timeout=WAIT_S)) as connection:
        [(id_,)] = connection.execute("SELECT id FROM repository WHERE name = 'files'")
        sizes = {
            f"repository {id_} size": 6,
            f"repository {id_} own": 5,
            "store default size": 10,
            "store default reclaimable": 1,
        }
        rows = [
            (name, "day", today - back * DAY_S, factor * MIB * (DAYS - back) / DAYS)
            for name, factor in sizes.items()
            for back in range(DAYS)
        ]
        rows += [("freed blobstore.compact", period, today, 3 * MIB) for period in ("hour", "day")]
        with connection:
            connection.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?)", rows)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_right_in_every_light_and_width(chromium, server, scheme):
    with open_page(chromium, server.main_url, scheme=scheme) as page:
        sign_in(page, *server.admin)
        assert [each for path in PATHS for each in check_page(page, path)] == []


def test_a_visitor_goes_from_the_server_to_what_fills_it(chromium, server):
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin, to="/")
        expect(page.get_by_text("3.0\u00a0MiB freed in 7\u00a0days")).to_be_visible()
        page.get_by_role("link", name="Space", exact=True).first.click()
        row = page.get_by_role("row").filter(has_text="files")
        expect(row.get_by_text("5.0\u00a0MiB")).to_be_visible()
        row.get_by_role("link", name="files").click()
        expect(page.get_by_role("heading", name=f"Over {DAYS} days")).to_be_visible()
        page.get_by_role("link", name="30 d", exact=True).click()
        expect(page.get_by_role("heading", name="Over 30 days")).to_be_visible()
        page.get_by_text("As a table").click()
        expect(page.get_by_role("row").filter(has_text="6.0\u00a0MiB").first).to_be_visible()


def test_where_a_damaged_blob_is_needed_has_room(chromium, server):
    digits = hashlib.sha256(b"more" * MIB).hexdigest()
    file = server.data / "blobs" / "default" / "sha256" / digits[:2] / digits
    whole = file.read_bytes()
    file.write_bytes(b"X" + whole[1:])
    assert server.cli("blob", "verify", check=False).returncode == 1
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin, to="/admin/blobstores/default")
        needed = page.get_by_role("cell", name="more: more.bin")
        assert needed.bounding_box()["width"] > 300
    file.write_bytes(whole)
    assert server.cli("blob", "verify").returncode == 0
