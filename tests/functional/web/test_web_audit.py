"""The audit log as a page."""

import json
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
    cells = re.findall(r'data-label="User" class="nowrap">(.*?)</td>', answer.text)
    return [
        re.sub(r"<[^>]*>", "", re.sub(r'<span class="avatar.*?</span>', "", each)) for each in cells
    ]


def test_it_is_for_those_who_have_the_right(repoman, open_browser):
    repoman.security.roles.create(Role("auditors", "", "", ("nx-audit-read",), ()))
    repoman.users.create("ann", "a password", ["auditors"])
    repoman.users.create("bob", "a password", ["nx-developer"])
    stranger, ann, bob = open_browser(), open_browser(), open_browser()
    answer = stranger.get("/admin/audit")
    assert (answer.status_code, answer.location) == (303, "/login?next=/admin/audit")
    ann.log_in("ann", "a password")
    assert 'href="/admin/audit"' in ann.get("/account").text
    record(repoman)
    assert {"ann", "m000"} <= set(shown(ann.get("/admin/audit")))
    bob.log_in("bob", "a password")
    assert "/admin/audit" not in bob.get("/account").text
    assert bob.get("/admin/audit").status_code == 403


def test_pages_lead_to_the_first_event(repoman, browser):
    browser.log_in()
    record(repoman, 250)
    address, found = "/admin/audit?actor=&domain=login&type=failed", []
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
    answer = browser.get(
        "/admin/audit?actor=&address=203.0.113.9&repository=files&since=2020-01-01"
    )
    assert shown(answer) == ["m000"]
    assert 'value="203.0.113.9"' in answer.text
    assert 'value="2020-01-01"' in answer.text
    answer = browser.get("/admin/audit?domain=content")
    assert shown(answer) == ["other"]
    assert "<option selected>content</option>" in answer.text
    assert "No events match" in browser.get("/admin/audit?actor=nobody-at-all").text


def test_every_category_of_the_manual_can_be_chosen(browser):
    browser.log_in()
    table = (ROOT / "docs/security.md").read_text().partition("| domain | types |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    documented = {each for row in rows for each in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    offered = re.findall(r"<option(?: selected)?>([\w-]+)<", browser.get("/admin/audit").text)
    assert "login" in documented
    assert offered == sorted(documented)


def test_details_without_a_value_are_left_out(repoman, browser):
    browser.log_in()
    record(repoman, attributes={"roles": "", "user": "root"})
    assert (
        '<span class="soft small">user: root</span>' in browser.get("/admin/audit?actor=m000").text
    )


@pytest.mark.parametrize("query", ["since=yesterday", "continuationToken=x", "limit=5000"])
def test_what_cannot_be_asked_is_explained(browser, query):
    browser.log_in()
    answer = browser.get(f"/admin/audit?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("path", ["/api/v1/audit", "/admin/audit", "/admin/audit/export"])
@pytest.mark.parametrize("token", ["9" * 19, "9" * 5000, "²"])
def test_a_token_that_is_the_id_of_no_row_is_refused(browser, path, token):
    browser.log_in()
    assert browser.get(f"{path}?continuationToken={token}").status_code == 400


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
    answer = browser.get(f"/admin/audit?actor={script}")
    assert shown(answer) == ["&lt;script&gt;alert(1)&lt;/script&gt;"]
    assert script not in answer.text


def test_the_old_address_leads_to_the_page(browser):
    answer = browser.get("/audit?domain=login&actor=ann")
    assert (answer.status_code, answer.location) == (308, "/admin/audit?actor=ann&domain=login")


@pytest.mark.parametrize("name", ["endpoint", "_method", "_scheme", "_external", "_anchor"])
def test_names_that_mean_something_to_flask_are_no_failure(browser, name):
    browser.log_in()
    for path in ("/admin/audit", "/audit", "/admin/tasks", "/admin/blobstores"):
        assert browser.get(f"{path}?{name}=x&filter=a").status_code in (200, 308)


def test_the_first_page_can_be_reached_from_a_later_one(repoman, browser):
    browser.log_in()
    record(repoman, 150)
    first = "/admin/audit?domain=login&type=failed"
    page = browser.get(first)
    assert "First page" not in page.text
    older = re.search(r'href="([^"]+)" rel="next"', page.text)[1].replace("&amp;", "&")
    assert f'href="{first.replace("&", "&amp;")}"' in browser.get(older).text
    assert "First page" in browser.get(older).text


def test_events_are_exported_as_lines_page_by_page(repoman, browser, monkeypatch):
    browser.log_in()
    record(repoman, 30)
    monkeypatch.setattr("repoman.rest.audit.PAGE_EVENTS_MAX", 7)
    path = "/admin/audit/export?domain=login&type=failed"
    answer = browser.get(path)
    assert answer.status_code == 200
    assert answer.mimetype == "application/x-ndjson"
    assert 'filename="audit.jsonl"' in answer.headers["Content-Disposition"]
    found = [json.loads(line)["actor"] for line in answer.text.splitlines()]
    assert found == [f"m{number:03}" for number in reversed(range(30))]
    monkeypatch.setattr("repoman.rest.audit.EXPORT_EVENTS_MAX", 14)
    assert len(browser.get(path).text.splitlines()) == 14
    assert browser.get("/admin/audit/export?since=yesterday").status_code == 400


def test_the_export_is_for_those_who_may_read(repoman, open_browser):
    repoman.users.create("bob", "a password", ["nx-developer"])
    bob = open_browser()
    path = "/admin/audit/export"
    assert bob.get(path).location == f"/login?next={path}"
    bob.log_in("bob", "a password")
    assert bob.get(path).status_code == 403


def test_repositories_that_one_may_know_of_are_linked(repoman, open_browser):
    repoman.security.roles.create(Role("auditors", "", "", ("nx-audit-read",), ()))
    repoman.users.create("ann", "a password", ["auditors"])
    record(repoman, repository="files")
    record(repoman, repository="gone")
    admin, ann = open_browser(), open_browser()
    admin.log_in()
    ann.log_in("ann", "a password")
    page = "/admin/audit?domain=login&type=failed"
    assert admin.get(page).text.count('href="/browse/files"') == 1
    assert "/browse/gone" not in admin.get(page).text
    assert "/browse/files" not in ann.get(page).text


def test_digests_are_shown_short_and_copied_whole(repoman, browser):
    browser.log_in()
    digest = f"sha256:{'0123456789abcdef' * 4}"
    about = {"domain": "content", "type": "push", "attributes": {"digest": digest}}
    record(repoman, target=f"team/app@{digest}", **about)
    page = browser.get("/admin/audit?type=push").text
    assert "<span>team/app@sha256:0123456789ab<button" in page
    assert f'data-copy="team/app@{digest}"' in page
    assert f'title="digest: {digest}">digest: sha256:0123456789ab</span>' in page
