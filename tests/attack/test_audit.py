"""The audit log tells the truth, whatever clients send."""

import pytest

from repoman.security.audit import CAPACITY, TEXT_MAX, Event
from repoman.testing import HttpClient, repoman_factory
from repoman_raw import plugin

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


def test_control_characters_and_length_are_bounded(repoman):
    repoman.audit.record(Event("login", "failed", "a\r\nb\x1b[31m" + "x" * 10_000))
    [row] = events(repoman, domain="login")
    assert row["actor"].startswith("a\\r\\nb\\x1b[31m")
    assert len(row["actor"]) < TEXT_MAX + 20


def test_more_than_may_wait_is_counted(repoman):
    for _ in range(CAPACITY + 3):
        repoman.audit.record(Event("content", "store", "admin"))
    [row] = events(repoman, domain="audit")
    assert row["attributes"] == {"count": "3"}


def test_writing_events_leaves_what_is_remembered(repoman):
    repoman.refresh()
    before = repoman.database.generation
    repoman.audit.record(Event("content", "store", "admin"))
    repoman.refresh()
    repoman.refresh()
    assert repoman.database.generation == before
    assert len(repoman.audit.search({"domain": "content"})) == 1
