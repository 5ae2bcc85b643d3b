"""The search page over HTTP: what it finds, for whom, where it leads, and what it refuses."""

import re
from html import unescape

import pytest

from repoman.testing import HttpClient
from tests.fakes.index import fake_index
from tests.functional.docker.browsed import built, tar_of
from tests.functional.docker.images import digest_of, make_image
from tests.functional.rights.stage import view
from tests.functional.web.conftest import Browser
from tests.statements import executed_statements

HOSTILE = '"><script>alert(1)</script>'
LAYER = tar_of("etc/os-release")


@pytest.fixture(scope="module")
def images(stage):
    """A repository with images."""
    name = stage.make_repository()
    registry = stage.mounted(name)
    labels = {"Labels": {"org.acme.team": "edge"}}
    registry.push("platform/api-gateway", "2.1", built(LAYER, steps=(("ADD x /", False),)))
    registry.push(
        "platform/api-gateway", "2.0", built(LAYER, steps=(("ADD y /", False),), config=labels)
    )
    registry.push("private/gateway", "1", make_image())
    many = make_image()
    registry.push("tools/many", "pr-000", many)
    for number in range(1, 60):
        registry.push_manifest("tools/many", f"pr-{number:03}", many.manifest)
    return name


@pytest.fixture(scope="module")
def files(stage):
    name = stage.make_repository("raw-hosted")
    client = HttpClient(stage.repoman)
    client.put(f"/repository/{name}/firmware/gateway-x2.bin", b"firmware")
    client.put(f"/repository/{name}/same/a.txt", b"the same")
    client.put(f"/repository/{name}/same/b.txt", b"the same")
    return name


@pytest.fixture
def browser(stage):
    browser = Browser(stage.repoman)
    browser.log_in()
    return browser


def user(stage, *privileges):
    browser = Browser(stage.repoman)
    browser.log_in(*stage.make_user(*privileges))
    return browser


def page(browser, query, status=200):
    answer = browser.get("/search", query_string=query)
    assert answer.status_code == status, answer.text[:2000]
    assert "<script>alert" not in answer.text
    assert "style=" not in answer.text
    ids = re.findall(r' id="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids))
    return answer.text


def found(text):
    """The results by the titles of their lists."""
    lists = re.findall(r'<h2 id="[^"]+">([^<]+)</h2>.*?<ul class="list">(.*?)</ul>', text, re.S)
    plain = {title: re.sub(r"</?mark>", "", rows) for title, rows in lists}
    titles = re.compile(r'<span class="soft">([^<]*)</span><b>([^<]*)</b>')
    return {
        title: [unescape(head + tail) for head, tail in titles.findall(rows)]
        for title, rows in plain.items()
    }


def test_every_kind_is_found(browser, images, files):
    text = page(browser, {"q": "gateway"})
    assert found(text) == {
        "Images": ["private/gateway", "platform/api-gateway"],
        "Tags": ["private/gateway:1", "platform/api-gateway:2.0", "platform/api-gateway:2.1"],
        "Files and packages": ["firmware/gateway-x2.bin"],
    }
    assert f'href="/browse/{images}/image/platform/api-gateway"' in text
    assert f'href="/browse/{images}/image/platform/api-gateway/-/tags/2.1"' in text
    assert "2 tags" in text
    assert 'value="gateway"' in text
    assert "api-<mark>gateway</mark>" in text


def test_one_kind_is_paged_by_key(browser, images):
    text = page(browser, {"q": "many"})
    assert len(found(text)["Tags"]) == 5
    seen = []
    url = re.search(r'href="([^"]+)">All tags', text)[1]
    while url:
        text = browser.get(unescape(url)).text
        seen += found(text)["Tags"]
        more = re.search(r'href="([^"]+)" rel="next"', text)
        url = more[1] if more else None
    assert seen == [f"tools/many:pr-{number:03}" for number in reversed(range(60))]
    assert "First page" in text
    assert "does not belong to this list" in page(
        browser, {"q": "many", "kind": "tags", "after": "x"}
    )


def test_criteria_narrow_a_search_down(browser, images, files):
    tags = ["platform/api-gateway:2.0", "platform/api-gateway:2.1"]
    assert found(page(browser, {"name": "platform/*"}))["Tags"] == sorted(tags)
    assert found(page(browser, {"name": "platform/*", "version": "2.1"})) == {"Tags": tags[1:]}
    assert found(page(browser, {"docker.labels": "org.acme.team=edge"})) == {"Tags": tags[:1]}
    assert found(page(browser, {"q": "gateway", "format": "raw"})) == {
        "Files and packages": ["firmware/gateway-x2.bin"]
    }
    assert found(page(browser, {"q": "gateway", "repository": files})) == {
        "Files and packages": ["firmware/gateway-x2.bin"]
    }
    assert found(page(browser, {"group": "/same", "format": "raw"})) == {
        "Files and packages": ["same/a.txt", "same/b.txt"]
    }
    layer = digest_of(LAYER)
    assert found(page(browser, {"docker.layerId": layer}))["Tags"] == tags
    assert found(page(browser, {"q": "gatew?y-x"})) == {
        "Files and packages": ["firmware/gateway-x2.bin"]
    }


def test_what_is_typed_stays_and_errors_are_beside_it(browser, images):
    text = page(browser, {"checksum": "5c9a", "name": HOSTILE, "docker.labels": HOSTILE})
    assert "This is not a checksum" in text
    assert text.count("&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;") >= 2
    assert "Nothing found" in page(browser, {"q": "\0\udfff".encode("utf-8", "surrogatepass")})
    page(browser, {"q": "x" * 2000, "kind": "no-such", "repository": "no-such", "format": "odd"})


def test_a_whole_digest_leads_to_what_it_belongs_to(browser, images, files):
    image = built(LAYER, steps=(("ADD x /", False),))
    answer = browser.get("/search", query_string={"q": digest_of(image.manifest)})
    where = f"/browse/{images}/image/platform/api-gateway/-/digests/{digest_of(image.manifest)}"
    assert (answer.status_code, answer.headers["Location"]) == (302, where)
    layer = browser.get("/search", query_string={"q": digest_of(LAYER).upper()[7:]})
    assert layer.headers["Location"].endswith(f"/-/layers/{digest_of(LAYER)}")
    single = browser.get("/search", query_string={"q": digest_of(b"firmware")})
    assert single.headers["Location"] == f"/browse/{files}/paths/firmware/gateway-x2.bin"
    text = page(browser, {"q": digest_of(b"the same")})
    assert f'href="/browse/{files}/paths/same/a.txt"' in text
    assert found(text)["With this checksum"] == ["same/a.txt", "same/b.txt"]
    both = {"q": "gateway", "checksum": digest_of(image.manifest)}
    assert found(page(browser, both))["Tags"] == ["platform/api-gateway:2.1"]
    assert "Nothing found" in page(browser, {"q": digest_of(b"nothing has this")})


@pytest.mark.parametrize(("asked", "is_cut"), [("sha256:", True), ("", True), ("x", False)])
def test_of_the_beginning_of_a_digest_the_whole_is_asked_for(browser, images, asked, is_cut):
    shown = digest_of(LAYER).removeprefix("sha256:")[:12]
    text = page(browser, {"q": f"{asked}{shown}"})
    assert "Nothing found" in text
    assert ("found by all of its characters" in text) is is_cut
    assert ("Use fewer words" in text) is not is_cut


def test_a_search_shows_what_the_visitor_may_browse(stage, images, files):
    assert "Nothing to search" in page(Browser(stage.repoman), {"q": "gateway"})
    reader = user(stage, *view(images, "read"))
    assert found(page(reader, {"q": "gateway"})) == {}
    assert images not in page(reader, {})
    member = user(stage, stage.make_selected(images, 'path =^ "/v2/platform/"', ("browse", "read")))
    assert found(page(member, {"q": "gateway"})) == {
        "Images": ["platform/api-gateway"],
        "Tags": ["platform/api-gateway:2.0", "platform/api-gateway:2.1"],
    }
    text = page(member, {"q": digest_of(make_image().manifest)})
    assert "private" not in text
    assert files not in text


def test_a_search_asks_as_often_whatever_it_finds(browser, images, files):
    for query, most in (({"q": "gateway"}, 30), ({"q": "many", "kind": "tags"}, 15)):
        page(browser, query)
        with executed_statements() as executed:
            page(browser, query)
        statements = [each for each in executed if not each.startswith("--")]
        assert len(statements) <= most, "\n".join(statements)


@pytest.fixture(scope="module")
def index():
    with fake_index() as found:
        found.add("kong/gateway", description=HOSTILE, star_count=312)
        found.add("private/gateway-2", "$(reboot)/gateway", "kong/keeper")
        yield found


def make_proxy(stage, index, **settings):
    return stage.make_repository(
        "docker-proxy",
        proxy__remote_url=index.url,
        docker_proxy__index_type="custom",
        docker_proxy__index_url=index.url,
        **settings,
    )


@pytest.fixture(scope="module")
def proxy(stage, index):
    return make_proxy(stage, index, docker__http_port=15443)


def test_upstreams_are_asked_only_when_somebody_presses_the_button(browser, index, proxy):
    asked = len(index.queries)
    text = page(browser, {"q": "teway"})
    url = re.search(r'href="([^"]+)" rel="nofollow">', text)[1]
    assert len(index.queries) == asked
    text = browser.get(unescape(url)).text
    assert len(index.queries) == asked + 1
    assert 'data-copy="docker pull localhost:15443/kong/gateway"' in text
    assert "312 stars" in text
    assert "&#34;&gt;&lt;script&gt;" in text
    assert "reboot" not in text
    assert f"{proxy}: 2 of 3 results" in text


def test_upstreams_that_fail_are_named(stage, browser):
    with fake_index() as broken:
        broken.status = 503
        proxy = make_proxy(stage, broken)
        text = page(browser, {"q": "gateway", "repository": proxy, "upstream": "1"})
        assert f"{proxy} did not answer" in text
        stage.repoman.repositories.delete(proxy)


def test_upstreams_show_what_the_visitor_may_browse(stage, index, proxy):
    member = user(stage, stage.make_selected(proxy, 'path =^ "/v2/private/"', ("browse",)))
    text = page(member, {"q": "gateway", "upstream": "1"})
    assert "private/<mark>gateway</mark>-2" in text
    assert "kong" not in text
    asked = len(index.queries)
    nobody = Browser(stage.repoman)
    page(nobody, {"q": "secret words", "upstream": "1"})
    assert len(index.queries) == asked
