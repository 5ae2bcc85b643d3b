"""The page on which a repository moves to another blob store."""

import pytest

from repoman.security.rights_records import Role
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser

PAGE = "/admin/repositories/files/move"


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw, "web": web})
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


@pytest.fixture
def browser(repoman):
    browser = Browser(repoman)
    browser.log_in()
    return browser


def test_a_repository_moves_by_a_page(repoman, browser):
    assert PAGE in browser.get("/admin/repositories/files").text
    assert "There is no other blob store" in browser.get(PAGE).text
    repoman.stores.create("other", "other")
    assert '<option value="other">other</option>' in browser.get(PAGE).text
    answer = browser.post(PAGE, store="other")
    assert answer.location == PAGE
    page = browser.get(PAGE)
    assert "files moves to other. It can be used meanwhile." in page.text
    assert 'id="move" data-live' in page.text
    assert "The move is paused." in browser.get(browser.post(PAGE, step="pause").location).text
    assert "The move goes on." in browser.get(browser.post(PAGE, step="resume").location).text
    [task] = [each for each in repoman.tasks.all() if each.type == "repository.move"]
    assert repoman.make_runner().execute(repoman.tasks.run(task)) == "ok"
    assert "has ended" in browser.get(PAGE).text
    refused = browser.post(PAGE, store="other")
    assert refused.status_code == 400
    assert "The blob store of files is other already." in refused.text
    assert browser.post(PAGE, store="none").status_code == 400


def test_who_may_only_read_the_settings_sees_no_button(repoman):
    repoman.stores.create("other", "other")
    repoman.security.roles.create(Role("some", "", "", ("nx-repository-admin-raw-files-read",), ()))
    repoman.users.create("ann", "a password", ["some"])
    browser = Browser(repoman)
    browser.log_in("ann", "a password")
    assert '<button class="button">Move' not in browser.get(PAGE).text
    assert browser.post(PAGE, store="other").status_code == 403
