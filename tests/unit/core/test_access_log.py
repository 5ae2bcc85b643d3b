"""One line per request, which nobody can forge."""

import logging
import re

import pytest

from repoman.http.access_log import AccessLog
from repoman.http.current import ACTOR
from repoman.security.actors import Actor
from repoman.testing import HttpClient


@pytest.fixture
def lines(caplog):
    """The lines so far."""
    caplog.set_level(logging.INFO, logger="repoman.access")
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "repoman.access"
    ]


def test_a_line_tells_who_asked_which_repository_for_what_and_what_came(client, lines):
    client.get("/repository/Team/seen/a%20b?x=1", headers={"User-Agent": "curl/8"})
    [line] = lines()
    assert re.fullmatch(
        r'127\.0\.0\.1 Team admin "GET /repository/Team/seen/a b\?x=1" '
        r'200 \d+ - \d+\.\d ms "curl/8"',
        line,
    )


def test_no_repository_is_a_dash_and_nobody_is_anonymous(client, lines):
    client.get("/nothing", login=False)
    [line] = lines()
    assert line.startswith('127.0.0.1 - anonymous "GET /nothing" 404 ')


def test_a_refused_login_is_logged_without_a_name_or_a_password(client, lines):
    client.get("/repository/Team/seen/a", auth=("mallory", "hunter2"))
    [line] = lines()
    assert line.startswith('127.0.0.1 Team - "GET /repository/Team/seen/a" 401 ')
    assert "mallory" not in line
    assert "hunter2" not in line


def test_a_request_with_a_body_is_one_line(client, lines):
    client.put("/repository/Team/stored", b"x" * 100_000)
    assert len(lines()) == 1


@pytest.mark.parametrize("text", ["\n1.2.3.4 - admin", '" 200 5 "', "\x1b[31m", "\u2028", "\x85"])
def test_a_line_cannot_be_forged(client, lines, text):
    client.get(f"/nothing/{text}", headers={"User-Agent": "a" + text.replace("\n", "")})
    [line] = lines()
    assert line.isprintable()
    assert line.count('"') == 4


@pytest.mark.parametrize("name", ["x\n203.0.113.9 - admin", "x admin", "x%22", "é", "a" * 5000])
def test_a_repository_that_cannot_be_is_not_named(client, lines, name):
    client.get(f"/repository/{name}/v2/", login=False)
    [line] = lines()
    assert line.startswith('127.0.0.1 - anonymous "GET /repository/')
    assert line.isprintable()


def test_a_name_is_one_word(lines):
    def app(environ, start_response):
        environ[ACTOR] = Actor('ann "GET /" 200\n' + "b" * 5000)
        start_response("200 OK", [])
        return []

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    AccessLog(app)(environ, lambda status, headers, exc_info: None)
    [line] = lines()
    assert re.fullmatch(r'- - ann\?\?GET\?/\?\?200\?b+ "GET /" 200 - - \d+\.\d ms "-"', line)
    assert len(line) < 300


def test_a_line_has_an_end(client, lines):
    client.get("/" + "a" * 5000, headers={"User-Agent": "b" * 5000})
    [line] = lines()
    assert len(line) < 2200


def test_lines_can_be_switched_off(repoman_factory, lines):
    repoman = repoman_factory(log={"access": False})
    HttpClient(repoman).get("/nothing")
    assert lines() == []
