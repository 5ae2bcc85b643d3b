"""Repositories for administrators: the list, what is done from it, and who may."""

import re
import socket

import pytest

from repoman.repositories.repository_records import ConnectorState, save_states
from tests.live import free_port
from tests.statements import executed_statements

LIST = "/admin/repositories"


def names_in(answer):
    return re.findall(r'class="cut" href="[^"]*/admin/repositories/([^"]+)"', answer.text)


def row_of(answer, name):
    rows = re.findall(r"<tr>.*?</tr>", answer.text, re.DOTALL)
    return next(each for each in rows if f'/admin/repositories/{name}"' in each)


# Who may see it ----------------------------------------------------------------------------------


def test_nobody_is_sent_to_the_login(browser):
    for path in ("", "/-/new", "/-/new/raw-hosted", "/files"):
        assert browser.get(f"{LIST}{path}").location == f"/login?next={LIST}{path}"


def test_who_may_read_no_settings_is_refused_and_learns_nothing(browser_of):
    ann = browser_of("nx-repository-view-raw-files-read")
    assert ann.get(LIST).status_code == 403
    assert ann.get(f"{LIST}/-/new").status_code == 403
    assert ann.get(f"{LIST}/files").status_code == 403
    assert ann.get(f"{LIST}/nowhere").status_code == 404
    assert LIST not in ann.get("/").text


@pytest.mark.parametrize("path", ["/", "/browse", LIST])
def test_who_may_create_some_repository_is_shown_the_way(browser_of, path):
    ann = browser_of("nx-repository-admin-raw-files-add")
    assert "Create repository" in ann.get(path).text
    assert ann.get(f"{LIST}/-/new").status_code == 200


@pytest.mark.parametrize("path", ["/", "/browse"])
def test_who_may_create_none_is_not_shown_the_way(repoman, browser_of, path):
    properties = {"domain": "repositories", "actions": ["create"]}
    repoman.security.privileges.create("stray", "application", properties)
    ann = browser_of("stray", "nx-repository-admin-raw-files-edit")
    assert "Create repository" not in ann.get(path).text
    assert ann.get(f"{LIST}/-/new").status_code == 403


def test_who_may_read_some_settings_sees_those_without_buttons(repoman, browser_of):
    repoman.repositories.create("other", "raw-hosted", {})
    ann = browser_of("nx-repository-admin-raw-files-read")
    page = ann.get(LIST)
    assert names_in(page) == ["files"]
    assert "other" not in page.text
    for word in ("Create repository", "Take offline", "Delete"):
        assert word not in page.text
    form = ann.get(f"{LIST}/files")
    assert "You may read these settings, but not change them." in form.text
    assert 'class="buttons"' not in form.text
    assert ann.get(f"{LIST}/other").status_code == 404
    for action in ("", "/online", "/invalidate", "/check"):
        assert ann.post(f"{LIST}/files{action}").status_code == 403
        assert ann.post(f"{LIST}/other{action}").status_code == 404
    assert repoman.repositories.get("files").config.is_online


# The list ----------------------------------------------------------------------------------------


def test_it_shows_what_each_repository_is_and_how_it_is(repoman, admin):
    port = free_port()
    repoman.repositories.create("old", "raw-hosted", {}, is_online=False)
    repoman.repositories.create("site", "raw-hosted", {"raw": {"http_port": port}})
    page = admin.get(LIST)
    assert names_in(page) == ["files", "old", "site"]
    assert "online" in row_of(page, "files")
    assert "offline" in row_of(page, "old")
    assert f"<code>:{port}</code>" in row_of(page, "site")
    assert 'title="Not open yet."' in row_of(page, "site")
    assert "opening" in row_of(page, "site")
    assert "is-bad-text" not in row_of(page, "site")


def test_a_port_that_could_not_be_opened_is_shown_with_the_reason(repoman, admin):
    port = free_port()
    repoman.repositories.create("site", "raw-hosted", {"raw": {"http_port": port}})
    state = ConnectorState("site:http", "site", f"http://127.0.0.1:{port}/", "It is in use.")
    save_states(repoman.database, 1, [state])
    row = row_of(admin.get(LIST), "site")
    assert "port closed" in row
    assert 'title="It is in use."' in row
    form = admin.get(f"{LIST}/site").text
    assert "Closed: It is in use. Free ports near it: " in form


def test_an_open_port_is_said_to_be_open(repoman, admin):
    port = free_port()
    repoman.repositories.create("site", "raw-hosted", {"raw": {"http_port": port}})
    state = ConnectorState("site:http", "site", f"http://127.0.0.1:{port}/", "")
    save_states(repoman.database, 1, [state])
    assert "<span>Open.</span>" in admin.get(f"{LIST}/site").text


def test_it_is_filtered_by_name_type_and_format(repoman, admin):
    repoman.repositories.create("filed", "raw-hosted", {})
    repoman.repositories.create("all-files", "raw-group", {"group": {"members": ["files"]}})
    assert names_in(admin.get(f"{LIST}?filter=FIL+es")) == ["all-files", "files"]
    assert names_in(admin.get(f"{LIST}?type=group")) == ["all-files"]
    assert names_in(admin.get(f"{LIST}?type=group&filter=d")) == []
    assert "No repository matches" in admin.get(f"{LIST}?format=nothing").text
    assert names_in(admin.get(f"{LIST}?format=raw&type=hosted")) == ["filed", "files"]


def test_it_comes_in_pages_by_key_whatever_the_order(repoman, admin):
    for number in range(120):
        repoman.repositories.create(f"r{number:03}", "raw-hosted", {})
    for order in ("name", "stored"):
        url, found = f"{LIST}?order={order}", []
        while url:
            page = admin.get(url)
            found += names_in(page)
            following = re.search(r'href="([^"]+)" rel="next"', page.text)
            url = following and following[1].replace("&amp;", "&")
        assert found == ["files", *(f"r{number:03}" for number in range(120))]
    assert admin.get(f"{LIST}?after=%FF").status_code == 406


def test_it_asks_the_database_as_often_for_many_as_for_one(repoman, admin):
    def count():
        with executed_statements() as statements:
            assert admin.get(LIST).status_code == 200
        return len(statements)

    admin.get(LIST)
    few = count()
    for number in range(30):
        repoman.repositories.create(f"r{number}", "raw-hosted", {"raw": {"http_port": free_port()}})
    admin.get(LIST)
    assert count() == few
    assert few <= 9


def test_nothing_in_a_row_is_markup(repoman, admin):
    repoman.repositories.create("site", "raw-hosted", {"raw": {"http_port": (port := free_port())}})
    bad = '"><script>alert(1)</script>'
    state = ConnectorState("site:http", "site", f"http://127.0.0.1:{port}/", bad)
    save_states(repoman.database, 1, [state])
    assert "<script>alert" not in admin.get(LIST).text
    assert "<script>alert" not in admin.get(f"{LIST}?filter=<script>alert(1)</script>").text


# What is done from it ----------------------------------------------------------------------------


def test_a_repository_is_taken_offline_and_brought_online(repoman, admin):
    admin.get(LIST)
    assert admin.post(f"{LIST}/files/online", online="").location == LIST
    assert not repoman.repositories.get("files").config.is_online
    assert "files is offline: clients get an error, its content stays." in admin.get(LIST).text
    answer = admin.post(f"{LIST}/files/online", online="1", back="settings")
    assert answer.location == f"{LIST}/files"
    assert repoman.repositories.get("files").config.is_online


def test_the_cache_of_a_proxy_is_invalidated(repoman, admin):
    repoman.repositories.create(
        "mirror", "raw-proxy", {"proxy": {"remote_url": "http://127.0.0.1:9"}}
    )
    assert "Invalidate the cache" in row_of(admin.get(LIST), "mirror")
    assert "Invalidate the cache" not in row_of(admin.get(LIST), "files")
    assert admin.post(f"{LIST}/mirror/invalidate").status_code == 303
    assert "mirror asks its upstream again" in admin.get(LIST).text
    assert admin.post(f"{LIST}/files/invalidate").status_code == 405


def test_an_upstream_is_asked_now_and_its_state_told(repoman, admin):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        repoman.repositories.create("mirror", "raw-proxy", {"proxy": {"remote_url": url}})
        admin.get(LIST)
        assert admin.post(f"{LIST}/mirror/check").status_code == 303
    page = admin.get(LIST)
    assert "mirror: upstream blocked" in page.text
    assert "upstream blocked" in row_of(page, "mirror")
    assert f"The remote {url} cannot be reached" in page.text
