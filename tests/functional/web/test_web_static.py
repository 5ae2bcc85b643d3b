"""Static files have addresses that change with them, and answers are compressed where it helps."""

import gzip
import re

import pytest

from repoman.http.compression import LEAST_BYTES, MARK
from repoman.testing import HttpClient

ZIPPED = {"Accept-Encoding": "gzip"}
PAGE_MAX_BYTES = 60_000  # What a first visit may take, compressed.


def addresses(page):
    found = re.findall(r'(?:href|src)="(/static/[^"#]+)', page.text)
    assert found
    return set(found)


def test_the_addresses_on_a_page_are_kept_for_good(browser):
    for address in addresses(browser.get("/login")):
        answer = browser.get(address)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("name", ["repoman.css", "repoman.0123456789ab.css"])
def test_other_addresses_have_the_file_but_are_checked_each_time(browser, name):
    answer = browser.get(f"/static/{name}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    tag = answer.headers["ETag"]
    assert browser.get(f"/static/{name}", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    "path", ["/static/", "/static/nothing.css", "/static/../plugin.py", "/static/%2e%2e/plugin.py"]
)
def test_nothing_else_is_a_static_file(browser, path):
    assert browser.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/login", "/static/repoman.css"])
def test_both_forms_of_an_answer_say_the_same(browser, path):
    browser.get(path)
    plain, packed = browser.get(path), browser.get(path, headers=ZIPPED)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(packed.data) < len(plain.data) / 1.5
    assert packed.headers["Content-Length"] == str(len(packed.data))
    text = gzip.decompress(packed.data).decode()
    mark = re.compile(r'name="csrf_token"[^>]*>')
    assert mark.sub("", text) == mark.sub("", plain.text)


def test_each_form_has_a_tag_of_its_own(browser):
    plain = browser.get("/static/repoman.css").headers["ETag"]
    packed = browser.get("/static/repoman.css", headers=ZIPPED).headers["ETag"]
    assert packed == f'{plain[:-1]}{MARK}"'
    for tag in (plain, packed):
        headers = {"If-None-Match": tag, **ZIPPED}
        answer = browser.get("/static/repoman.css", headers=headers)
        assert (answer.status_code, answer.headers["ETag"], answer.data) == (304, tag, b"")


def test_a_change_over_rest_may_name_the_tag_of_the_compressed_form(repoman):
    client = HttpClient(repoman)
    path = "/service/rest/v1/repositories/raw/hosted/files"
    shown = client.get(path, headers=ZIPPED)
    tag = shown.headers["ETag"]
    settings = client.get(path).data
    options = {"content_type": "application/json"}
    for given, status in ((f'"x{MARK}"', 412), (tag, 204)):
        answer = client.put(path, settings, headers={"If-Match": given}, **options)
        assert answer.status_code == status, answer.text


def test_sizes_of_pages_tell_nothing_exact(browser):
    """Of equal pages: who reads the network must not learn what a guess in an address changes."""
    sizes = {len(browser.get("/nowhere", headers=ZIPPED).data) for _ in range(20)}
    assert len(sizes) > 1


def test_small_answers_and_those_of_repositories_are_as_they_are(browser, repoman):
    small = browser.get("/healthz", headers=ZIPPED)
    assert len(small.data) < LEAST_BYTES
    assert "Content-Encoding" not in small.headers
    client = HttpClient(repoman)
    client.put("/repository/files/a.txt", b"a" * 10 * LEAST_BYTES)
    stored = client.get("/repository/files/a.txt", headers=ZIPPED)
    assert "Content-Encoding" not in stored.headers
    assert len(stored.data) == 10 * LEAST_BYTES


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "br"])
def test_who_does_not_take_gzip_gets_none(browser, accepted):
    answer = browser.get("/login", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers


def test_a_first_visit_is_small(browser):
    browser.log_in()
    page = browser.get("/account", headers=ZIPPED)
    total = len(page.data)
    text = gzip.decompress(page.data).decode()
    for address in set(re.findall(r'(?:href|src)="(/static/[^"#]+)', text)):
        total += len(browser.get(address, headers=ZIPPED).data)
    assert total <= PAGE_MAX_BYTES / 2
