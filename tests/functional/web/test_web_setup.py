"""The first run: it leads through its steps, each saved at once, and is over afterwards."""

import re

import pytest

from repoman.bootstrap import PASSWORD_FILE
from repoman.testing import ADMIN, HttpClient
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser


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


# What formats ask ---------------------------------------------------------------------------------

PATH = "images.docker.untagged_days"
BOX = f"{PATH}.apply"


@pytest.fixture
def asked(repoman_factory, clock):
    """A browser at the third step of a new server with two repositories of Docker."""
    repoman = repoman_factory({"docker": docker, "raw": raw, "web": web}, clock)
    repoman.repositories.create("images", "docker-hosted", {})
    repoman.repositories.create("all", "docker-group", {"group": {"members": ["images"]}})
    (repoman.data / PASSWORD_FILE).write_text(ADMIN[1])
    browser = Browser(repoman)
    browser.log_in()
    choose_password(browser)
    page = browser.get("/setup/anonymous").text
    assert "Step 2 of 4" in page
    assert browser.post("/setup/anonymous").location == "/setup/repositories"
    return repoman, browser


def untagged_days(repoman):
    repoman.repositories.refresh()
    return repoman.repositories.get("images").config.sections["docker"].untagged_days


def test_a_format_asks_about_its_repositories_and_nothing_happens_without_an_answer(asked):
    repoman, browser = asked
    page = browser.get("/setup/repositories").text
    assert "Step 3 of 4" in page
    assert 'aria-current="step">Repositories' in page
    assert re.search(f'name="{PATH}"[^>]*value="30"', page)
    assert not re.search(f'name="{BOX}"[^>]* checked', page)
    assert page.count("<fieldset") == 1, "only hosted repositories are asked about"
    answer = browser.post("/setup/repositories", **{PATH: "30"})
    assert (answer.status_code, answer.location) == (303, "/setup/done")
    assert untagged_days(repoman) is None
    assert "Step 4 of 4" in browser.get("/setup/done").text


def test_what_is_ticked_is_set_and_can_be_taken_back(asked):
    repoman, browser = asked
    browser.get("/setup/repositories")
    browser.post("/setup/repositories", **{PATH: "45", BOX: "on"})
    assert untagged_days(repoman) == 45
    repoman.audit.flush()
    entry = repoman.audit.search({"domain": "repository"})[0]
    assert (entry["type"], entry["target"], entry["actor"]) == ("change", "images", ADMIN[0])
    page = browser.get("/setup/repositories").text
    assert re.search(f'name="{PATH}"[^>]*value="45"', page)
    assert re.search(f'name="{BOX}"[^>]* checked', page)
    browser.post("/setup/repositories", **{PATH: "45"})
    assert untagged_days(repoman) is None


def test_what_stays_as_it_is_is_not_stored(asked, monkeypatch):
    repoman, browser = asked
    update, stored = repoman.repositories.update, []

    def note(name, settings):
        stored.append((name, settings))
        return update(name, settings)

    monkeypatch.setattr(repoman.repositories, "update", note)
    for answer in ({PATH: "30"}, {PATH: "45", BOX: "on"}, {PATH: "45", BOX: "on"}):
        browser.get("/setup/repositories")
        browser.post("/setup/repositories", **answer)
    assert stored == [("images", {"docker": {"untagged_days": 45}})]
    assert untagged_days(repoman) == 45


def test_a_wrong_answer_is_said_beside_its_field(asked):
    repoman, browser = asked
    browser.get("/setup/repositories")
    answer = browser.post("/setup/repositories", **{PATH: "0", BOX: "on"})
    assert answer.status_code == 400
    assert "at least 1" in answer.text
    assert re.search(f'name="{PATH}"[^>]*value="0"', answer.text)
    assert re.search(f'name="{BOX}"[^>]* checked', answer.text)
    assert untagged_days(repoman) is None
    assert browser.post("/setup/repositories", **{PATH: "0"}).location == "/setup/done"


def test_formats_that_ask_nothing_have_no_step(fresh):
    fresh.log_in()
    choose_password(fresh)
    assert fresh.get("/setup/repositories").status_code == 404
    assert "Step 2 of 3" in fresh.get("/setup/anonymous").text


def test_questions_are_for_the_first_run_alone(asked):
    _, browser = asked
    browser.get("/setup/done")
    browser.post("/setup/done")
    assert browser.get("/setup/repositories").status_code == 404
    assert browser.post("/setup/repositories", **{PATH: "30", BOX: "on"}).status_code == 404
