"""The server log over REST, its level for a while, and what the server runs on."""

import json
import logging

import pytest

from repoman.config import Settings
from repoman.logs import LogLevel
from repoman.support import changed_settings
from repoman.testing import Clock, HttpClient
from repoman_raw import plugin as raw

ANN = ("ann", "a password")
LEVEL = "/api/v1/logs/level"


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw}, server={"threads": 3})
    repoman.users.create(*ANN)
    yield repoman
    repoman.log_level.reset()


def log(repoman, level, text, name="repoman.x", **more):
    values = {"msg": text, "levelname": level, "name": name, **more}
    repoman.metrics.log.emit(logging.makeLogRecord(values))


def texts(client, query=""):
    return [each["text"] for each in client.get(f"/api/v1/logs{query}").json]


def test_lines_by_level_text_and_number(client, repoman):
    log(repoman, "INFO", "one")
    log(repoman, "WARNING", "two\nlines", name="repoman.disk")
    log(repoman, "ERROR", "three")
    assert texts(client) == ["one", "two\\nlines", "three"]
    assert texts(client, "?level=warning") == ["two\\nlines", "three"]
    assert texts(client, "?text=DISK") == ["two\\nlines"]
    assert texts(client, "?limit=1") == ["three"]
    (last,) = client.get("/api/v1/logs?after=2").json
    assert (last["number"], last["level"], last["logger"]) == (3, "ERROR", "repoman.x")
    assert client.get("/api/v1/logs?level=loud").status_code == 400


def test_a_traceback_is_part_of_its_line(client, repoman):
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as error:
        log(repoman, "ERROR", "broken", exc_info=(type(error), error, error.__traceback__))
    (text,) = texts(client)
    assert "ZeroDivisionError" in text
    assert str(repoman.metrics.log.lines()[0]).endswith(text)


def put(client, **body):
    return client.put(LEVEL, json.dumps(body).encode(), content_type="application/json")


def test_another_level_for_a_while(client, repoman):
    assert client.get(LEVEL).json == {"level": "INFO", "untilS": None}
    foreign = logging.getLogger("urllib3").level
    assert put(client, level="DEBUG").json == {"level": "DEBUG", "untilS": 600}
    assert logging.getLogger("repoman.metrics").isEnabledFor(logging.DEBUG)
    assert logging.getLogger("urllib3").level == foreign  # it logs what may be secret
    assert client.delete(LEVEL).status_code == 204
    assert client.get(LEVEL).json["untilS"] is None
    assert put(client, level="DEBUG", minutes=0).status_code == 400
    assert put(client, level="LOUD").status_code == 400
    repoman.refresh()
    events = client.get("/api/v1/audit?domain=server&type=log-level").json["items"]
    assert [each["target"] for each in events] == ["INFO", "DEBUG"]


def test_the_level_comes_back_by_itself():
    clock = Clock(0.0)
    level = LogLevel(clock)
    level.change("ERROR", 600)
    clock.jump(599)
    level.settle()
    assert level.changed.left == 1
    assert not logging.getLogger("repoman.x").isEnabledFor(logging.WARNING)
    clock.jump(1)
    level.settle()
    assert level.changed is None
    assert logging.getLogger("repoman.x").isEnabledFor(logging.WARNING)


def test_information(client, repoman):
    found = client.get("/api/v1/information").json
    assert found["system"]["node"] == repoman.node_id
    assert found["system"]["missing_formats"] == []
    changed = {each["name"]: (each["value"], each["default"]) for each in found["settings"]}
    assert changed["server.threads"] == ("3", "8")
    assert "server.port" not in changed


def test_settings_that_may_be_secret_are_stars():
    store = {"type": "tape", "password": "hunter2hunter2"}
    changed = {each.name: each for each in changed_settings(Settings(blob_stores={"tape": store}))}
    assert "hunter2" not in str(changed)
    assert changed["blob_stores.tape.password"].default is None


def test_a_format_that_is_not_installed_is_told(repoman_factory, repoman):
    repoman.repositories.create("files", "raw-hosted", {})
    repoman = repoman_factory({})
    found = HttpClient(repoman).get("/api/v1/information").json
    assert found["system"]["missing_formats"] == ["raw"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/logs"), ("GET", "/logs/level"), ("PUT", "/logs/level"), ("DELETE", "/logs/level"),
     ("GET", "/information")],
)  # fmt: skip
def test_each_needs_a_right(client, method, path):
    assert client.request(method, f"/api/v1{path}", login=False).status_code == 401
    assert client.request(method, f"/api/v1{path}", auth=ANN).status_code == 403
