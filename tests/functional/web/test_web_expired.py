"""A session that ends while somebody fills in a form: nothing typed is lost but secrets."""

import json
import re
from html import unescape

import pytest

from repoman.testing import ADMIN
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from repoman_web.views.unsent import PACKED_MAX_CHARS
from tests.functional.web.conftest import Browser

FIELDS = {"name": "ci", "days": "30", "actions": "Reading", "repositories": "a <b>", "names": ""}


@pytest.fixture
def lost(browser, clock):
    """A browser at the form for tokens, whose session has ended."""
    browser.log_in()
    browser.get("/account")
    clock.jump(7201)
    return browser


def hidden(answer, name):
    return unescape(re.search(rf'name="{name}"[^>]*value="([^"]*)"', answer.text)[1])


def test_a_form_is_sent_after_the_login_when_one_says_so(lost, repoman):
    answer = lost.post("/account/tokens", **FIELDS)
    assert answer.status_code == 400
    assert "Your session has ended" in answer.text
    assert repoman.security.user_tokens.of_user("admin") == []
    packed = hidden(answer, "unsent")
    asked = lost.post("/login", name=ADMIN[0], password=ADMIN[1], unsent=packed)
    assert asked.status_code == 200
    assert "Send what you had typed?" in asked.text
    assert "a &lt;b&gt;" in asked.text
    assert repoman.security.user_tokens.of_user("admin") == []
    fields = {name: hidden(asked, name) for name in FIELDS}
    assert fields == FIELDS
    assert lost.post("/account/tokens", **{**fields, "repositories": "a"}).status_code == 200
    [token] = repoman.security.user_tokens.of_user("admin")
    assert token.name == "ci"


def test_a_wrong_password_does_not_lose_it(lost):
    answer = lost.post("/account/tokens", **FIELDS)
    packed = hidden(answer, "unsent")
    refused = lost.post("/login", name="admin", password="wrong", unsent=packed)
    assert refused.status_code == 403
    assert hidden(refused, "unsent") == packed


def test_secrets_are_not_kept(lost):
    fields = {"present": "old secret", "password": "new secret", "again": "new secret"}
    answer = lost.post("/account/password", **fields, note="kept")
    assert "new secret" not in answer.text
    assert "old secret" not in answer.text
    path, kept, secrets = json.loads(hidden(answer, "unsent"))
    assert (path, kept) == ("/account/password", [["note", "kept"]])
    assert secrets == ["present", "password", "again"]


@pytest.mark.parametrize("length", [PACKED_MAX_CHARS, 1 << 16])
def test_what_is_too_long_to_keep_is_said(lost, length):
    answer = lost.post("/account/tokens", **{**FIELDS, "names": "x" * length})
    assert answer.status_code in (400, 413)
    assert "Your session has ended" in answer.text
    assert "What you typed is kept" not in answer.text


def test_a_page_says_that_the_session_has_ended(lost):
    lost.get("/account")
    page = lost.get("/login?next=/account").text
    assert "Your session has ended" in page
    assert "First time here?" not in page


def test_who_never_had_a_session_is_told_of_the_form(open_browser):
    answer = open_browser().post("/account/tokens", **FIELDS)
    assert answer.status_code == 400
    assert "Your session has ended" not in answer.text


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", "[1,2]", "null", '["//evil.example/", [], []]', "[" * 3000,
     '["https://evil.example", [["a", "b"]], []]', '["javascript:alert(1)", [], []]'],
)  # fmt: skip
def test_what_was_not_kept_by_us_is_ignored(browser, text):
    answer = browser.log_in(unsent=text, next="/account")
    assert (answer.status_code, answer.location) == (303, "/account")


def test_the_number_of_a_failure_is_in_the_log(repoman_factory, caplog, monkeypatch):
    browser = Browser(repoman_factory({"raw": raw, "web": web}))
    monkeypatch.setattr("repoman_web.views.pages.home", lambda: 1 / 0)
    answer = browser.get("/")
    assert answer.status_code == 500
    number = re.search(r'aria-label="Number of the failure">([0-9a-f]{8})<', answer.text)[1]
    assert f"'/' failed ({number})" in caplog.text
    assert "ZeroDivisionError" not in answer.text
