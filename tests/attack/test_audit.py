"""The audit log tells the truth, whatever clients send."""

import shutil

import pytest
from werkzeug.test import Client

from repoman.security.audit import TEXT_MAX_CHARS, WAITING_MAX_EVENTS, Event
from repoman.testing import HttpClient, repoman_factory
from repoman.testing.client import application_of
from repoman.testing.factory import RepomanFactory
from repoman_raw import plugin
from repoman_raw.plugin import Raw

__all__ = ["repoman_factory"]


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": plugin})
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


def events(repoman, **filters):
    repoman.audit.flush()
    return repoman.audit.search(filters)


def test_stored_and_deleted_content_is_told(repoman):
    client = HttpClient(repoman)
    client.put("/repository/files/a.txt", b"x")
    client.delete("/repository/files/a.txt")
    found = events(repoman, domain="content")
    assert {(row["type"], row["actor"], row["repository"], row["target"]) for row in found} == {
        ("store", "admin", "files", "a.txt"),
        ("delete", "admin", "files", "a.txt"),
    }


@pytest.mark.parametrize(
    "field", ["actor", "realm", "address", "connector", "repository", "target"]
)
def test_control_characters_and_length_are_bounded(repoman, field):
    evil = "a\r\nb\x1b[31m" + "x" * 10_000
    repoman.audit.record(Event("login", "failed", **{"actor": "", field: evil}))
    [row] = events(repoman, domain="login")
    assert row[field].startswith("a\\r\\nb\\x1b[31m")
    assert len(row[field]) < TEXT_MAX_CHARS + 20


@pytest.mark.parametrize("way", ["header", "header for content", "form"])
def test_logins_that_name_nobody_do_not_fill_the_log(repoman, way):
    """Nothing slows them down, as it does who guesses."""
    client = Client(application_of(repoman))

    def fail(address):
        path = "/repository/files/a" if "content" in way else "/service/rest/v1/security/users"
        environ = {"REMOTE_ADDR": address}
        if way == "form":
            form = {"username": ""}
            return client.post("/service/rapture/session", data=form, environ_overrides=environ)
        return client.get(path, headers={"Authorization": "Digest x"}, environ_overrides=environ)

    hosts = [f"2001:db8::{number:x}" for number in range(20)]
    assert {fail(each).status_code for each in (*hosts, "10.0.0.1", "10.0.0.1")} == {401}
    rows = events(repoman, type="failed")
    assert [(row["actor"], row["address"]) for row in rows] == [("", "10.0.0.1"), ("", hosts[0])]


def test_a_repository_that_cannot_be_is_not_named(repoman):
    client = HttpClient(repoman)
    client.get("/repository/x%0a203.0.113.9%20admin/a.txt", auth=("mallory", "guess"))
    [row] = events(repoman, type="failed")
    assert (row["actor"], row["repository"]) == ("mallory", "-")


def test_the_log_of_errors_cannot_be_forged(repoman, caplog, monkeypatch):
    monkeypatch.setattr(Raw, "target", None)
    HttpClient(repoman).get("/repository/files/a%0a2026-01-01%20ERROR%20all%20is%20lost")
    [record] = [each for each in caplog.records if each.name == "repoman.http.errors"]
    assert record.getMessage().isprintable()


def test_who_may_not_change_something_is_told(repoman):
    repoman.users.create("amy", "a password")
    repoman.users.create("bob", "a password", ["nx-anonymous"])
    client = HttpClient(repoman)
    for name in ("amy", "bob"):
        client.request("PUT", "/repository/files/a.txt", data=b"x", auth=(name, "a password"))
        client.request("GET", "/repository/files/a.txt", auth=(name, "a password"))
    client.request("PUT", "/repository/files/a.txt", data=b"x", login=False)
    found = events(repoman, domain="access")
    assert [(row["actor"], row["repository"], row["target"]) for row in reversed(found)] == [
        ("amy", "files", "/a.txt"),  # who is answered as if there were no such repository
        ("bob", "files", "/a.txt"),
    ]
    assert {(row["type"], row["is_success"], row["attributes"]["method"]) for row in found} == {
        ("refused", False, "PUT")
    }


def test_more_than_may_wait_is_counted(repoman):
    for _ in range(WAITING_MAX_EVENTS + 3):
        repoman.audit.record(Event("content", "store", "admin"))
    [row] = events(repoman, domain="audit")
    assert row["attributes"] == {"count": "3"}


def test_writing_events_leaves_what_is_remembered(repoman):
    repoman.refresh()
    before = repoman.database.topics.moves
    repoman.audit.record(Event("content", "store", "admin"))
    repoman.refresh()
    repoman.refresh()
    assert repoman.database.topics.moves == before
    assert len(repoman.audit.search({"domain": "content"})) == 1


def test_a_kill_after_a_change_loses_no_entry(repoman, tmp_path):
    client = HttpClient(repoman)
    client.put("/repository/files/a.txt", b"x")
    client.delete("/repository/files/a.txt")
    shutil.copytree(repoman.data, tmp_path / "killed/data")  # what a kill at this moment leaves
    repoman.stop()
    killed = RepomanFactory(tmp_path / "killed/data")
    after = killed({"raw": plugin})
    after.refresh()
    after.refresh()
    found = after.audit.search({"domain": "content"})
    assert [(row["type"], row["actor"], row["target"]) for row in found] == [
        ("delete", "admin", "a.txt"),
        ("store", "admin", "a.txt"),
    ]
    killed.stop()
    repoman.start()
