"""What all pages share: the navigation, the appearance, lists by key."""

import re

import pytest
from flask import Blueprint, Flask, render_template_string

from repoman.errors import PageKeyInvalid
from repoman.http.page_lists import read_list, row_key
from repoman.plugin import Action, PageLink, SomeSettings, hookimpl, settings_repository
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser


class Pages:
    """A plugin with one page for administrators of repositories."""

    @hookimpl
    def repoman_register_web(self):
        pages = Blueprint("shelf", __name__, url_prefix="/shelf")

        @pages.get("/<name>")
        def show(name):
            return settings_repository(name, Action.EDIT).name

        @pages.get("")
        def list_():
            page = "{% extends 'repoman/base.html' %}{% block content %}<p>{{ icon('box') }}</p>"
            return render_template_string(page + "{% endblock %}")

        return [pages]

    @hookimpl
    def repoman_register_pages(self):
        return [PageLink("Content", "Shelf", "box", "shelf.list_", SomeSettings(Action.READ))]


@pytest.fixture
def browser(repoman_factory):
    repoman = repoman_factory({"raw": raw, "web": web, "pages": Pages()})
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.users.create("bob", "a password of bob", ["nx-developer"])
    return Browser(repoman)


def links(page):
    """Those of the links in the navigation that this test is about."""
    found = re.findall(r'class="nav-link" href="([^"]+)"', page.text)
    return [each for each in found if each in ("/", "/shelf", "/admin/audit")]


def test_everybody_sees_the_links_that_they_may_follow(browser):
    assert links(browser.get("/")) == ["/"]
    browser.log_in("bob", "a password of bob")
    assert links(browser.get("/")) == ["/"]
    browser.log_in()
    page = browser.get("/shelf")
    ours = {"/", "/shelf", "/admin/audit"}
    assert [each for each in links(page) if each in ours] == ["/", "/shelf", "/admin/audit"]
    assert 'href="/shelf" aria-current="page"' in page.text
    assert page.text.count('aria-current="page"') == 1


def test_a_page_of_a_repository_asks_for_the_right_to_its_settings(browser):
    assert browser.get("/shelf/files").location == "/login?next=/shelf/files"
    browser.log_in("bob", "a password of bob")
    assert browser.get("/shelf/files").status_code == 403
    assert browser.get("/shelf/nothing").status_code == 404
    browser.log_in()
    assert browser.get("/shelf/files").text == "files"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_without_a_script_the_appearance_is_chosen_by_a_form(browser, theme):
    assert "data-theme=" not in browser.get("/").text
    answer = browser.get(f"/appearance?theme={theme}&next=/login")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert f'<html lang="en" data-theme="{theme}">' in browser.get("/").text
    browser.get("/appearance?theme=&next=/")
    assert '<html lang="en">' in browser.get("/").text


@pytest.mark.parametrize("query", ["theme=pink", "theme=dark%22%3E", "next=//evil.example", ""])
def test_an_odd_choice_of_the_appearance_does_nothing(browser, query):
    answer = browser.get(f"/appearance?{query}")
    assert (answer.status_code, answer.location) == (303, "/")
    browser.client.set_cookie("repoman-theme", '"><script>')
    assert '<html lang="en">' in browser.get("/").text


@pytest.fixture
def ask():
    """Read the address of a list as its view does."""
    app = Flask("lists")
    app.add_url_rule("/shelf/<name>", "shelf", lambda name: name)

    def read(query, use):
        with app.test_request_context(f"/shelf/a?{query}"):
            return use(read_list(("name", "newest")))

    return read


def test_a_list_has_its_state_in_its_address(ask):
    query = "filter=+x+&order=newest&kind=b"
    assert ask(query, lambda found: (found.filter, found.order)) == ("x", "newest")
    assert ask("order=evil", lambda found: found.order) == "name"
    assert ask(query, lambda found: found.url(order="name")) == (
        "/shelf/a?filter=+x+&order=name&kind=b"
    )
    assert ask("after=k", lambda found: found.newer) == "/shelf/a"
    assert ask("", lambda found: found.newer) == ""
    assert ask("kind=b", lambda found: found.older("k")) == "/shelf/a?kind=b&after=k"
    column = ask("order=newest", lambda found: found.column("Age", "newest", falls=True))
    assert column["sort"] == "descending"


@pytest.mark.parametrize("values", [("a/ä", 3, 1.5), ("", 0, -1.0)])
def test_a_key_has_the_values_of_its_row(ask, values):
    key = row_key(*values)
    assert ask(f"after={key}", lambda found: found.key(str, int, float)) == values
    assert ask("", lambda found: found.key(str, int, float)) is None


@pytest.mark.parametrize(
    "key",
    ["x", "é", "%00", row_key("a"), row_key("a", "b"), row_key("a", True), row_key(None, 1),
     row_key("a\n", 1), row_key("a", 2**63), "eyJhIjoxfQ", "W1tbW1tb", "A" * 3000],
)  # fmt: skip
def test_a_key_of_another_list_is_refused(ask, key):
    with pytest.raises(PageKeyInvalid):
        ask(f"after={key}", lambda found: found.key(str, int))
