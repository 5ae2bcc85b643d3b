"""The audit log as a page."""

import re

import pytest

from repoman.security.audit import Event
from repoman.security.rights_records import Role
from tests.architecture import ROOT


def record(repoman, count=1, **fields):
    for number in range(count):
        repoman.audit.record(
            Event(**{"domain": "login", "type": "failed", "actor": f"m{number:03}", **fields})
        )
    repoman.audit.flush()


def shown(answer):
    assert answer.status_code == 200, answer.text
    return re.findall(r'data-label="User">([^<]*)<', answer.text)


def test_it_is_for_those_who_have_the_right(repoman, open_browser):
    repoman.security.roles.create(Role("auditors", "", "", ("nx-audit-read",), ()))
    repoman.users.create("ann", "a password", ["auditors"])
    repoman.users.create("bob", "a password", ["nx-developer"])
    stranger, ann, bob = open_browser(), open_browser(), open_browser()
    answer = stranger.get("/audit")
    assert (answer.status_code, answer.location) == (303, "/login?next=/audit")
    ann.log_in("ann", "a password")
    assert 'href="/audit"' in ann.get("/account").text
    record(repoman)
    assert {"ann", "m000"} <= set(shown(ann.get("/audit")))
    bob.log_in("bob", "a password")
    assert "/audit" not in bob.get("/account").text
    assert bob.get("/audit").status_code == 403


def test_pages_lead_to_the_first_event(repoman, browser):
    browser.log_in()
    record(repoman, 250)
    address, found = "/audit?actor=&domain=login&type=failed", []
    while address:
        answer = browser.get(address)
        found += shown(answer)
        older = re.search(r'href="([^"]+)" rel="next"', answer.text)
        address = older and older[1].replace("&amp;", "&")
    assert found == [f"m{number:03}" for number in reversed(range(250))]


def test_the_form_narrows_the_log_down_and_keeps_what_was_asked(repoman, browser):
    browser.log_in()
    record(repoman, address="203.0.113.9", repository="files")
    record(repoman, actor="other", domain="content", type="push", target="app:1")
    answer = browser.get("/audit?actor=&address=203.0.113.9&repository=files&since=2020-01-01")
    assert shown(answer) == ["m000"]
    assert 'value="203.0.113.9"' in answer.text
    assert 'value="2020-01-01"' in answer.text
    answer = browser.get("/audit?domain=content")
    assert shown(answer) == ["other"]
    assert "<option selected>content</option>" in answer.text
    assert "No events match." in browser.get("/audit?actor=nobody-at-all").text


def test_every_category_of_the_manual_can_be_chosen(browser):
    browser.log_in()
    table = (ROOT / "docs/security.md").read_text().partition("| domain | types |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    documented = {each for row in rows for each in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    offered = re.findall(r"<option(?: selected)?>([\w-]+)<", browser.get("/audit").text)
    assert "login" in documented
    assert offered == sorted(documented)


def test_details_without_a_value_are_left_out(repoman, browser):
    browser.log_in()
    record(repoman, attributes={"roles": "", "user": "root"})
    assert '<p class="soft small">user root</p>' in browser.get("/audit?actor=m000").text


@pytest.mark.parametrize("query", ["since=yesterday", "continuationToken=x", "limit=5000"])
def test_what_cannot_be_asked_is_explained(browser, query):
    browser.log_in()
    answer = browser.get(f"/audit?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.text


def test_what_clients_wrote_is_text_on_the_page(repoman, browser):
    browser.log_in()
    script = "<script>alert(1)</script>"
    record(
        repoman,
        actor=script,
        target=script,
        address=script,
        repository=script,
        attributes={"agent": script},
    )
    answer = browser.get(f"/audit?actor={script}")
    assert shown(answer) == ["&lt;script&gt;alert(1)&lt;/script&gt;"]
    assert script not in answer.text
