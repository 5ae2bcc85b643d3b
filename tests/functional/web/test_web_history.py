"""Unfinished uploads and the activity of a repository over HTTP, REST and the command line."""

import re

import pytest

from repoman.testing import HttpClient
from tests.functional.docker.images import make_image
from tests.functional.web.conftest import Browser
from tests.statements import executed_statements


@pytest.fixture
def hosted(stage):
    return stage.make_repository()


@pytest.fixture
def browser(stage):
    return opened(stage)


def opened(stage, login=None):
    browser = Browser(stage.repoman)
    browser.log_in(*(login or ()))
    return browser


def page(browser, path, status=200):
    answer = browser.get(path)
    assert answer.status_code == status, answer.text[:2000]
    assert "style=" not in answer.text
    return answer.text


def reading(name, *actions):
    actions = actions or ("browse", "read")
    return tuple(f"nx-repository-view-docker-{name}-{each}" for each in actions)


def begin(stage, name, login, image="team/app", data=b"first bytes"):
    """Begin an upload, and return its id."""
    client = HttpClient(stage.repoman)
    base = f"/repository/{name}/v2/{image}/blobs/uploads/"
    answer = client.request("POST", base, auth=login)
    assert answer.status_code == 202, answer.text
    place = answer.headers["Location"].partition("localhost")[2] or answer.headers["Location"]
    sent = client.request("PATCH", place, data=data, auth=login)
    assert sent.status_code == 202, sent.text
    return place.partition("?")[0].rstrip("/").rpartition("/")[2]


def test_users_see_and_cancel_their_own_uploads(stage, hosted, browser):
    mine = stage.make_user(*reading(hosted, "browse", "read", "add", "edit"))
    other = stage.make_user(*reading(hosted, "browse", "read", "add", "edit"))
    upload = begin(stage, hosted, mine)
    text = page(opened(stage, mine), f"/browse/{hosted}/uploads")
    assert "team/app" in text
    assert "11" in text
    assert "No open upload" in page(opened(stage, other), f"/browse/{hosted}/uploads")
    page(opened(stage, other), f"/browse/{hosted}/uploads/{upload}/cancel", 404)
    assert upload in page(browser, f"/browse/{hosted}/uploads")  # An administrator.
    owner = opened(stage, mine)
    address = f"/browse/{hosted}/uploads/{upload}/cancel"
    assert "The bytes that have arrived go" in page(owner, address)
    assert owner.post(address).status_code == 303
    assert "was cancelled" in page(owner, f"/browse/{hosted}/uploads")
    page(owner, address, 404)


def test_an_administrator_cancels_any_upload(stage, hosted, browser):
    mine = stage.make_user(*reading(hosted, "browse", "read", "add", "edit"))
    upload = begin(stage, hosted, mine)
    settings = f"nx-repository-admin-docker-{hosted}-read"
    looker = opened(stage, stage.make_user(*reading(hosted), settings))
    assert upload in page(looker, f"/browse/{hosted}/uploads")
    address = f"/browse/{hosted}/uploads/{upload}/cancel"
    assert address not in page(looker, f"/browse/{hosted}/uploads")
    page(looker, "/account")
    assert looker.post(address).status_code == 403
    page(browser, address)
    assert browser.post(address).status_code == 303
    assert upload not in page(browser, f"/browse/{hosted}/uploads")


def test_only_repositories_with_uploads_have_the_tab(stage, hosted, browser):
    assert f'href="/browse/{hosted}/uploads"' in page(browser, f"/browse/{hosted}")
    files = stage.make_repository("raw-hosted")
    assert "/uploads" not in page(browser, f"/browse/{files}")
    assert "No open upload" in page(browser, f"/browse/{files}/uploads")
    page(browser, f"/browse/{files}/uploads/none/cancel", 404)
    page(browser, f"/browse/{hosted}/uploads?after=odd", 406)


def test_a_long_list_of_uploads_has_pages(stage, hosted, browser, monkeypatch):
    login = stage.make_user(*reading(hosted, "browse", "read", "add", "edit"))
    uploads = {begin(stage, hosted, login) for _ in range(3)}
    monkeypatch.setattr("repoman_web.views.browse_history.PAGE_ROWS", 2)
    for reader in (browser, opened(stage, login)):
        seen, address = set(), f"/browse/{hosted}/uploads"
        while address:
            text = page(reader, address)
            seen |= {each for each in uploads if each in text}
            more = re.search(r'href="([^"]+)" rel="next"', text)
            address = more and more[1].replace("&amp;", "&")
        assert seen == uploads


def test_uploads_over_rest(stage, hosted):
    login = stage.make_user(*reading(hosted, "browse", "read", "add", "edit"))
    uploads = [begin(stage, hosted, login), begin(stage, hosted, login)]
    client = HttpClient(stage.repoman)
    base = f"/api/v1/repositories/{hosted}/uploads"
    first = client.get(f"{base}?limit=1").json
    [one] = first["items"]
    assert (one["name"], one["actor"], one["size"]) == ("team/app", login[0], 11)
    rest = client.get(f"{base}?limit=1&continuationToken={first['continuationToken']}").json
    assert {one["id"], rest["items"][0]["id"]} == set(uploads)
    assert client.get(f"{base}?continuationToken=odd").status_code == 400
    other = stage.make_user(*reading(hosted))
    assert client.get(base, auth=other).json["items"] == []
    assert client.request("DELETE", f"{base}/{uploads[0]}", auth=other).status_code == 404
    assert client.request("DELETE", f"{base}/{uploads[0]}", auth=login).status_code == 204
    assert client.request("DELETE", f"{base}/{uploads[0]}").status_code == 404


def test_what_was_stored_and_deleted_is_listed(stage, hosted, browser):
    registry = stage.mounted(hosted)
    assert "Nothing happened yet" in page(browser, f"/browse/{hosted}/activity")
    registry.push("team/app", "1", make_image())
    text = page(browser, f"/browse/{hosted}/activity")
    assert f'href="/browse/{hosted}/image/team/app/-/tags/1"' in text
    assert "team/app:1" in text
    assert "127.0.0.1" in text
    assert "blobs/" not in text
    assert "team/app:1" in page(browser, f"/browse/{hosted}/activity?filter=admin")
    assert "Nothing happened by bob" in page(browser, f"/browse/{hosted}/activity?filter=bob")
    page(browser, f"/browse/{hosted}/activity?after=odd", 406)


def test_the_activity_has_pages(stage, hosted, browser, monkeypatch):
    registry = stage.mounted(hosted)
    for tag in "12345":
        registry.push("team/app", tag, make_image())
    monkeypatch.setattr("repoman_web.views.browse_history.PAGE_ROWS", 2)
    seen, address, counts = [], f"/browse/{hosted}/activity", set()
    while address:
        with executed_statements() as statements:
            text = page(browser, address)
        counts.add(len(statements))
        seen += re.findall(r">team/app:(\d)</a>", text)
        more = re.search(r'href="([^"]+)" rel="next"', text)
        address = more and more[1].replace("&amp;", "&")
    assert seen == list("54321")
    assert max(counts) <= 8


def test_activity_is_limited_to_what_one_may_see(stage, hosted):
    registry = stage.mounted(hosted)
    registry.push("team/app", "1", make_image())
    registry.push("other/app", "1", make_image())
    limited = opened(
        stage,
        stage.make_user(stage.make_selected(hosted, 'path =^ "/v2/team/"', ["browse", "read"])),
    )
    text = page(limited, f"/browse/{hosted}/activity")
    assert "team/app:1" in text
    assert "other/app" not in text
    assert "127.0.0.1" not in text  # Only those who may read the audit log see addresses.
    stranger = opened(stage, stage.make_user())
    for tab in ("activity", "uploads"):
        page(stranger, f"/browse/{hosted}/{tab}", 404)
        assert Browser(stage.repoman).get(f"/browse/{hosted}/{tab}").status_code == 303


def test_a_group_shows_the_activity_of_its_members(stage, hosted, browser):
    group = stage.make_repository("docker-group", group__members=[hosted])
    stage.mounted(hosted).push("team/app", "1", make_image())
    assert hosted in page(browser, f"/browse/{group}/activity")
    reader = opened(stage, stage.make_user(*reading(group)))
    text = page(reader, f"/browse/{group}/activity")
    assert "team/app:1" in text
    assert hosted not in text
