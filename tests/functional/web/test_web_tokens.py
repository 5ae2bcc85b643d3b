"""User tokens on the account page: made, shown once, used, revoked."""

import re

import pytest

from repoman.plugin import hookimpl
from repoman.security.actors import READING, WRITING, Limit
from repoman.security.user_records import insert_user, update_user
from repoman.testing import ADMIN
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser

SECRET = re.compile(r"rpm_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
FIELDS = {"name": "ci", "days": "30", "actions": "Reading", "repositories": "", "names": ""}


@pytest.fixture
def tokens(repoman):
    return repoman.security.user_tokens


@pytest.fixture
def account(browser):
    """A browser at the account page of admin."""
    browser.log_in()
    browser.get("/account")
    return browser


def make(browser, **fields):
    return browser.post("/account/tokens", **{**FIELDS, **fields})


def secret_in(answer):
    [secret] = set(SECRET.findall(answer.text))
    return secret


def test_a_token_is_made_and_lets_a_client_in(account, open_browser, tokens):
    answer = make(account)
    assert answer.status_code == 200
    secret = secret_in(answer)
    client = open_browser()
    assert client.get("/repository/files/a", auth=(ADMIN[0], secret)).status_code == 404
    assert client.open("PUT", "/repository/files/a", auth=(ADMIN[0], secret)).status_code == 403
    [token] = tokens.of_user("admin")
    assert token.limit == Limit(actions=READING)
    assert token.expires_at == token.created_at + 30 * 86_400


def test_the_secret_is_in_one_answer_and_nowhere_else(account):
    answer = make(account)
    secret = secret_in(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.location is None
    assert secret not in str(answer.headers)
    assert all(secret not in cookie for cookie in map(str, account.client._cookies.values()))
    assert secret not in account.get("/account").text
    again = account.get("/account/tokens")
    assert (again.status_code, again.location) == (303, "/account#tokens")


def test_a_token_is_limited_as_the_form_says(account, tokens):
    make(
        account,
        repositories=" Files,team-*  other ",
        names="a/* b/*",
        actions="Reading and writing",
    )
    [token] = tokens.of_user("admin")
    assert token.limit == Limit(("files", "team-*", "other"), ("a/*", "b/*"), READING | WRITING)
    page = account.get("/account").text
    for told in ("ci", "in team-*", "a/*", "edit"):
        assert told in page


def test_a_token_may_be_for_everything_and_for_ever(account, tokens):
    make(account, actions="All content", days="")
    [token] = tokens.of_user("admin")
    assert (token.limit, token.expires_at, token.last_used_at) == (Limit(), None, None)


def test_what_is_revoked_is_refused_at_once(account, open_browser, tokens):
    login = (ADMIN[0], secret_in(make(account)))
    [token] = tokens.of_user("admin")
    client = open_browser()
    page = account.get(f"/account/tokens/{token.id}/revoke")
    assert "are refused from their next request on" in page.text
    assert client.get("/repository/files/a", auth=login).status_code == 404
    answer = account.post(f"/account/tokens/{token.id}/revoke")
    assert (answer.status_code, answer.location) == (303, "/account")
    assert "Revoked the token ci." in account.get("/account").text
    assert client.get("/repository/files/a", auth=login).status_code == 401
    assert account.post(f"/account/tokens/{token.id}/revoke").status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Enter a name."),
        ({"name": "x" * 101}, "must have 1 to 100 printable characters"),
        ({"days": "0"}, "must be 1 to 36500"),
        ({"days": "9" * 5000}, "Not a valid integer value."),
        ({"days": "soon"}, "Not a valid integer value."),
        ({"actions": "administer"}, "Not a valid choice."),
        ({"repositories": "x" * 256}, "at most 255 printable characters"),
        ({"names": "\x00"}, "printable characters"),
        ({"names": " ".join(map(str, range(60)))}, "at most 50 patterns"),
    ],
)
def test_what_will_not_do_is_said_at_its_field(account, tokens, fields, said):
    answer = make(account, **fields)
    assert answer.status_code == 400
    [field] = fields
    assert re.search(rf'id="{field}-said"><svg.*?</svg><span>[^<]*{re.escape(said)}', answer.text)
    assert tokens.of_user() == []


def test_a_form_with_nothing_in_it_is_refused(account, tokens):
    assert account.post("/account/tokens").status_code == 400
    assert tokens.of_user() == []


def test_a_name_is_taken_once(account):
    make(account)
    answer = make(account)
    assert answer.status_code == 400
    assert "already has a token &#39;ci&#39;." in answer.text
    assert not SECRET.search(answer.text)


def test_nobody_sees_or_revokes_the_tokens_of_somebody_else(account, open_browser, repoman, tokens):
    make(account, name="secret-plans")
    [token] = tokens.of_user("admin")
    repoman.users.create("eve", "a password of eve")
    eve = open_browser()
    eve.log_in("eve", "a password of eve")
    assert "secret-plans" not in eve.get("/account").text
    assert eve.get(f"/account/tokens/{token.id}/revoke").status_code == 404
    assert eve.post(f"/account/tokens/{token.id}/revoke").status_code == 404
    assert tokens.of_user("admin") == [token]


def test_a_token_makes_no_tokens_and_opens_no_account(account, open_browser, tokens):
    login = (ADMIN[0], secret_in(make(account, actions="All content")))
    client = open_browser()
    assert client.open("GET", "/account", auth=login).status_code == 403
    assert client.open("POST", "/account/tokens", auth=login, data=FIELDS).status_code == 403
    [token] = tokens.of_user("admin")
    assert client.open("POST", f"/account/tokens/{token.id}/revoke", auth=login).status_code == 403
    assert client.log_in(*login).status_code == 403
    assert not client.is_in


def test_a_token_is_not_the_present_password(account):
    """Or else a session that somebody left open would be enough to take the account over."""
    secret = secret_in(make(account))
    answer = account.post(
        "/account/password", present=secret, password="a better one", again="a better one"
    )
    assert answer.status_code == 403
    assert "not your current password" in answer.text


def test_a_token_goes_on_when_the_password_changes(account, open_browser):
    login = (ADMIN[0], secret_in(make(account)))
    new = {"password": "a better one", "again": "a better one"}
    assert account.post("/account/password", present=ADMIN[1], **new).status_code == 303
    assert open_browser().get("/repository/files/a", auth=login).status_code == 404


class Badges:
    """A realm that asks nobody whether a user is still there."""

    @hookimpl
    def repoman_authenticate(self, credentials):
        return None


def test_a_user_of_another_realm_has_tokens(repoman, repoman_factory):
    repoman = repoman_factory({"raw": raw, "web": web, "badges": Badges()})
    with repoman.database.transaction():
        insert_user("lea", "", realm="badges")
        update_user("lea", external_roles=["nx-developer"])
    secret = repoman.security.user_tokens.create("lea", "ci", Limit())
    client = Browser(repoman)
    assert client.get("/repository/files/a", auth=("lea", secret)).status_code == 404
    assert client.get("/repository/files/a", auth=("lea", "")).status_code == 401


def test_what_a_user_writes_is_text_on_the_page(account):
    script = "<script>alert(1)</script>"
    answer = make(account, name=script, names=script, repositories=script)
    assert answer.status_code == 200
    assert script not in answer.text
    assert script not in account.get("/account").text


def test_an_expired_token_is_shown_as_such(account):
    make(account, days="30000")  # of a clock that is at 2023
    assert "expired" not in account.get("/account").text
    make(account, days="1", name="old")
    assert "expired" in account.get("/account").text
