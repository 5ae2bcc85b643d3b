"""How a proxy shows the upstream who it is, and to whom it does not."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.clock import LONG_S, WAIT_S
from tests.fakes.registry import Fault
from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import name_of

NAME = "team/app"
LOGIN = {"http_client__username": "puller", "http_client__password": "secret"}
BASIC = f"Basic {base64.b64encode(b'puller:secret').decode()}"


@pytest.fixture
def hub(make_upstream):
    """A registry like Docker Hub: tokens, and blobs on another host."""
    return make_upstream(auth="token", cdn=True)


def tokens(registry):
    return [each for each in registry.log if each.host == "token"]


def test_an_anonymous_token_for_each_image(make_proxy, hub):
    image = make_image()
    for name in (NAME, "other/app"):
        hub.put(name, "1", image)
    proxy = make_proxy(hub.url)
    assert proxy.pull(NAME, "1") == image.manifest
    assert proxy.pull("other/app", "1") == image.manifest
    scopes = [each.query["scope"] for each in tokens(hub)]
    assert scopes == [[f"repository:{NAME}:pull"], ["repository:other/app:pull"]]
    assert all("Authorization" not in each.headers for each in tokens(hub))
    # The first 401 taught the way; the second image needed none.
    assert (
        sum("Authorization" not in each.headers for each in hub.log if each.host == "registry") == 1
    )


def test_the_token_service_is_shown_the_login(make_proxy, hub):
    hub.anonymous = False
    hub.put(NAME, "1", make_image())
    make_proxy(hub.url, **LOGIN).pull(NAME, "1")
    assert [each.headers["Authorization"] for each in tokens(hub)] == [BASIC]
    assert all(
        each.headers.get("Authorization") != BASIC for each in hub.log if each.host != "token"
    )


def test_the_other_host_never_sees_the_authorization(make_proxy, hub):
    hub.put(NAME, "1", make_image())
    make_proxy(hub.url, **LOGIN).pull(NAME, "1")
    there = [each for each in hub.log if each.host == "cdn"]
    assert there
    assert all("Authorization" not in each.headers for each in there)


def test_a_token_that_is_refused_is_renewed_once(make_proxy, hub):
    proxy = make_proxy(hub.url)
    hub.put(NAME, "1", make_image())
    hub.put(NAME, "2", make_image())
    proxy.pull(NAME, "1")
    hub.tokens.clear()
    proxy.pull(NAME, "2")
    assert len(tokens(hub)) == 2
    hub.put(NAME, "3", make_image())
    hub.faults.append(
        Fault(
            "manifests/3",
            status=401,
            headers={"WWW-Authenticate": f'Bearer realm="{hub.url}/token"'},
        )
    )
    assert proxy.get(f"{NAME}/manifests/3").status == 404
    # HEAD with the old token and a new one, and GET, with which it could be another matter.
    assert hub.count("manifests/3") == 3


def test_a_slow_token_for_one_image_keeps_nobody_from_another(make_proxy, hub, monkeypatch):
    proxy = make_proxy(hub.url)
    service = make_proxy.repoman.repositories.get(name_of(proxy)).service
    authentication = service.manifests._site.registry._authentication
    for name in (NAME, "slow/app", "other/app"):
        for tag in ("1", "2"):
            hub.put(name, tag, make_image())
    proxy.get(f"{NAME}/manifests/1")
    tokens_ = authentication.own.tokens
    fetch, begun, go = tokens_._fetch, threading.Event(), threading.Event()

    def fetch_slowly(service, scope):
        if "slow" in scope:
            begun.set()
            go.wait(LONG_S)
        return fetch(service, scope)

    monkeypatch.setattr(tokens_, "_fetch", fetch_slowly)
    with ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(proxy.head, f"slow/app/manifests/{tag}") for tag in (1, 2)]
        assert begun.wait(WAIT_S)
        try:
            fast = pool.submit(proxy.get, "other/app/manifests/1")
            assert fast.result(WAIT_S).status == 200
        finally:
            go.set()
        assert {each.result(WAIT_S).status for each in slow} == {200}
    scopes = [each.query["scope"] for each in tokens(hub)]
    assert scopes.count(["repository:slow/app:pull"]) == 1


def test_a_token_is_renewed_before_it_expires(make_proxy, hub, monkeypatch):
    proxy = make_proxy(hub.url)
    service = make_proxy.repoman.repositories.get(name_of(proxy)).service
    authentication = service.manifests._site.registry._authentication
    for number in range(3):
        hub.put(NAME, str(number), make_image())
    proxy.get(f"{NAME}/manifests/0")
    begun = time.monotonic()
    for number, (age, count) in enumerate([(hub.expires_in - 30, 1), (hub.expires_in - 10, 2)], 1):
        monkeypatch.setattr(authentication.own.tokens, "ticks", lambda age=age: begun + age)
        assert proxy.get(f"{NAME}/manifests/{number}").status == 200
        assert len(tokens(hub)) == count
        assert hub.count(f"HEAD /v2/{NAME}/manifests/{number}") == 1  # nothing was refused


@pytest.mark.parametrize(
    ("login", "status"), [(LOGIN, 200), ({}, 404), ({**LOGIN, "http_client__password": "no"}, 404)]
)
def test_basic(make_proxy, make_upstream, login, status):
    upstream = make_upstream(auth="basic")
    upstream.put(NAME, "1", make_image())
    assert make_proxy(upstream.url, **login).get(f"{NAME}/manifests/1").status == status


def test_a_token_of_the_administrator_is_sent_as_it_is(make_proxy, upstream):
    upstream.put(NAME, "1", make_image())
    make_proxy(upstream.url, http_client__bearer_token="abc").pull(NAME, "1")
    assert {each.headers["Authorization"] for each in upstream.log} == {"Bearer abc"}


def test_a_wrong_login_is_told_to_the_administrator_alone(make_proxy, hub, caplog):
    hub.put(NAME, "1", make_image())
    hub.credentials = ("somebody", "else")
    answer = make_proxy(hub.url, **LOGIN).get(f"{NAME}/manifests/1")
    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
    assert "refused" in answer.message
    assert "secret" not in answer.message
    assert "secret" not in caplog.text


def test_credentials_do_not_go_to_a_token_service_of_somebody_else(make_proxy, hub, make_upstream):
    thief = make_upstream(auth="token")
    hub.put(NAME, "1", make_image())
    hub.realm = f"http://localhost:{thief.port}/token"
    make_proxy(hub.url, **LOGIN).get(f"{NAME}/manifests/1")
    assert tokens(thief)
    assert all("Authorization" not in each.headers for each in tokens(thief))


@pytest.mark.parametrize(
    "target",
    ["http://169.254.169.254/latest", "http://10.0.0.1/x", "ftp://127.0.0.1/x", "http://x:y/"],
)
def test_redirects_into_other_networks_are_refused(make_proxy, upstream, target):
    upstream.redirect = lambda _: target
    digest = upstream.put_blob(NAME, b"data")
    answer = make_proxy(upstream.url).get(f"{NAME}/blobs/{digest}")
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    assert "which is refused" in answer.message


@pytest.mark.parametrize(
    "realm",
    [
        "http://169.254.169.254/token",
        "http://10.0.0.1/token",
        "http://[::ffff:10.0.0.1]/token",
        "http://0xa000001/token",
        "file:///etc/passwd",
        "http://x:y/",
    ],
)
def test_token_services_in_other_networks_are_not_asked(make_proxy, hub, realm):
    hub.put(NAME, "1", make_image())
    hub.realm = realm
    answer = make_proxy(hub.url, **LOGIN).get(f"{NAME}/manifests/1")
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    assert "which is refused" in answer.message


def test_a_token_service_may_not_redirect_into_other_networks(make_proxy, hub):
    hub.put(NAME, "1", make_image())
    hub.faults.append(Fault("/token", status=307, headers={"Location": "http://10.0.0.1/token"}))
    answer = make_proxy(hub.url, **LOGIN).get(f"{NAME}/manifests/1")
    assert answer.status == 502
    assert "10.0.0.1, a private address, which is refused" in answer.message


@pytest.mark.parametrize(
    "link",
    [
        "http://169.254.169.254/v2/",
        "//10.0.0.1/v2/",
        "http://{host}@10.0.0.1/v2/",
        "http://{host}.example.com/v2/",
        "file:///etc/passwd",
    ],
)
def test_lists_go_on_at_the_same_host_alone(make_proxy, upstream, link):
    host = upstream.url.removeprefix("http://")
    headers = {"Link": f'<{link.format(host=host)}>; rel="next"'}
    upstream.faults.append(Fault("/tags/list", status=200, body=b'{"tags":["a"]}', headers=headers))
    answer = make_proxy(upstream.url).get(f"{NAME}/tags/list")
    assert answer.json()["tags"] == ["a"]
    assert upstream.count("tags/list") == 1
    assert "may be incomplete" in answer.headers["Warning"]


def test_a_list_without_an_end_is_given_up(make_proxy, upstream, monkeypatch):
    monkeypatch.setattr("repoman_docker.remote.pages.LISTS_MAX_BYTES", 10_000)
    for number in range(3):
        body = json.dumps({"tags": [f"{number}{each:099}" for each in range(40)]}).encode()
        headers = {"Link": f'</v2/{NAME}/tags/list?last={number}>; rel="next"'}
        upstream.faults.append(Fault("/tags/list", status=200, body=body, headers=headers, times=1))
    answer = make_proxy(upstream.url).get(f"{NAME}/tags/list")
    assert answer.status == 502
    assert "more than 10000 bytes" in answer.message
    assert upstream.count("tags/list") == 3


def test_a_refusal_tells_the_budget_too(make_proxy, upstream):
    proxy = make_proxy(upstream.url)
    headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"}
    upstream.faults.append(Fault("/manifests/1", status=429, headers=headers))
    assert proxy.get(f"{NAME}/manifests/1").status == 429
    state = make_proxy.repoman.repositories.get(name_of(proxy)).capabilities.remote.state
    assert (state.budget["limit"], state.budget["remaining"]) == (100, 0)


def test_a_token_answer_has_a_limit(make_proxy, hub):
    hub.put(NAME, "1", make_image())
    hub.faults.append(Fault("/token", status=200, body=b" " * (2 << 20)))
    answer = make_proxy(hub.url).get(f"{NAME}/manifests/1")
    assert answer.status == 502
    assert "bytes allowed" in answer.message


def test_redirects_end_somewhere(make_proxy, upstream):
    digest = upstream.put_blob(NAME, b"data")
    upstream.redirect = lambda _: f"{upstream.url}/v2/{NAME}/blobs/{digest}"
    answer = make_proxy(upstream.url, http_client__retries=0).get(f"{NAME}/blobs/{digest}")
    assert answer.status == 502
    assert "in a loop or too often" in answer.message
    assert upstream.count("blobs") == 11


def test_the_user_agent_has_the_suffix(make_proxy, upstream):
    make_proxy(upstream.url, http_client__user_agent_suffix="team-7").get(f"{NAME}/tags/list")
    [request] = upstream.log
    assert request.headers["User-Agent"].startswith("repoman/")
    assert request.headers["User-Agent"].endswith(" team-7")
    assert request.headers["Accept-Encoding"] == "identity"


def test_the_clients_own_login_stays_here(make_proxy, upstream):
    upstream.put(NAME, "1", make_image())
    make_proxy(upstream.url).pull(NAME, "1")
    assert all("Authorization" not in each.headers for each in upstream.log)


def test_the_budget_of_pulls_is_remembered(make_proxy, upstream):
    upstream.budget = (100, 76)
    upstream.put(NAME, "1", make_image())
    proxy = make_proxy(upstream.url)
    proxy.pull(NAME, "1")
    service = make_proxy.repoman.repositories.get(proxy.prefix.rpartition("/")[2]).service
    budget = service.manifests._site.registry.budget
    assert (budget.limit, budget.remaining, budget.window) == (100, 75, 21600)
    assert budget.source == "127.0.0.1"
