"""Logins in the browser: how they begin, what the cookies are like, and all that ends them."""

import re

import pytest

from repoman.security.user_records import Status, update_user
from repoman.testing import ADMIN

FOCUSED = re.compile(r"<input [^>]*autofocus[^>]* name=\"(\w+)\"")
HTTPS = {"X-Forwarded-Proto": "https"}


def set_cookies(answer):
    return {each.partition("=")[0]: each for each in answer.headers.getlist("Set-Cookie")}


def test_a_login_leads_on_and_opens_the_account(browser):
    answer = browser.log_in(next="/account")
    assert (answer.status_code, answer.location) == (303, "/account")
    assert browser.is_in


def test_the_cookies_cannot_be_read_by_scripts_or_sent_by_other_sites(browser):
    cookies = set_cookies(browser.get("/login")) | set_cookies(browser.log_in())
    assert set(cookies) == {"repoman-login", "repoman-forms"}
    for cookie in cookies.values():
        flags = cookie.split("; ")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags)
        assert "Secure" not in flags


def test_over_https_behind_a_trusted_proxy_the_cookies_are_secure(open_browser):
    browser = open_browser(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO="https")
    cookie = set_cookies(browser.get("/login"))["__Secure-repoman-forms"]
    assert "Secure" in cookie.split("; ")


def test_nobody_else_says_that_it_is_https(open_browser):
    browser = open_browser(REMOTE_ADDR="10.0.0.2", HTTP_X_FORWARDED_PROTO="https")
    answer = browser.get("/login")
    assert set(set_cookies(answer)) == {"repoman-forms"}
    assert "Strict-Transport-Security" not in answer.headers


def test_behind_a_path_the_cookies_belong_to_the_path(open_browser):
    browser = open_browser(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PREFIX="/tools")
    assert "Path=/tools" in set_cookies(browser.get("/login"))["repoman-forms"].split("; ")


@pytest.mark.parametrize("login", [(ADMIN[0], "wrong"), ("nobody", "wrong")])
def test_a_wrong_login_does_not_say_what_is_wrong(browser, login):
    answer = browser.log_in(*login)
    assert answer.status_code == 403
    assert "Wrong user name or password." in answer.text
    assert browser.cookie() is None


def test_the_page_of_a_login_waits_in_the_field_that_is_empty(browser):
    assert FOCUSED.findall(browser.get("/login").text) == ["name"]
    assert FOCUSED.findall(browser.log_in("somebody", "wrong password").text) == ["password"]


def test_the_secret_is_another_after_a_login_and_the_old_one_is_worth_nothing(browser):
    browser.client.set_cookie("repoman-login", "planted")
    browser.log_in()
    first = browser.cookie()
    assert first not in (None, "planted")
    browser.get("/account")
    browser.post("/login", name=ADMIN[0], password=ADMIN[1])
    assert browser.cookie() != first
    browser.client.set_cookie("repoman-login", first)
    assert not browser.is_in


def test_the_database_does_not_hold_the_secret(browser, repoman):
    browser.log_in()
    [session] = repoman.security.sessions.of_user("admin")
    assert browser.cookie() not in repr(session)


def test_signing_out_ends_the_session_on_the_server(browser):
    browser.log_in()
    secret = browser.cookie()
    browser.get("/account")
    assert browser.post("/logout").status_code == 303
    assert browser.cookie() is None
    browser.client.set_cookie("repoman-login", secret)
    assert not browser.is_in


def test_a_session_ends_without_requests_and_goes_on_with_them(browser, clock, repoman):
    browser.log_in()
    for _ in range(3):
        clock.jump(7000)
        assert browser.is_in
        repoman.security.flush()
    clock.jump(7201)
    assert not browser.is_in


def test_a_session_ends_after_a_day_in_any_case(browser, clock, repoman):
    browser.log_in()
    for _ in range(13):
        clock.jump(6600)
        assert browser.is_in
        repoman.security.flush()
    clock.jump(86400 - 13 * 6600 + 1)
    assert not browser.is_in


def test_that_a_session_is_in_use_is_rarely_written(browser, clock, repoman):
    browser.log_in()
    generation = repoman.database.topics.moves
    clock.jump(100)
    assert browser.is_in
    repoman.security.flush()
    assert repoman.database.topics.moves == generation
    clock.jump(100)
    assert browser.is_in
    assert repoman.database.topics.moves == generation  # no request waits for the disk
    repoman.security.flush()
    assert repoman.database.topics.moves > generation


def test_a_clock_that_jumps_and_comes_back_ends_no_session(browser, open_browser, clock):
    browser.log_in()
    clock.jump(400 * 86400)
    assert not browser.is_in
    other = open_browser()
    other.log_in()  # removes what has run out
    clock.jump(-400 * 86400)
    assert browser.is_in
    assert not other.is_in  # nobody has a session for more than a year


def test_another_password_ends_all_sessions(browser, open_browser, repoman):
    other = open_browser()
    browser.log_in()
    other.log_in()
    repoman.users.set_password("admin", "another password")
    assert not browser.is_in
    assert not other.is_in


def test_a_closed_account_has_no_sessions(browser, repoman):
    browser.log_in()
    with repoman.database.transaction():
        update_user("admin", status=Status.DISABLED)
    assert not browser.is_in


def test_a_user_changes_the_password_and_stays(browser, open_browser):
    other = open_browser()
    browser.log_in()
    other.log_in()
    browser.get("/account")
    fields = {"password": "a better one", "again": "a better one"}
    assert browser.post("/account/password", present="wrong", **fields).status_code == 403
    before = browser.cookie()
    assert browser.post("/account/password", present=ADMIN[1], **fields).status_code == 303
    assert browser.is_in
    assert browser.cookie() != before
    assert not other.is_in
    assert open_browser().log_in(password="a better one").status_code == 303


def test_who_must_change_the_password_is_led_to_the_page_for_it(browser, repoman):
    repoman.users.create("ann", "a first one", status=Status.CHANGE_PASSWORD)
    answer = browser.log_in("ann", "a first one", next="/admin/audit")
    assert answer.headers["Location"] == "/account/password"
    assert "Change your password" in browser.get("/account/password").text
    fields = {"present": "a first one", "password": "a better one", "again": "a better one"}
    assert browser.post("/account/password", **fields).status_code == 303
    assert repoman.users.get("ann").status == Status.ACTIVE
    browser.post("/logout")
    answer = browser.log_in("ann", "a better one", next="/account/tokens")
    assert answer.headers["Location"] == "/account/tokens"


@pytest.mark.parametrize(
    ("password", "said"), [("seven77", "8 to 1000 characters"), ("x" * 1001, "8 to 1000")]
)
def test_the_page_keeps_the_rules_of_the_service_for_passwords(browser, password, said):
    browser.log_in()
    browser.get("/account")
    fields = {"present": ADMIN[1], "password": password, "again": password}
    answer = browser.post("/account/password", **fields)
    assert answer.status_code == 400
    assert said in answer.text
    assert browser.log_in(password=ADMIN[1]).status_code == 303


def test_a_user_ends_one_session_of_several(browser, open_browser, repoman):
    other = open_browser()
    browser.log_in()
    [own] = repoman.security.sessions.of_user("admin")
    other.log_in()
    [ended] = [each for each in repoman.security.sessions.of_user("admin") if each != own]
    browser.get("/account")
    assert browser.post(f"/account/sessions/{ended.id}/end").status_code == 303
    assert browser.is_in
    assert not other.is_in


def test_nobody_ends_the_session_of_somebody_else(browser, open_browser, repoman):
    repoman.users.create("eve", "a password of eve")
    eve = open_browser()
    browser.log_in()
    eve.log_in("eve", "a password of eve")
    [session] = repoman.security.sessions.of_user("admin")
    eve.get("/account")
    assert eve.post(f"/account/sessions/{session.id}/end").status_code == 404
    assert browser.is_in


def test_repositories_do_not_look_at_sessions(browser):
    browser.log_in()
    assert browser.get("/repository/files/a").status_code == 401


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "evil", "",
     "javascript:alert(1)", "/a\r\nSet-Cookie: a=b", "\\\\evil.example", "/" + "a" * 3000],
)  # fmt: skip
def test_a_login_leads_to_no_other_server(browser, wanted):
    assert browser.log_in(next=wanted).location == "/"


def test_a_page_that_needs_a_login_leads_there_and_back(browser):
    answer = browser.get("/account")
    assert (answer.status_code, answer.location) == (303, "/login?next=/account")


def test_what_visitors_write_is_text_on_the_pages(browser, open_browser):
    script = "<script>alert(1)</script>"
    assert script not in browser.get("/login", query_string={"next": f'"{script}'}).text
    assert script not in browser.log_in(script, "wrong", next=script).text
    browser.environ["HTTP_USER_AGENT"] = f'"{script}'
    browser.log_in()
    assert script not in browser.get("/account").text
    assert script not in browser.get(f"/{script}").text


def told_of_logins(repoman):
    repoman.audit.flush()
    rows = repoman.audit.search({"domain": "login"})
    return [(row["type"], row["actor"], row["target"]) for row in reversed(rows)]


def test_a_login_in_place_of_another_ends_that_one(repoman, browser):
    repoman.users.create("amy", "a password")
    browser.log_in()
    browser.get("/account")
    browser.post("/login", name="amy", password="a password")
    assert told_of_logins(repoman) == [
        ("success", "admin", ""),
        ("logout", "admin", ""),
        ("success", "amy", ""),
    ]


def test_a_session_that_is_ended_from_elsewhere_is_told(repoman, browser, open_browser):
    browser.log_in()
    other = open_browser(REMOTE_ADDR="10.0.0.7")
    other.log_in()
    found = repoman.security.sessions.of_user("admin")
    [id_] = [each.id for each in found if each.address != "10.0.0.7"]
    other.get("/account")
    other.post(f"/account/sessions/{id_}/end")
    assert told_of_logins(repoman)[2:] == [("end", "admin", "admin")]
    assert not browser.is_in
