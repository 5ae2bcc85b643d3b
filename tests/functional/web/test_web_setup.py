"""The first run: it leads through three steps, each saved at once, and is over afterwards."""

import pytest

from repoman.bootstrap import PASSWORD_FILE
from repoman.testing import ADMIN, HttpClient


@pytest.fixture
def fresh(repoman, browser):
    """A server whose administrator still has the first password."""
    (repoman.data / PASSWORD_FILE).write_text(ADMIN[1])
    return browser


def choose_password(browser, password="a better one", again="a better one"):
    browser.get("/setup/password")
    return browser.post("/setup/password", password=password, again=again)


def test_the_first_login_leads_through_the_steps(fresh, repoman):
    assert fresh.log_in().location == "/setup/password"
    page = fresh.get("/setup/password").text
    assert "Choose the password of admin" in page
    assert 'aria-current="step">Password' in page
    answer = choose_password(fresh)
    assert (answer.status_code, answer.location) == (303, "/setup/anonymous")
    assert not (repoman.data / PASSWORD_FILE).exists()
    assert fresh.get("/setup").location == "/setup/anonymous"
    assert fresh.get("/setup/password").location == "/setup/anonymous"
    page = fresh.get("/setup/anonymous").text
    assert "127.0.0.1" in page
    answer = fresh.post("/setup/anonymous", anonymous="yes")
    assert (answer.status_code, answer.location) == (303, "/setup/done")
    assert HttpClient(repoman).get("/repository/files/a", login=False).status_code == 404
    assert "repoman is ready" in fresh.get("/setup/done").text
    assert fresh.post("/setup/done").location == "/"
    for path in ("/setup/password", "/setup/anonymous", "/setup/done"):
        assert fresh.get(path).status_code == 404
    assert fresh.post("/setup/anonymous", anonymous="no").status_code == 404


def test_nobody_may_read_if_that_is_chosen(fresh, repoman):
    repoman.options.update("anonymous", {"enabled": True})
    fresh.log_in()
    choose_password(fresh)
    fresh.get("/setup/anonymous")
    fresh.post("/setup/anonymous", anonymous="no")
    assert HttpClient(repoman).get("/repository/files/a", login=False).status_code == 401


@pytest.mark.parametrize(
    ("password", "again", "said"),
    [
        ("", "", "Enter a new password."),
        ("short", "short", "8 to 1000 characters"),
        ("a better one", "another one", "The two new passwords do not match."),
    ],
)
def test_a_password_that_will_not_do_changes_nothing(fresh, repoman, password, again, said):
    fresh.log_in()
    answer = choose_password(fresh, password, again)
    assert answer.status_code == 400
    assert said in answer.text
    assert (repoman.data / PASSWORD_FILE).exists()
    assert fresh.get("/setup/anonymous").status_code == 404


def test_who_wanted_a_certain_page_gets_there(fresh):
    assert fresh.log_in(next="/account").location == "/account"


def test_it_is_for_the_first_login_of_admin_alone(fresh, repoman):
    repoman.users.create("eve", "a password of eve", ["nx-admin"])
    assert fresh.log_in("eve", "a password of eve").location == "/"
    for path in ("/setup/password", "/setup/anonymous", "/setup/done"):
        assert fresh.get(path).status_code == 404
    assert choose_password(fresh).status_code == 404
    fresh.post("/logout")
    assert fresh.get("/setup/password").location == "/login?next=/setup/password"


def test_there_is_no_first_run_later(browser):
    assert browser.log_in().location == "/"
    assert browser.get("/setup/password").status_code == 404
