"""What does not work is told on the start page, to those who may know."""

import pytest

from repoman.testing import ADMIN

PROBLEM = "The connector http://[::]:5000/ of the repository team could not be opened: <in use>"


@pytest.fixture
def broken(repoman):
    repoman.health.add("connectors", lambda: PROBLEM)


def test_administrators_see_what_does_not_work(browser, broken):
    browser.log_in(*ADMIN)
    page = browser.get("/").text
    assert PROBLEM.replace("<in use>", "&lt;in use&gt;") in page


def test_strangers_do_not(browser, broken):
    assert "could not be opened" not in browser.get("/").text


def test_nothing_is_told_where_all_works(browser):
    browser.log_in(*ADMIN)
    assert "needs attention" not in browser.get("/").text


def test_administrators_see_that_the_server_is_read_only(browser, repoman):
    browser.log_in(*ADMIN)
    repoman.database.freeze("ann")
    assert "The server is in read-only mode." in browser.get("/").text


@pytest.mark.parametrize(
    ("address", "searched"), [("/browse/files/paths/lost.txt", "lost.txt"), ("/x/-/delete", "")]
)
def test_what_is_not_there_is_searched_but_not_the_words_of_pages(browser, address, searched):
    browser.log_in()
    page = browser.get(address)
    assert page.status_code == 404
    assert f'id="again" name="q" type="search" value="{searched}"' in page.text
