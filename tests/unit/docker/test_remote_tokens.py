"""The tokens of a remote, with a token service that is slow for some scopes."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from repoman.errors import UpstreamUnavailable
from repoman.plugin import RemoteCredentials
from repoman.proxy.remote_health import RemoteHealth
from repoman.proxy.upstream import ClientOptions, UpstreamClient
from repoman_docker.remote.tokens import TokenService, TokenStore
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
def bodies():
    """Answers to come instead of tokens."""
    return []


@pytest.fixture
def tokens(gate, asked, bodies, monkeypatch):
    """The tokens of a service that answers for the scope ``slow`` when the gate opens."""
    url = "http://127.0.0.1:5000"
    client = UpstreamClient(url, ClientOptions(), RemoteHealth(url, lambda: 0.0))

    def answer(_method, address, _headers):
        [scope] = parse_qs(urlsplit(address).query)["scope"]
        asked.append(scope)
        if scope == "slow":
            assert gate.wait(WAIT_S)
        token = {"token": f"token-{scope}-{asked.count(scope)}"}
        return Answer(200, body=bodies.pop() if bodies else token)

    monkeypatch.setattr(client, "open", answer)
    yield TokenStore(client, RemoteCredentials())
    client.close()


SERVICE = TokenService("http://127.0.0.1:5000/token", "fake")


def header(tokens, scope):
    return tokens.get(SERVICE, scope).header


def test_a_slow_token_holds_up_no_other_scope(tokens, gate, asked):
    with ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(header, tokens, "slow") for _ in range(2)]
        try:
            wait_until(lambda: asked, what="the question")
            quick = pool.submit(header, tokens, "quick")
            assert quick.result(WAIT_S) == "Bearer token-quick-1"
        finally:
            gate.set()
        assert {each.result(WAIT_S) for each in slow} == {"Bearer token-slow-1"}
    assert asked.count("slow") == 1


def test_a_token_is_kept_until_it_is_refused(tokens, asked):
    first = header(tokens, "quick")
    assert header(tokens, "quick") == first
    tokens.forget(first)
    assert header(tokens, "quick") == "Bearer token-quick-2"
    assert asked == ["quick", "quick"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"token": "t"}, ("Bearer t", 40)),
        ({"access_token": "t"}, ("Bearer t", 40)),
        ({"token": "", "access_token": "t"}, ("Bearer t", 40)),
        ({"token": "t", "expires_in": 300}, ("Bearer t", 280)),
        ({"token": " t\n", "expires_in": "300"}, ("Bearer t", 280)),
        ({"token": "t", "expires_in": 300.9}, ("Bearer t", 280)),
        ({"token": "t", "expires_in": 0}, ("Bearer t", 40)),
        ({"token": "t", "expires_in": -5}, ("Bearer t", 40)),
        ({"token": "t", "expires_in": None}, ("Bearer t", 40)),
        ({"token": "t", "expires_in": "soon"}, ("Bearer t", 40)),
        ({"token": "t", "expires_in": [1]}, ("Bearer t", 40)),
        ({"token": "t", "expires_in": 1e400}, ("Bearer t", 366 * 86_400 - 20)),
    ],
)
def test_answers_of_token_services(tokens, bodies, answer, expected):
    bodies.append(answer)
    token = tokens.get(SERVICE, "strange")
    assert (token.header, int(round(token.expires_at - token.fetched_at, 3))) == expected


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        "token",
        None,
        {"token": None},
        {"token": 5},
        {"token": "a b"},
        {"token": "a\r\nX: y"},
    ],
)
def test_answers_without_a_token(tokens, bodies, answer):
    bodies.append(answer)
    with pytest.raises(
        UpstreamUnavailable, match=r"service 127.0.0.1:5000 of .* sent no valid token"
    ):
        tokens.get(SERVICE, "strange")
