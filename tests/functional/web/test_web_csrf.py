"""Requests that a page of somebody else makes a browser send."""

import pytest

from repoman.testing import ADMIN

FORMS = ["/logout", "/account/password", "/account/sessions/1/end", "/login"]
FORMS += ["/account/tokens", "/account/tokens/1/revoke"]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("mark", ["", "wrong", None])
def test_a_form_without_its_mark_is_refused(browser, path, mark):
    browser.log_in()
    browser.get("/account")
    browser.mark = mark or ""
    answer = browser.post(path) if mark is not None else browser.open("POST", path)
    assert answer.status_code == 400
    assert "reload the page" in answer.text
    assert browser.is_in


def test_the_mark_of_another_session_is_refused(browser, open_browser):
    other = open_browser()
    for each in (browser, other):
        each.log_in()
        each.get("/account")
    browser.mark = other.mark
    assert browser.post("/logout").status_code == 400
    # Not even with the cookie that the mark belongs to, planted by a page of a neighbour.
    browser.client.set_cookie("repoman-forms", other.cookie("repoman-forms"))
    assert browser.post("/logout").status_code == 400
    assert browser.is_in


def test_the_mark_of_before_the_login_is_worth_nothing_after_it(browser):
    browser.get("/login")
    before = browser.mark
    browser.post("/login", name=ADMIN[0], password=ADMIN[1])
    browser.mark = before
    assert browser.post("/logout").status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:5001"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_changes_nothing(browser, headers):
    browser.log_in()
    browser.get("/account")
    assert browser.post("/logout", headers).status_code == 403
    assert browser.is_in
    answer = browser.client.put(
        "/repository/files/a", data=b"a", headers=headers, auth=ADMIN, environ_base=browser.environ
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}]
)
def test_a_page_of_this_server_does(browser, headers):
    browser.log_in()
    browser.get("/account")
    assert browser.post("/logout", headers).status_code == 303


def test_the_mark_may_come_in_a_header(browser):
    browser.log_in()
    browser.get("/account")
    answer = browser.open("POST", "/logout", {"X-CSRFToken": browser.mark})
    assert answer.status_code == 303


def test_a_password_in_a_header_needs_no_mark(browser):
    answer = browser.open("POST", "/account/sessions/1/end", auth=ADMIN)
    assert answer.status_code == 404
