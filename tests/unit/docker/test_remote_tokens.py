"""The tokens of a remote, with a token service that is slow for some scopes."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from repoman.proxy.status import UpstreamStatus
from repoman.proxy.upstream import ClientOptions, UpstreamClient
from repoman_docker.remote.credentials import RemoteAuthentication, RemoteCredentials
from tests.clock import WAIT_S
from tests.live import wait_until


class Answer:
    """An answer of the registry or of its token service."""

    def __init__(self, status, headers=None, body=None):
        self.status = status
        self.headers = headers or {}
        self._body = body

    def read_all(self, _):
        return json.dumps(self._body).encode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def gate():
    return threading.Event()


@pytest.fixture
def asked():
    return []


@pytest.fixture
def authentication(gate, asked, monkeypatch):
    """It knows the token service, which answers for the scope ``slow`` when the gate opens."""
    url = "http://127.0.0.1:5000"
    client = UpstreamClient(url, ClientOptions(), UpstreamStatus(url, lambda: 0.0))

    def answer(_method, address, _headers):
        [scope] = parse_qs(urlsplit(address).query)["scope"]
        asked.append(scope)
        if scope == "slow":
            assert gate.wait(WAIT_S)
        return Answer(200, body={"token": f"token-{scope}-{asked.count(scope)}"})

    monkeypatch.setattr(client, "open", answer)
    made = RemoteAuthentication(client, RemoteCredentials())
    challenge = f'Bearer realm="{url}/token",service="fake"'
    assert made.learn(Answer(401, {"WWW-Authenticate": challenge}), "any", None)
    yield made
    client.close()


def test_a_slow_token_holds_up_no_other_scope(authentication, gate, asked):
    with ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(authentication.header, "slow") for _ in range(2)]
        try:
            wait_until(lambda: asked, what="the question")
            quick = pool.submit(authentication.header, "quick")
            assert quick.result(WAIT_S) == "Bearer token-quick-1"
        finally:
            gate.set()
        assert {each.result(WAIT_S) for each in slow} == {"Bearer token-slow-1"}
    assert asked.count("slow") == 1


def test_a_token_is_kept_until_it_is_refused(authentication, asked):
    first = authentication.header("quick")
    assert authentication.header("quick") == first
    challenge = 'Bearer realm="http://127.0.0.1:5000/token",service="fake"'
    assert authentication.learn(Answer(401, {"WWW-Authenticate": challenge}), "quick", first)
    assert authentication.header("quick") == "Bearer token-quick-2"
    assert asked == ["quick", "quick"]
