"""The headers that tell a browser what it may do with a page, or with what is stored here."""

import pytest

from repoman.http.admin import PAGE_HEADERS
from repoman.testing import ADMIN, HttpClient


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/login", 200),
        ("GET", "/account", 303),
        ("GET", "/nowhere", 404),
        ("GET", "/nowhere/a", 404),
        ("POST", "/login", 400),
        ("GET", "/static/repoman.css", 200),
        ("DELETE", "/", 400),
    ],
)
def test_every_response_of_the_pages_has_them(browser, method, path, status):
    answer = browser.open(method, path)
    assert answer.status_code == status
    expected = dict(PAGE_HEADERS)
    if path.startswith("/static"):
        expected["Cache-Control"] = "no-cache"
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/login", "/account", "/nowhere"])
def test_no_page_has_anything_that_the_policy_forbids(browser, path):
    browser.log_in()
    text = browser.get(path).text
    for forbidden in (" style=", "<style", " onclick=", "javascript:", "http-equiv"):
        assert forbidden not in text


def test_https_is_insisted_on_where_it_was_used(open_browser):
    browser = open_browser(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO="https")
    assert browser.get("/").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_what_is_stored_has_no_powers(repoman):
    client = HttpClient(repoman)
    client.put("/repository/files/a.html", b"<script>alert(1)</script>")
    headers = client.get("/repository/files/a.html").headers
    assert "sandbox" in headers["Content-Security-Policy"].split("; ")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("accepted", ["*/*", "application/json", "text/plain"])
def test_other_clients_get_plain_text(browser, accepted):
    answer = browser.get("/nowhere", headers={"Accept": accepted})
    assert (answer.status_code, answer.mimetype) == (404, "text/plain")
    answer = browser.get("/account", headers={"Accept": accepted})
    assert (answer.status_code, answer.mimetype) == (401, "text/plain")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_a_body_may_not_be_large(browser):
    browser.get("/login")
    answer = browser.post("/login", name="a" * (2 << 20), password="b")
    assert answer.status_code == 413


def test_a_visitor_sees_the_repositories_that_they_may_know(browser):
    assert "files" not in browser.get("/").text.replace("/static", "")
    browser.log_in()
    assert ">files</a>" in browser.get("/").text


def test_a_wrong_password_in_a_header_is_refused(browser):
    assert browser.get("/", auth=(ADMIN[0], "wrong")).status_code == 303
