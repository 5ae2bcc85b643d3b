"""Forms made from sections: every kind of field, errors beside them, and nothing typed lost."""

import re
from html import unescape

import pytest
from werkzeug.datastructures import MultiDict

from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser
from tests.gallery import plugin as gallery

STARS = "**********"
SENT = {
    "name": "tall",
    "online": "on",
    "look.colour": "dark_red",
    "look.http_port": "",
    "look.width": "70",
    "look.limit": "1.5",
    "look.open": "false",
    "look.patterns": "a.*\r\n\r\n b+ \r\n",
    "look.store": "default",
    "look.parts": ["two", "one"],
    "look.tags": ["old"],
    "look.pins": "acme/* = one, two\r\nweb = three",
    "look.password": "a secret",
}
SAVED = {
    "": {"name": "tall", "online": True},
    "look": {
        "colour": "dark_red",
        "http_port": None,
        "width": 70,
        "limit": 3 << 19,
        "open": False,
        "patterns": ["a.*", "b+"],
        "store": "default",
        "parts": ["two", "one"],
        "tags": ["old"],
        "pins": {"acme/*": ["one", "two"], "web": ["three"]},
        "password": "a secret",
    },
}
STORED = {
    "": {"name": "tall", "online": True},
    "look": {**SAVED["look"], "password": STARS},
}


@pytest.fixture
def shelves(monkeypatch):
    fresh = gallery.Shelves()
    monkeypatch.setattr(gallery, "shelves", fresh)
    return fresh


@pytest.fixture
def browser(repoman_factory, shelves):
    browser = Browser(repoman_factory({"raw": raw, "web": web, "gallery": gallery}))
    browser.get("/login")
    return browser


def send(browser, **changes):
    """Send the form as a browser would, with some values changed; None: not sent."""
    values = {**SENT, **{key.replace("__", "."): value for key, value in changes.items()}}
    fields = MultiDict({key: value for key, value in values.items() if value is not None})
    fields["csrf_token"] = browser.mark
    return browser.open("POST", "/gallery/form", data=fields)


def said(answer, path):
    """Return what stands below a field."""
    pattern = rf'id="{path.replace(".", "-")}-said">(?:<svg.*?</svg><span>)?([^<]*)<'
    found = re.search(pattern, answer.text)
    return unescape(found[1]) if found else None


def value_of(answer, path):
    found = re.search(rf'<input [^>]*name="{re.escape(path)}"[^>]*value="([^"]*)"', answer.text)
    if found is None:
        pattern = rf'<textarea [^>]*name="{re.escape(path)}"[^>]*>\n?([^<]*)<'
        found = re.search(pattern, answer.text)
    return unescape(found[1]).replace("\r", "").strip()


def test_every_kind_of_field_is_read(browser, shelves):
    answer = send(browser)
    assert (answer.status_code, answer.location) == (303, "/gallery"), answer.text
    assert shelves.saved == SAVED
    page = browser.get("/gallery").text
    assert '<p>It was saved. <a href="/gallery/form">Look</a></p>' in page
    assert "It was saved." not in browser.get("/gallery").text


def test_what_is_empty_takes_its_default(browser, shelves):
    send(browser, online=None, look__width="", look__tags=None, look__password="", look__pins="")
    assert shelves.saved[""]["online"] is False
    assert "width" not in shelves.saved["look"]
    assert shelves.saved["look"]["tags"] == []
    assert "password" not in shelves.saved["look"]
    assert shelves.saved["look"]["pins"] == {}


def test_a_form_shows_labels_hints_units_and_choices(browser):
    page = browser.get("/gallery/form")
    assert said(page, "name") == "Letters and digits."
    assert '<label for="look-http_port">HTTP port <span class="optional">' in page.text
    assert ">Sky blue</label>" in page.text
    assert ">Dark red</label>" in page.text
    assert "<span>minutes</span>" in page.text
    assert '<option value="archive">archive (full)</option>' in page.text
    assert "<h2>Look</h2><p>How a shelf looks.</p>" in page.text
    assert '<details class="more">' in page.text
    assert "unused" not in page.text


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"name": ""}, "name", "Is required."),
        ({"name": "x" * 21}, "name", "Must have at most 20 characters."),
        ({"look__http_port": "0"}, "look.http_port", "Must be at least 1."),
        ({"look__http_port": "many"}, "look.http_port", "Must be a whole number."),
        ({"look__limit": "-1"}, "look.limit", "Must be at least 0."),
        ({"look__limit": "much"}, "look.limit", "Must be a whole number."),
        ({"look__store": "archive"}, "look.store", "Must not be archive."),
        ({"look__colour": "green"}, "look.colour", "Must be 'dark_red' or 'blue'."),
        ({"look__open": "maybe"}, "look.open", "Must be true or false."),
        ({"look__pins": "no equals sign"}, "look.pins", "Must have lines such as name = a, b."),
        ({"name": "taken"}, "name", "There is a shelf taken already."),
        ({"name": "port"}, "look.http_port", "Port 80 is in use."),
        ({"name": "deep"}, "look.pins", "No such part."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(browser, shelves, changes, path, text):
    answer = send(browser, **changes)
    assert answer.status_code in (400, 409)
    assert said(answer, path) == text
    assert "Nothing was created" in answer.text
    assert "1 field needs another value" in answer.text
    assert f'href="#{path.replace(".", "-")}"' in answer.text
    assert shelves.saved is None


def test_a_wrong_line_of_several_is_named(browser):
    answer = send(browser, look__patterns="a\n(")
    assert said(answer, "look.patterns").startswith("Line 2 ")


def test_all_that_is_wrong_is_said_at_once_and_nothing_typed_is_lost(browser):
    answer = send(browser, name="", look__http_port="many", look__patterns="(", look__limit="x")
    assert "4 fields need another value" in answer.text
    assert value_of(answer, "look.http_port") == "many"
    assert value_of(answer, "look.patterns") == "("
    assert value_of(answer, "look.pins") == SENT["look.pins"].replace("\r", "")
    assert '<details class="more" open>' in answer.text
    assert re.search(r'value="dark_red" checked', answer.text)
    assert re.search(r'value="old" checked', answer.text)
    assert answer.text.index('value="two">') < answer.text.index('value="one">')


def test_secrets_are_never_sent_back(browser, shelves):
    assert "a secret" not in send(browser, name="").text
    shelves.stored = STORED
    page = browser.get("/gallery/form")
    assert STARS not in page.text
    assert said(page, "look.password").startswith("Set. Leave empty to keep it.")


@pytest.mark.parametrize(
    ("changes", "saved"),
    [
        ({"look__password": ""}, "kept"),
        ({"look__password": "", "look__password__clear": "on"}, ""),
        ({"look__password": "another"}, "another"),
        ({"look__password": STARS}, "kept"),
    ],
)
def test_a_stored_secret_stays_until_another_one_is_given(browser, shelves, changes, saved):
    shelves.stored = STORED
    browser.get("/gallery/form")
    assert send(browser, **changes).status_code == 303
    assert shelves.saved["look"].get("password", "kept") == saved


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [
        ("elsewhere", "quota: too small.", 400),
        ("down", "The directory does not answer.", 503),
    ],
)
def test_what_is_about_no_field_stands_above_the_form(browser, name, text, status):
    answer = send(browser, name=name)
    assert answer.status_code == status
    assert f"<p>{text}</p>" in answer.text
    assert value_of(answer, "name") == name


def test_what_is_wrong_with_several_fields_together_is_said(browser):
    answer = send(browser, look__http_port="70")
    assert answer.status_code == 400
    assert "The port must not be the width." in answer.text


def revision_in(page):
    return re.search(r'name="revision" value="([^"]+)"', page.text)[1]


def test_two_people_do_not_overwrite_each_other_unseen(browser, shelves):
    shelves.stored = STORED
    seen = revision_in(browser.get("/gallery/form"))
    shelves.stored = {**STORED, "look": {**STORED["look"], "width": 99}}
    answer = send(browser, revision=seen, look__width="80")
    assert answer.status_code == 409
    assert "Somebody has changed this since you opened it." in answer.text
    assert "Stored now: 99" in answer.text
    assert answer.text.count("Stored now:") == 1
    assert value_of(answer, "look.width") == "80"
    assert send(browser, revision=revision_in(answer), look__width="80").status_code == 303
    assert shelves.saved["look"]["width"] == 80


def test_a_size_that_is_not_round_stays_as_it_is(browser, shelves):
    shelves.stored = {**STORED, "look": {**STORED["look"], "limit": 1_234_567}}
    shown = value_of(browser.get("/gallery/form"), "look.limit")
    assert send(browser, look__limit=shown).status_code == 303
    assert shelves.saved["look"]["limit"] == 1_234_567


def test_a_value_that_can_no_longer_be_chosen_is_shown_and_not_replaced(browser, shelves):
    shelves.stored = {**STORED, "look": {**STORED["look"], "store": "gone"}}
    page = browser.get("/gallery/form")
    assert '<option value="gone" selected>' in page.text


@pytest.mark.parametrize(
    ("move", "add", "order"),
    [
        ("up one", "", ["one", "two"]),
        ("down two", "", ["one", "two"]),
        ("out two", "", ["one"]),
        ("add", "three", ["two", "one", "three"]),
        ("add", "", ["two", "one"]),
        ("up nothing", "", ["two", "one"]),
    ],
)
def test_without_a_script_buttons_rearrange_a_list_and_save_nothing(
    browser, shelves, move, add, order
):
    answer = send(browser, look__parts__move=move, look__parts__add=add, name="")
    assert answer.status_code == 200
    assert re.findall(r'name="look.parts" value="(\w+)"', answer.text) == order
    assert "Nothing was created" not in answer.text
    assert shelves.saved is None


def test_what_is_typed_is_text_on_the_page(browser):
    script = '"><script>alert(1)</script>'
    answer = send(browser, name=script * 2, look__patterns=script, look__store=script)
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("junk", ["9" * 5000, "\x00", "1e999", "NaN", "-", "٣"])
def test_odd_numbers_are_no_failure_of_the_server(browser, junk):
    for path in ("look__http_port", "look__limit", "look__width"):
        assert send(browser, **{path: junk}).status_code in (303, 400)
