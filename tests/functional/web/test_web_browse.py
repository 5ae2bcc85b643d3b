"""The list of repositories and the frame of one over HTTP: what they show, to whom."""

import re

import pytest

from repoman.security.actors import Action
from repoman.testing import HttpClient
from tests.functional.docker.images import make_image
from tests.functional.web.conftest import Browser
from tests.live import free_port
from tests.statements import executed_statements

UPSTREAM = "http://127.0.0.1:9"  # Nobody listens there.


@pytest.fixture
def browser(stage):
    browser = Browser(stage.repoman)
    browser.log_in()
    return browser


def page(browser, path, status=200):
    answer = browser.get(path)
    assert answer.status_code == status, answer.text[:2000]
    assert "style=" not in answer.text
    return answer.text


def store(stage, name, path, data=b"text"):
    answer = HttpClient(stage.repoman).put(f"/repository/{name}/{path}", data)
    assert answer.status_code == 201, answer.text


def reading(name, format_="docker"):
    return tuple(
        f"nx-repository-view-{format_}-{name}-{each}" for each in (Action.BROWSE, Action.READ)
    )


def test_repositories_are_listed_with_what_they_have(stage, browser):
    hosted = stage.make_repository()
    stage.mounted(hosted).push("team/app", "1", make_image())
    group = stage.make_repository("docker-group", group__members=[hosted])
    files = stage.make_repository("raw-hosted")
    text = page(browser, f"/browse?filter={hosted}")
    assert f'<a class="cut" href="/browse/{hosted}">{hosted}</a>' in text
    assert "1 image<" in text
    assert "1 member<" in page(browser, f"/browse?filter={group}")
    assert f"…/repository/{files}<" in page(browser, "/browse?format=raw")
    assert hosted not in page(browser, "/browse?format=raw")
    assert hosted not in page(browser, "/browse?type=group")
    for order in ("name", "size", "push", "pull", "odd"):
        assert hosted in page(browser, f"/browse?order={order}")
    assert "No repository fits" in page(browser, "/browse?filter=nowhere")
    page(browser, "/browse?after=odd", 406)


def test_a_long_list_of_repositories_has_pages(stage, browser, monkeypatch):
    names = sorted(stage.make_repository("raw-hosted") for _ in range(3))
    monkeypatch.setattr("repoman_web.views.browse.PAGE_REPOSITORIES", 2)
    seen, address = [], "/browse?format=raw&order=push"
    while address:
        text = page(browser, address)
        seen += [each for each in names if f">{each}</a>" in text]
        _, found, _ = text.rpartition('rel="next"')
        address = found and text.rpartition('" rel="next"')[0].rpartition('href="')[2]
        address = address.replace("&amp;", "&")
    assert sorted(seen) == names


def test_the_list_takes_as_many_statements_however_many_there_are(stage, browser):
    counts = []
    for _ in range(2):
        page(browser, "/browse")
        with executed_statements() as statements:
            page(browser, "/browse")
        counts.append(len(statements))
        for _ in range(5):
            stage.make_repository()
    assert counts[0] == counts[1] <= 8


def test_the_first_page_of_a_repository_is_that_of_its_format(stage, browser):
    port = free_port()
    hosted = stage.make_repository(docker__http_port=port)
    group = stage.make_repository("docker-group", group__members=[hosted])
    stage.mounted(hosted).push("team/app", "1", make_image())
    text = page(browser, f"/browse/{hosted}")
    assert f">localhost:{port}</code>" in text
    assert f'also in <a href="/browse/{group}">' in text
    assert "<dt>Overwriting</dt><dd>allowed</dd>" in text
    assert f'href="/browse/{hosted}/image/team/app"' in text
    assert f'<a href="/browse/{hosted}">{hosted}</a>' in page(browser, f"/browse/{group}")
    assert "HTTP" in page(browser, f"/browse/{hosted.upper()}")


def test_an_administrator_brings_a_repository_online(stage, browser, open_as):
    name = stage.make_repository()
    stage.repoman.repositories.update(name, {}, is_online=False)
    other = open_as(*reading(name))
    assert "is offline" in page(other, f"/browse/{name}")
    assert "Bring online" not in page(other, f"/browse/{name}")
    assert other.post(f"/browse/{name}/online").status_code == 403
    assert "Bring online" in page(browser, f"/browse/{name}")
    assert browser.post(f"/browse/{name}/online").status_code == 303
    assert f"{name} is online." in page(browser, f"/browse/{name}")
    assert stage.repoman.repositories.get(name).config.is_online


def test_a_proxy_says_how_its_upstream_is(stage, browser, open_as):
    name = stage.make_repository("raw-proxy", proxy__remote_url=UPSTREAM)
    assert "not asked yet" in page(browser, f"/browse/{name}")
    assert browser.post(f"/browse/{name}/check").status_code == 303
    text = page(browser, f"/browse/{name}")
    assert "127.0.0.1:9 is blocked for a while after failures" in text
    assert "Ask it now" in text
    assert "upstream blocked" in page(browser, f"/browse?filter={name}")
    other = open_as(*reading(name, "raw"))
    assert "Ask it now" not in page(other, f"/browse/{name}")
    assert other.post(f"/browse/{name}/check").status_code == 403
    blocked = stage.make_repository(
        "raw-proxy", proxy__remote_url=UPSTREAM, http_client__blocked=True
    )
    assert "is blocked by the settings" in page(browser, f"/browse/{blocked}")


def test_others_see_only_what_they_may_know_of(stage, open_as):
    mine, other = stage.make_repository(), stage.make_repository()
    group = stage.make_repository("docker-group", group__members=[mine, other])
    reader = open_as(*reading(mine), *reading(group))
    text = page(reader, "/browse")
    assert mine in text
    assert other not in text
    text = page(reader, f"/browse/{group}")
    assert mine in text
    assert other not in text
    page(reader, f"/browse/{other}", 404)
    page(reader, "/browse/nowhere", 404)


def test_sums_are_hidden_from_whom_a_selector_limits(stage, open_as):
    name = stage.make_repository()
    stage.mounted(name).push("team/app", "1", make_image())
    limited = open_as(stage.make_selected(name, 'path =^ "/v2/other/"', ["browse", "read"]))
    assert name in page(limited, "/browse")
    assert "1 image" not in page(limited, "/browse")
    assert "<dt>Stored</dt>" not in page(limited, f"/browse/{name}")


def test_nobody_is_asked_to_sign_in(stage):
    nobody = Browser(stage.repoman)
    assert "Sign in to see" in page(nobody, "/browse")
    answer = nobody.get(f"/browse/{stage.make_repository()}")
    assert answer.status_code == 303
    assert "/login" in answer.headers["Location"]


def test_files_are_counted_where_there_are_no_packages(stage, browser):
    name = stage.make_repository("raw-hosted")
    store(stage, name, "a/b.txt")
    assert "1 file<" in page(browser, f"/browse?filter={name}")
    assert re.search(r'Last push"[^>]*><time', page(browser, f"/browse?filter={name}"))
