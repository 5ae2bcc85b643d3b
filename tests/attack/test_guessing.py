"""Whoever guesses passwords waits longer and longer; whoever knows theirs does not."""

from base64 import b64encode

import pytest
from werkzeug.test import Client

from repoman.http.current import CONNECTOR
from repoman.plugin import Actor, hookimpl
from repoman.repositories.model import connector_key
from repoman.security.actors import Limit
from repoman.testing import ADMIN, Clock
from repoman.testing.client import application_of
from repoman_docker import plugin as docker
from repoman_web import plugin as web
from tests.attack.raw import request, send

PROXY = "10.0.0.1"
OUTSIDE = "the password outside"


class Outside:
    """Another realm, where everybody has the same password."""

    @hookimpl
    def repoman_authenticate(self, credentials):
        return Actor(credentials.name) if credentials.password == OUTSIDE else None


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory(
        {"docker": docker, "web": web, "outside": Outside()},
        server={"trusted_proxies": [PROXY]},
        security={"login_failures": 3},
    )
    repoman.repositories.create("images", "docker-hosted", {})
    repoman.users.create("ann", "the right one")
    return repoman


class Guesser:
    """Logs in by way of a proxy, from the address it wants."""

    def __init__(self, repoman) -> None:
        self.client = Client(application_of(repoman))

    def __call__(self, name, password, path="/v2/", address="10.9.9.9", via=PROXY, **environ):
        login = b64encode(f"{name}:{password}".encode()).decode()
        return self.client.open(
            path,
            headers={"Authorization": f"Basic {login}", "X-Forwarded-For": address},
            environ_overrides={
                "REMOTE_ADDR": via,
                CONNECTOR: connector_key("images", "http"),
                **environ,
            },
        )


@pytest.fixture
def clock(repoman, monkeypatch):
    """The clock of those who wait; it stands still."""
    clock = Clock(1000.0)
    monkeypatch.setattr(repoman.security.authenticator._lockout, "_ticks", clock)
    return clock


@pytest.fixture
def guess(repoman, clock):
    return Guesser(repoman)


def test_a_docker_client_is_told_how_long_to_wait(guess):
    assert [guess("ann", "guess").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    answer = guess("ann", "the right one")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
    [error] = answer.json["errors"]
    assert error["code"] == "TOOMANYREQUESTS"
    assert "Try again in 1 s" in error["message"]


def test_a_login_of_a_namesake_in_another_realm_does_not_help_to_guess(guess):
    """Neither are failures forgotten by it, nor does the address become one of the user's."""
    for _ in range(2):
        assert guess("ann", "guess").status_code == 401
        assert guess("ann", OUTSIDE).status_code == 200
    assert guess("ann", "guess").status_code == 401
    assert guess("ann", "the right one").status_code == 429


@pytest.mark.parametrize("path", ["/v2/", "/v2/token?service=images", "/v2/app/tags/list"])
def test_each_way_in_counts(guess, path):
    for _ in range(3):
        assert guess("ann", "guess", path).status_code == 401
    assert guess("ann", "the right one").status_code == 429


def test_after_the_wait_the_right_password_is_right_again(guess, clock):
    for _ in range(3):
        guess("ann", "guess")
    clock.jump(0.9)
    assert guess("ann", "the right one").status_code == 429
    clock.jump(0.2)
    assert guess("ann", "the right one").status_code == 200
    assert [guess("ann", "guess").status_code for _ in range(3)] == [401, 401, 401]


def test_the_address_is_that_of_the_true_client(guess):
    for _ in range(3):
        guess("ann", "guess")
    assert guess("ann", "the right one", address="10.9.9.8").status_code == 200
    assert guess(*ADMIN).status_code == 200


def test_nobody_escapes_by_a_forwarded_header_of_their_own(guess):
    for number in range(3):
        guess("ann", "guess", address=f"10.9.9.{number}", via="10.7.7.7")
    assert guess("ann", "the right one", address="10.9.9.77", via="10.7.7.7").status_code == 429


def test_a_user_who_does_not_exist_is_answered_alike(guess):
    answers = {}
    for name in ("ann", "bob"):
        answers[name] = [
            (each.status_code, each.text, each.headers.get("Retry-After"))
            for each in (guess(name, "guess", address=f"10.1.1.{len(name)}") for _ in range(5))
        ]
    assert answers["ann"] == answers["bob"]


def test_a_dead_token_keeps_nobody_out(repoman, guess):
    tokens = repoman.security.user_tokens
    dead = tokens.create("ann", "old", Limit())
    tokens.revoke("ann", "old")
    assert [guess("ann", dead).status_code for _ in range(10)] == [401] * 10
    assert guess("ann", tokens.create("ann", "new", Limit())).status_code == 200
    assert guess("ann", "the right one").status_code == 200


def test_a_client_of_ipv4_is_one_whatever_the_form_of_its_address(guess):
    for number in range(3):
        guess("ann", "guess", address=f"::ffff:10.9.9.{number}")
    assert guess("ann", "the right one", address="::ffff:10.9.9.9").status_code == 200


def test_the_audit_log_tells_of_the_wait_once(repoman, guess):
    for _ in range(6):
        guess("ann", "guess")
    repoman.audit.flush()
    rows = repoman.audit.search({"type": "failed"})
    assert [(row["actor"], row["address"]) for row in rows] == [("ann", "10.9.9.9")] * 3
    assert [row["attributes"].get("wait") for row in reversed(rows)] == [None, None, "1"]


def test_the_login_page_says_it_too(guess):
    client = guess.client
    page = client.get("/login", environ_overrides={"REMOTE_ADDR": "10.9.9.9"}).text
    mark = page.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    answers = [
        client.post(
            "/login",
            data={"csrf_token": mark, "name": "ann", "password": "guess"},
            headers={"Accept": "text/html"},
            environ_overrides={"REMOTE_ADDR": "10.9.9.9"},
        )
        for _ in range(4)
    ]
    assert [each.status_code for each in answers] == [403, 403, 403, 429]
    assert "Wrong user name or password." in answers[0].text
    assert "Try again in 1 s" in answers[3].text
    assert answers[3].headers["Retry-After"] == "1"


def test_passwords_of_others_are_looked_at_meanwhile(victim):
    wrong = request("GET", "/v2/", login=("mallory", "guess"))
    statuses = [send(victim.main_port, wrong).status for _ in range(12)]
    assert statuses[0] in (303, 401, 404)
    assert 429 in statuses
    assert send(victim.main_port, request("GET", "/", login=victim.admin)).status == 200
