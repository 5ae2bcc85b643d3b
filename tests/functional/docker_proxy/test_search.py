"""Search in proxies, and in groups of them: what is cached and what an index finds."""

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlencode

import pytest

from repoman.caching import BUDGET
from repoman.proxy.remote_health import WAITERS_MAX
from repoman_docker import search as index_module
from repoman_docker.group import services as group_module
from repoman_docker.proxy import search as search_module
from repoman_docker.search import HUB, CatalogIndex, parse_answer
from tests.clock import LONG_S, WAIT_S, wait_until
from tests.fakes.index import fake_index
from tests.fakes.registry import Fault
from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import MINUTE, late, name_of

FAILED = "X-Repoman-Search-Failed"


@pytest.fixture
def make_index():
    with ExitStack() as stack:
        yield lambda: stack.enter_context(fake_index())


@pytest.fixture
def index(make_index):
    return make_index()


def searching(make_proxy, upstream, index, **settings):
    """A proxy of ``upstream`` that searches at ``index``."""
    return make_proxy(
        upstream.url,
        docker__v1_enabled=True,
        docker_proxy__index_type="custom",
        docker_proxy__index_url=index.url,
        **settings,
    )


def group_of(make_proxy, *members, **settings):
    return make_proxy.group(*members, docker__v1_enabled=True, **settings)


def ask(repository, q="", **query):
    target = f"{repository.prefix}/v1/search?{urlencode({'q': q, **query})}"
    login = b64encode(":".join(repository.login).encode()).decode()
    answer = repository.wire.send("GET", target, {"Authorization": f"Basic {login}"})
    assert answer.status == 200, answer.body
    return answer


def search(repository, q="", **query):
    return ask(repository, q, **query).json()


def names(repository, q="", **query):
    return [each["name"] for each in search(repository, q, **query)["results"]]


# --- What a proxy finds --------------------------------------------------------------------------


def test_official_stars_and_descriptions_of_the_index_are_kept(make_proxy, upstream, index):
    index.add("nginx", description="Web server", star_count=20_000, is_official=True)
    index.add("team/nginx", is_automated=True)
    proxy = searching(make_proxy, upstream, index)
    assert search(proxy, "nginx") == {
        "query": "nginx",
        "page": 1,
        "page_size": 25,
        "num_pages": 1,
        "num_results": 2,
        "results": [
            {
                "name": "nginx",
                "description": "Web server",
                "star_count": 20_000,
                "is_official": True,
                "is_automated": False,
                "is_trusted": False,
            },
            {
                "name": "team/nginx",
                "description": "",
                "star_count": 0,
                "is_official": False,
                "is_automated": True,
                "is_trusted": True,
            },
        ],
    }
    assert index.queries == [{"q": "nginx", "n": "25"}]


def test_cached_images_come_first_as_the_index_describes_them(make_proxy, upstream, index):
    index.add("other/app").add("team/app", description="Ours", star_count=7)
    upstream.put("team/app", "1", make_image())
    upstream.put("secret/app", "1", make_image())
    proxy = searching(make_proxy, upstream, index)
    proxy.pull("secret/app", "1")
    proxy.pull("team/app", "1")
    found = search(proxy, "app")
    assert [each["name"] for each in found["results"]] == ["secret/app", "team/app", "other/app"]
    assert (found["results"][1]["description"], found["results"][1]["star_count"]) == ("Ours", 7)
    assert found["num_results"] == 3


def test_one_image_has_one_name_where_library_may_be_left_out(make_proxy, upstream, index):
    index.add("nginx", star_count=3)
    upstream.put("library/nginx", "1", make_image())
    upstream.put("library/other/nginx", "1", make_image())
    proxy = searching(make_proxy, upstream, index, docker_proxy__expand_library=True)
    proxy.pull("nginx", "1")
    proxy.pull("library/other/nginx", "1")
    found = search(proxy, "nginx")["results"]
    assert [each["name"] for each in found] == ["nginx", "library/other/nginx"]
    assert found[0]["star_count"] == 3
    assert names(proxy, "library/nginx") == ["nginx"]
    assert index.queries[-1]["q"] == "nginx"


def test_pages_go_on_at_the_index(make_proxy, upstream, index):
    index.add(*(f"app-{number:03}" for number in range(260)))
    proxy = searching(make_proxy, upstream, index)
    found = []
    for page in range(1, 5):
        body = search(proxy, "app", n=100, page=page)
        assert (body["num_results"], body["num_pages"]) == (260, 3)
        found += [each["name"] for each in body["results"]]
    assert found == [f"app-{number:03}" for number in range(260)]
    assert {query["n"] for query in index.queries} == {"100"}


def test_an_index_that_knows_no_pages_is_asked_no_further(make_proxy, upstream, index):
    index.knows_pages = False
    index.add(*(f"app-{number:03}" for number in range(150)))
    proxy = searching(make_proxy, upstream, index)
    assert names(proxy, "app", n=100, page=2) == []
    assert len(index.queries) == 2


def test_the_routing_rule_of_a_proxy_counts(make_proxy, upstream, index):
    index.add("team/app", "secret/app")
    index.add(*(f"other/app-{number}" for number in range(120)), "team/last-app")
    rule = {"routing__mode": "allow", "routing__matchers": ["team/.*"]}
    body = search(searching(make_proxy, upstream, index, **rule), "app", n=10)
    assert [each["name"] for each in body["results"]] == ["team/app", "team/last-app"]
    assert body["num_results"] == 2


# --- How often an index is asked ----------------------------------------------------------------


def test_an_answer_is_remembered_for_a_while(make_proxy, clock, upstream, index):
    index.add("team/app")
    proxy = searching(make_proxy, upstream, index)
    for _ in range(3):
        assert names(proxy, "app") == ["team/app"]
    assert len(index.queries) == 1
    assert names(proxy, "app", n=100) == ["team/app"], "there was no more"
    assert names(proxy, "other") == []
    assert len(index.queries) == 2
    clock.jump(6 * MINUTE)
    names(proxy, "app")
    assert len(index.queries) == 3


def test_a_late_search_asks_no_index_again_that_failed(make_proxy, upstream, index, monkeypatch):
    index.status = 500
    proxy = searching(make_proxy, upstream, index)
    with late(monkeypatch, "search", partial(ask, proxy, "app")) as other:
        assert ask(proxy, "app").headers[FAILED] == name_of(proxy)
        before = len(index.queries)
    assert other.result().headers[FAILED] == name_of(proxy)
    assert len(index.queries) == before


def test_a_late_search_asks_nothing_again(make_proxy, upstream, index, monkeypatch):
    index.add("team/app")
    proxy = searching(make_proxy, upstream, index)
    with late(monkeypatch, "search", partial(names, proxy, "app")) as other:
        assert names(proxy, "app") == ["team/app"]
    assert other.result() == ["team/app"]
    assert len(index.queries) == 1


def test_a_metadata_age_of_nothing_asks_each_time(make_proxy, upstream, index):
    proxy = searching(make_proxy, upstream, index, proxy__metadata_max_age=0)
    names(proxy, "app")
    names(proxy, "app")
    assert len(index.queries) == 2


def test_more_results_are_asked_for_when_they_are_wanted(make_proxy, upstream, index):
    index.add(*(f"app-{number:02}" for number in range(50)))
    proxy = searching(make_proxy, upstream, index)
    assert len(names(proxy, "app", n=10)) == 10
    assert len(names(proxy, "app", n=5)) == 5
    assert len(index.queries) == 1
    assert len(names(proxy, "app", n=100)) == 50
    assert len(index.queries) == 2


def test_an_invalidated_cache_forgets_answers(make_proxy, upstream, index):
    proxy = searching(make_proxy, upstream, index)
    names(proxy, "app")
    make_proxy.clock.jump(1)
    make_proxy.repoman.repositories.get(name_of(proxy)).capabilities.remote.invalidate()
    names(proxy, "app")
    assert len(index.queries) == 2


def test_answers_share_the_budget_of_all_caches(make_proxy, upstream, index, monkeypatch):
    proxy = searching(make_proxy, upstream, index)
    names(proxy, "a")
    names(proxy, "a")
    assert len(index.queries) == 1
    monkeypatch.setattr(BUDGET, "size", 0)
    names(proxy, "b")
    names(proxy, "b")
    assert len(index.queries) == 3


# --- Failures ------------------------------------------------------------------------------------


@pytest.fixture
def cached(make_proxy, upstream, index):
    """A proxy with one image in its cache."""
    upstream.put("team/app", "1", make_image())
    proxy = searching(make_proxy, upstream, index)
    proxy.pull("team/app", "1")
    return proxy


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (503, None),
        (401, b"{}"),
        (403, b"{}"),
        (429, b"{}"),
        (200, b""),
        (200, b"no json"),
        (200, b"[]"),
        (200, b'{"results": {"a": 1}}'),
        (200, b'{"results": "text"}'),
        (200, b"[" * 100_000),
        (200, b"\xff\xfe"),
    ],
)
def test_a_failure_of_the_index_is_told_and_does_no_harm(cached, index, caplog, status, body):
    index.status, index.body = status, body
    answer = ask(cached, "app")
    assert [each["name"] for each in answer.json()["results"]] == ["team/app"]
    assert answer.headers[FAILED] == name_of(cached)
    assert f"The proxy {name_of(cached)} searched only its cache" in caplog.text


@pytest.mark.parametrize("status", [404, 405, 410])
def test_an_index_without_a_search_is_no_failure(cached, index, status):
    index.status = status
    answer = ask(cached, "app")
    assert [each["name"] for each in answer.json()["results"]] == ["team/app"]
    assert FAILED not in answer.headers


def test_an_index_that_failed_rests_and_comes_back(make_proxy, clock, cached, index):
    index.status = 500
    index.add("other/app")
    for _ in range(3):
        assert ask(cached, "app").headers[FAILED]
        assert ask(cached, "other").headers[FAILED]
    assert len(index.queries) == 1
    index.status = 200
    clock.jump(31)
    answer = ask(cached, "app")
    assert FAILED not in answer.headers
    assert [each["name"] for each in answer.json()["results"]] == ["team/app", "other/app"]


def test_a_slow_index_is_not_waited_for(cached, index, monkeypatch):
    monkeypatch.setattr(search_module, "INDEX_TIMEOUT_S", 0.2)
    index.delay = 4.0
    answer = ask(cached, "app")
    assert [each["name"] for each in answer.json()["results"]] == ["team/app"]
    assert answer.headers[FAILED] == name_of(cached)


def test_searches_that_wait_for_an_index_hold_up_no_pulls(make_proxy, upstream, index):
    image = make_image()
    upstream.put("team/app", "1", image)
    proxy = searching(make_proxy, upstream, index)
    index.delay = WAIT_S
    with ThreadPoolExecutor(WAITERS_MAX) as pool:
        searches = [pool.submit(ask, proxy, f"term{number}") for number in range(WAITERS_MAX)]
        wait_until(lambda: len(index.queries) == WAITERS_MAX, what="the searches")
        assert proxy.pull("team/app", "1") == image.manifest
        index.gate.set()
    assert not any(each.exception() for each in searches)


def test_an_index_that_is_not_there_is_told(cached, make_proxy, upstream):
    nobody = type("Nobody", (), {"url": "http://127.0.0.1:1"})
    proxy = searching(make_proxy, upstream, nobody)
    assert ask(proxy, "app").headers[FAILED] == name_of(proxy)


def test_a_blocked_remote_is_not_asked(make_proxy, upstream, index):
    proxy = searching(make_proxy, upstream, index, http_client__blocked=True)
    assert ask(proxy, "app").headers[FAILED] == name_of(proxy)
    assert index.queries == []


# --- Wrong types ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"description": None, "star_count": None, "is_official": None, "is_automated": None},
        {"description": 7, "star_count": "many", "is_official": "no", "is_automated": []},
        {"description": {}, "star_count": -1, "is_official": "false"},
        {"star_count": 1e400, "is_official": 0},
        {"star_count": float("nan")},
        {"star_count": 10**30},
        {"star_count": [1]},
        {},
    ],
)
def test_wrong_types_become_right_ones(make_proxy, upstream, index, wrong):
    results = [{"name": "team/app", **wrong}]
    index.body = json.dumps({"results": results, "num_results": "x"}).encode()
    [found] = search(searching(make_proxy, upstream, index), "app")["results"]
    assert found == {
        "name": "team/app",
        "description": "",
        "star_count": 0,
        "is_official": False,
        "is_automated": False,
        "is_trusted": False,
    }


def test_what_nearly_has_the_right_type_counts(make_proxy, upstream, index):
    fields = {"star_count": "12", "is_official": "true", "is_automated": 1, "description": "a\n b"}
    index.body = json.dumps({"results": [{"name": "app", **fields}]}).encode()
    [found] = search(searching(make_proxy, upstream, index), "app")["results"]
    assert (found["star_count"], found["is_official"], found["is_automated"]) == (12, True, True)
    assert found["description"] == "a b"


@pytest.mark.parametrize(
    "result",
    [
        None,
        7,
        "app",
        [],
        {},
        {"name": None},
        {"name": ""},
        {"name": 3},
        {"name": "a b"},
        {"name": "a\x1b[31m"},
        {"name": "x" * 300},
    ],
)
def test_a_result_that_makes_no_sense_is_left_out(make_proxy, upstream, index, result):
    index.body = json.dumps({"results": [result, {"name": "team/app"}]}).encode()
    assert names(searching(make_proxy, upstream, index), "app") == ["team/app"]


@pytest.mark.parametrize("body", [{}, {"results": None}, {"results": []}])
def test_no_results_are_none(body):
    assert parse_answer(body).hits == []


# --- Strategies ----------------------------------------------------------------------------------


def test_the_remote_itself_is_searched_as_whom_the_proxy_is_there(make_proxy, index):
    index.login = f"Basic {b64encode(b'me:secret').decode()}"
    index.add("team/app")
    settings = {"docker__v1_enabled": True, "http_client__username": "me"}
    proxy = make_proxy(index.url, http_client__password="secret", **settings)
    assert names(proxy, "app") == ["team/app"]
    wrong = make_proxy(index.url, http_client__password="wrong", **settings)
    assert ask(wrong, "app").headers[FAILED] == name_of(wrong)


@pytest.fixture
def catalog(make_index):
    """A registry of version 2 alone: it has a catalog and no search."""
    registry = make_index()
    registry.status = 404
    registry.catalog = ["acme/app", "acme/web", "other/app", "zoo/app-2", "zoo/other"]
    return registry


def test_the_catalog_of_a_remote_without_a_search_is_searched(make_proxy, catalog):
    proxy = make_proxy(catalog.url, docker__v1_enabled=True)
    assert names(proxy, "app") == ["acme/app", "other/app", "zoo/app-2"]
    assert names(proxy, "OTHER") == ["other/app", "zoo/other"]
    assert names(proxy, "app zoo") == ["zoo/app-2"]
    assert search(proxy, "app", n=1)["num_results"] == 3
    assert catalog.pages == 3, "it was read once"


def test_a_late_search_reads_no_catalog_again(monkeypatch):
    walks = [["acme/app", "acme/web"]]
    catalog = CatalogIndex(lambda: walks.pop())
    with late(monkeypatch, "catalog", partial(catalog.search, "web", 9)) as other:
        assert catalog.search("app", 9).total == 1
    assert other.result().total == 1


def test_a_catalog_that_may_not_be_read_is_empty(make_proxy, upstream):
    upstream.faults.append(Fault("/v1/search", status=404))
    upstream.faults.append(Fault("/v2/_catalog", status=401))
    answer = ask(make_proxy(upstream.url, docker__v1_enabled=True), "app")
    assert answer.json()["results"] == []
    assert FAILED not in answer.headers


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 200, "body": b"[]"}])
def test_a_catalog_that_fails_is_told(make_proxy, upstream, fault):
    upstream.put("team/app", "1", make_image())
    upstream.faults.append(Fault("/v1/search", status=404))
    upstream.faults.append(Fault("/v2/_catalog", **fault))
    proxy = make_proxy(upstream.url, docker__v1_enabled=True, http_client__auto_block=True)
    assert ask(proxy, "app").headers[FAILED] == name_of(proxy)
    proxy.pull("team/app", "1")  # the remote itself is asked on


def test_no_other_index_learns_who_the_proxy_is(make_proxy, upstream, index):
    login = {"http_client__username": "me", "http_client__password": "secret"}
    names(searching(make_proxy, upstream, index, **login), "app")
    assert index.logins == [""]


def test_docker_hub_is_searched_at_its_index(make_proxy, upstream, index, monkeypatch):
    assert HUB == "https://index.docker.io"
    monkeypatch.setattr(index_module, "HUB", index.url)
    index.add("nginx", star_count=5, is_official=True)
    settings = {"docker__v1_enabled": True, "docker_proxy__index_type": "hub"}
    [found] = search(make_proxy(upstream.url, **settings), "library/nginx")["results"]
    assert (found["name"], found["star_count"], found["is_official"]) == ("nginx", 5, True)
    assert index.queries == [{"q": "nginx", "n": "25"}]


# --- Groups --------------------------------------------------------------------------------------


def test_a_group_asks_its_members_side_by_side(make_proxy, upstream, make_index):
    indexes = [make_index().add(f"of-{number}/app") for number in range(4)]
    for each in indexes:
        each.delay = LONG_S
    proxies = [searching(make_proxy, upstream, each) for each in indexes]

    def answer_when_all_are_asked():
        wait_until(lambda: all(each.queries for each in indexes), what="the last question")
        for each in indexes:
            each.gate.set()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(answer_when_all_are_asked)
        found = names(group_of(make_proxy, *proxies), "app")
    assert found == [f"of-{number}/app" for number in range(4)]


def test_a_group_leaves_out_what_fails_and_says_so(make_proxy, upstream, make_index):
    good, bad = make_index().add("good/app"), make_index()
    bad.status = 500
    failing, working = (searching(make_proxy, upstream, each) for each in (bad, good))
    answer = ask(group_of(make_proxy, failing, working), "app")
    assert [each["name"] for each in answer.json()["results"]] == ["good/app"]
    assert answer.headers[FAILED] == name_of(failing)


def test_slow_members_of_a_group_are_waited_for_at_the_same_time(
    make_proxy, upstream, make_index, monkeypatch
):
    monkeypatch.setattr(group_module.GroupImageSearch.find, "__defaults__", (3.0,))
    slow = [make_index() for _ in range(3)]
    for each in slow:
        each.delay = LONG_S
    proxies = [searching(make_proxy, upstream, each) for each in slow]
    good = searching(make_proxy, upstream, make_index().add("good/app"))
    answer = ask(group_of(make_proxy, *proxies, good), "app")
    assert [each["name"] for each in answer.json()["results"]] == ["good/app"]
    assert answer.headers[FAILED] == ", ".join(map(name_of, proxies))


def test_a_group_has_each_name_once_and_totals(make_proxy, upstream, make_index):
    first = make_index().add("shared/app", description="first").add("one/app")
    second = make_index().add("shared/app", description="second").add("two/app")
    members = [searching(make_proxy, upstream, each) for each in (first, second)]
    body = search(group_of(make_proxy, *members), "app")
    assert [each["name"] for each in body["results"]] == ["shared/app", "one/app", "two/app"]
    assert body["results"][0]["description"] == "first"
    assert body["num_results"] == 3


def test_pins_of_a_group_keep_names_to_their_members(make_proxy, upstream, make_index):
    first = make_index().add("team/app", "free/app")
    second = make_index().add("team/app", "team/app-2")
    one, two = (searching(make_proxy, upstream, each) for each in (first, second))
    group = group_of(make_proxy, one, two, group__pins={"team/*": [name_of(two)]})
    assert names(group, "app") == ["free/app", "team/app", "team/app-2"]


def test_an_inner_group_gives_what_it_has_in_time(make_proxy, upstream, index, monkeypatch):
    monkeypatch.setattr(group_module.GroupImageSearch.find, "__defaults__", (1.0,))
    index.delay = 4.0
    slow = searching(make_proxy, upstream, index)
    inner = group_of(make_proxy, slow, push_all(make_proxy.hosted(), "good/app"))
    answer = ask(group_of(make_proxy, inner), "app")
    assert [each["name"] for each in answer.json()["results"]] == ["good/app"]
    assert answer.headers[FAILED] == name_of(slow)


def push_all(registry, *found):
    for name in found:
        registry.push(name, "1", make_image())
    return registry


def test_names_that_members_share_are_counted_once(make_proxy, upstream):
    shared = [f"app-{number:02}" for number in range(30)]
    one = push_all(make_proxy.hosted(), *shared, "one/app")
    two = push_all(make_proxy.hosted(), *shared, "two/app")
    group = group_of(make_proxy, one, two)
    found = []
    for page in range(1, 6):
        body = search(group, "app", n=10, page=page)
        assert (body["num_results"], body["num_pages"]) == (32, 4)
        found += [each["name"] for each in body["results"]]
    assert found == [*shared, "one/app", "two/app"]


def test_cached_images_are_not_counted_again_where_the_index_has_them(make_proxy, upstream, index):
    found = [f"app-{number:02}" for number in range(40)]
    index.add(*found)
    upstream.put("app-39", "1", make_image())
    proxy = searching(make_proxy, upstream, index)
    proxy.pull("app-39", "1")
    for page in (1, 2, 4):
        assert search(proxy, "app", n=10, page=page)["num_results"] == 40
    assert names(proxy, "app", n=10)[0] == "app-39"


def test_pages_of_a_group_go_on_at_the_indexes(make_proxy, upstream, make_index):
    first = make_index().add(*(f"a{number:02}/app" for number in range(30)))
    second = make_index().add(*(f"b{number:02}/app" for number in range(30)))
    group = group_of(
        make_proxy, *(searching(make_proxy, upstream, each) for each in (first, second))
    )
    found = []
    for page in range(1, 5):
        body = search(group, "app", n=20, page=page)
        assert (body["num_results"], body["num_pages"]) == (60, 3)
        found += [each["name"] for each in body["results"]]
    assert found == sorted(found)
    assert len(found) == 60


def test_a_member_that_fails_unexpectedly_is_left_out(
    make_proxy, upstream, index, caplog, monkeypatch
):
    index.add("good/app")
    good, bad = searching(make_proxy, upstream, index), make_proxy.hosted()
    monkeypatch.setattr(type(service_of(make_proxy, bad).search), "find", fail)
    monkeypatch.setattr(type(service_of(make_proxy, good).search), "_find_cached", lambda *_: [])
    answer = ask(group_of(make_proxy, bad, good), "app")
    assert [each["name"] for each in answer.json()["results"]] == ["good/app"]
    assert answer.headers[FAILED] == name_of(bad)
    assert "ZeroDivisionError: what nobody thought of" in caplog.text


def test_an_index_that_fails_unexpectedly_is_told(cached, index, caplog, monkeypatch):
    monkeypatch.setattr(index_module.V1Index, "search", fail)
    answer = ask(cached, "app")
    assert [each["name"] for each in answer.json()["results"]] == ["team/app"]
    assert answer.headers[FAILED] == name_of(cached)
    assert "ZeroDivisionError: what nobody thought of" in caplog.text
    assert "Traceback" not in answer.body.decode()


def test_a_member_with_a_problem_is_told(make_proxy, upstream, caplog):
    broken = make_proxy(upstream.url, docker_proxy__index_type="wrong")
    good = push_all(make_proxy.hosted(), "good/app")
    answer = ask(group_of(make_proxy, broken, good), "app")
    assert [each["name"] for each in answer.json()["results"]] == ["good/app"]
    assert answer.headers[FAILED] == name_of(broken)
    assert "no plugin offers 'wrong'" in caplog.text


def service_of(make_proxy, registry):
    return make_proxy.repoman.repositories.get(name_of(registry)).service


def fail(*_):
    raise ZeroDivisionError("what nobody thought of")
