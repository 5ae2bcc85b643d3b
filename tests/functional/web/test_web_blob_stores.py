"""Blob stores on pages: what is in them, created, changed and deleted by who may."""

import re
import time
from html import unescape

import pytest

from repoman.compaction import Unwatched
from repoman.db.models import database_proxy
from repoman.security.rights_records import Role
from repoman.stores.model import Quota, QuotaKind
from repoman.testing import HttpClient
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser
from tests.statements import executed_statements

LIST = "/admin/blobstores"
GIB = 1 << 30


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw, "web": web})


@pytest.fixture
def browser(repoman):
    browser = Browser(repoman)
    browser.log_in()
    return browser


def open_as(repoman, *privileges):
    """Open a browser of a user with these privileges."""
    repoman.security.roles.create(Role("some", "", "", privileges, ()))
    repoman.users.create("ann", "a password", ["some"])
    browser = Browser(repoman)
    browser.log_in("ann", "a password")
    return browser


def send(browser, to=f"{LIST}/-/new", **changes):
    fields = {"name": "archive", "path": "", "quota.kind": "none", "quota.limit": ""}
    sent = {"csrf_token": browser.mark, **fields, **changes}
    return browser.open("POST", to, data=sent)


def said(answer, path):
    """Return what stands below a field."""
    pattern = rf'id="{path.replace(".", "-")}-said">(?:<svg.*?</svg><span>)?([^<]*)<'
    found = re.search(pattern, answer.text)
    return unescape(found[1]) if found else None


def row_of(page, name):
    """Return the row of a blob store."""
    rows = re.findall(r"<tr>.*?</tr>", page.text, re.DOTALL)
    return next(each for each in rows if "<code" in each and f"{name}</" in each)


def test_who_may_not_read_blob_stores_sees_none(repoman):
    assert Browser(repoman).get(LIST).location == f"/login?next={LIST}"
    bob = open_as(repoman, "nx-metrics-all")
    assert LIST not in bob.get("/account").text
    for path in ("", "/-/new", "/default/edit", "/default/delete"):
        assert bob.get(f"{LIST}{path}").status_code == 403
    for path in ("/-/new", "/default/edit", "/default/delete", "/verify", "/compact"):
        assert bob.post(f"{LIST}{path}").status_code == 403


def test_who_may_only_read_sees_no_buttons(repoman):
    page = open_as(repoman, "nx-blobstores-read").get(LIST)
    assert f'class="nav-link" href="{LIST}"' in page.text
    assert ">default<" in page.text
    for text in ("/edit", "/delete", "Create blob store", "Verify now"):
        assert text not in page.text


def test_the_list_says_what_is_stored_and_how_much_fits(repoman, browser):
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.stores.create("archive", "archive", Quota(QuotaKind.USED, 4 * GIB))
    repoman.stores.create("ssd", "ssd", Quota(QuotaKind.REMAINING, 1 << 60))
    page = browser.get(LIST)
    assert "of 4.0\u00a0GiB" in row_of(page, "archive")
    assert "fine" in row_of(page, "archive")
    assert "beyond its quota" in row_of(page, "ssd")
    assert "The soft quota of the blob store ssd is exceeded" in row_of(page, "ssd")
    assert "Cannot be deleted" not in row_of(page, "archive")
    assert "It is in the settings file." in row_of(page, "default")


def test_it_is_told_when_the_disk_is_full(repoman, browser):
    repoman.repositories.create("files", "raw-hosted", {})
    assert "At this rate full in" not in browser.get(LIST).text
    now = time.time()
    for days, value in ((40, 0), (10, 1 << 20), (0, 6 << 20)):
        database_proxy.execute_sql(
            "INSERT INTO sample (name, period, at, value) VALUES (?, 'day', ?, ?)",
            ("store default size", now - now % 86_400 - days * 86_400, value),
        )
    page = browser.get(LIST).text
    assert "At this rate full in" in page
    assert "+512.0\u00a0KiB a day, over 30 days" in page
    assert "Over 3 days" in page
    assert 'aria-label="Stored bytes over 3 days' in page


def test_the_list_takes_as_many_statements_for_many_stores(repoman, browser):
    browser.get(LIST)

    def count():
        with executed_statements() as statements:
            browser.get(LIST)
        return len(statements)

    few = count()
    for number in range(12):
        repoman.stores.create(f"s{number:02}", f"s{number:02}")
        repoman.repositories.create(f"files{number}", "raw-hosted", {})
    browser.get(LIST)  # The caches follow the changes.
    assert count() == few
    assert "1 of 13 blob stores" in browser.get(f"{LIST}?filter=S03").text
    assert "No blob store fits" in browser.get(f"{LIST}?filter=zz").text


def test_a_store_is_created_and_its_quota_changed(repoman, browser):
    browser.get(f"{LIST}/-/new")
    answer = send(browser, **{"quota.kind": "used", "quota.limit": "1.5"})
    assert (answer.status_code, answer.location) == (303, LIST)
    info = repoman.stores.get("archive")
    assert (info.path, info.quota) == ("archive", Quota(QuotaKind.USED, 3 * GIB // 2))
    page = browser.get(f"{LIST}/archive/edit")
    assert 'value="1.5"' in page.text
    answer = send(browser, f"{LIST}/archive/edit", **{"quota.kind": "remaining",
                  "quota.limit": "2"}, name="other", path="other")  # fmt: skip
    assert answer.location == LIST
    info = repoman.stores.get("archive")
    assert (info.path, info.quota) == ("archive", Quota(QuotaKind.REMAINING, 2 * GIB))
    send(browser, f"{LIST}/archive/edit")
    assert repoman.stores.get("archive").quota is None


@pytest.mark.parametrize("name", ["new", "verify"])
def test_a_store_of_any_name_has_its_pages(repoman, browser, name):
    repoman.stores.create(name, "elsewhere")
    assert f"<h1>{name}" in browser.get(f"{LIST}/{name}").text
    for page in ("/edit", "/delete"):
        assert browser.get(f"{LIST}/{name}{page}").status_code == 200


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"name": ""}, "name", "Is required."),
        ({"name": "a b"}, "name", "'a b' is not a valid name"),
        ({"name": "Default"}, "name", "A blob store named 'Default' already exists"),
        ({"path": "default"}, "path", "'/"),
        ({"quota.kind": "used"}, "quota.limit", "Write how many GiB, or choose Never."),
        ({"quota.kind": "used", "quota.limit": "-1"}, "quota.limit", "Must be"),
        ({"quota.kind": "used", "quota.limit": "x"}, "quota.limit", "Must be"),
        ({"quota.kind": "x"}, "quota.kind", "Must be"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(repoman, browser, changes, path, text):
    browser.get(f"{LIST}/-/new")
    answer = send(browser, **changes)
    assert answer.status_code in (400, 409)
    assert (said(answer, path) or "").startswith(text), said(answer, path)
    assert "Nothing was created" in answer.text
    assert [each.name for each in repoman.stores.all()] == ["default"]


def test_only_administrators_place_a_store_anywhere(repoman, tmp_path):
    ann = open_as(repoman, "nx-blobstores-all")
    ann.get(f"{LIST}/-/new")
    answer = send(ann, path=str(tmp_path / "elsewhere"))
    assert said(answer, "path") == "Only administrators can use an absolute path."
    assert send(ann).status_code == 303


def test_a_used_store_and_one_of_the_settings_file_stay(repoman, browser):
    repoman.stores.create("archive", "archive")
    repoman.repositories.create("files", "raw-hosted", {"storage": {"blob_store": "archive"}})
    assert "Cannot be deleted: 1 repository uses it." in row_of(browser.get(LIST), "archive")
    page = browser.get(f"{LIST}/archive/delete")
    assert 'href="/browse/files"' in page.text
    assert "is-final" not in page.text
    assert browser.post(f"{LIST}/archive/delete", typed="archive").status_code == 400
    assert "is in the settings file" in browser.get(f"{LIST}/default/delete").text
    assert browser.post(f"{LIST}/default/delete", typed="default").status_code == 400
    assert len(repoman.stores.all()) == 2


def test_names_of_repositories_are_told_to_who_sees_them(repoman):
    repoman.repositories.create("secret-files", "raw-hosted", {})
    repoman.stores.create("archive", "archive")
    repoman.repositories.create("more", "raw-hosted", {"storage": {"blob_store": "archive"}})
    ann = open_as(repoman, "nx-blobstores-all")
    page = ann.get(f"{LIST}/archive/delete").text
    assert "1 repository that you may not see" in page
    assert "more" not in re.findall(r">(\w+)</a>", page)
    assert "secret-files" not in ann.get(LIST).text


def test_an_unused_store_is_deleted_after_its_name_is_typed(repoman, browser):
    repoman.stores.create("archive", "archive")
    page = browser.get(f"{LIST}/archive/delete")
    assert "<p>It is empty.</p>" in page.text
    answer = browser.post(f"{LIST}/archive/delete", typed="archiv")
    assert answer.status_code == 400
    assert "Type the name of the blob store: archive." in answer.text
    assert browser.post(f"{LIST}/archive/delete", typed="archive").location == LIST
    assert [each.name for each in repoman.stores.all()] == ["default"]
    for path in ("edit", "delete"):
        assert browser.get(f"{LIST}/archive/{path}").status_code == 404


def test_all_stores_are_verified_by_a_task(repoman, browser):
    browser.get(LIST)
    # The task that every server has is disabled: another one is created, and then used again.
    answer = browser.post(f"{LIST}/verify")
    [task] = [
        each for each in repoman.tasks.all() if each.type == "blobstore.verify" and each.is_enabled
    ]
    assert answer.location == f"/admin/tasks/{task.uid}"
    assert "starting" in browser.get(LIST).text
    runner = repoman.make_runner()
    runner.execute(repoman.tasks.runs(task)[0])
    browser.post(f"{LIST}/verify")
    assert len(repoman.tasks.runs(task)) == 2
    answer = browser.post(f"{LIST}/compact")
    assert "was started" in browser.get(answer.location).text


def test_the_page_of_a_store_lists_what_is_damaged_and_starts_work(repoman, browser):
    repoman.repositories.create("files", "raw-hosted", {})
    page = browser.get(f"{LIST}/default")
    assert "Not verified yet" in page.text
    assert HttpClient(repoman).put("/repository/files/one", data="one").status_code == 201
    for file in (repoman.data / "blobs/default/sha256").glob("*/*"):
        file.write_bytes(b"X")
    repoman.verifier.run(["default"], bool, Unwatched())
    page = browser.get(f"{LIST}/default")
    assert "is damaged: its content has the digest" in page.text
    assert "/browse/files/paths/one" in page.text
    answer = browser.post(f"{LIST}/default/work", work="list")
    assert answer.location == f"{LIST}/default"
    assert "Unknown files of default (list) was started." in browser.get(answer.location).text
    answer = browser.post(f"{LIST}/default/work", work="burn")
    assert "There is no such work" in browser.get(answer.location).text
    assert browser.get(f"{LIST}/none").status_code == 404
    ann = open_as(repoman, "nx-blobstores-read")
    page = ann.get(f"{LIST}/default")
    assert "repositories that you may not see" in page.text
    assert "Verify now" not in page.text
    assert ann.post(f"{LIST}/default/work", work="list").status_code == 403


def test_a_hard_quota_is_set_and_seen(repoman, browser):
    browser.open("GET", f"{LIST}/default/edit")
    sent = send(browser, f"{LIST}/default/edit", **{"hard_quota.limit": "0.5"})
    assert sent.status_code == 303
    assert repoman.stores.get("default").hard_quota == GIB // 2
    assert "of 512.0" in row_of(browser.open("GET", LIST), "default")
    repoman.stores.limit("default", 0)
    row = row_of(browser.open("GET", LIST), "default")
    assert "takes nothing more" in row
    assert "Nothing more is stored in it." in row
    page = browser.get(f"{LIST}/default").text
    assert "Nothing more is stored in it" in page
    repoman.stores.limit("default", GIB)
    assert "of at most 1.0" in browser.get(f"{LIST}/default").text
    browser.open("GET", f"{LIST}/default/edit")
    send(browser, f"{LIST}/default/edit", name="default", **{"hard_quota.limit": ""})
    assert repoman.stores.get("default").hard_quota is None


def test_the_page_of_a_repository_shows_its_quota(repoman, browser):
    repoman.repositories.create("files", "raw-hosted", {"quota": {"soft_limit": 5, "limit": 20}})
    page = browser.open("GET", "/browse/files").text
    assert "of its quota of 20" in page
    assert 'class="notice is-' not in page
    client = HttpClient(repoman)
    client.put("/repository/files/a", b"ten bytes!")
    page = browser.open("GET", "/browse/files").text
    assert "The soft quota is exceeded" in page
    assert 'class="is-warn"' in page
    client.put("/repository/files/b", b"ten others")
    page = browser.open("GET", "/browse/files").text
    assert "The quota is used up" in page
    assert "what is deleted makes room" in page
    form = browser.open("GET", "/admin/repositories/files").text
    assert 'name="quota.limit"' in form
