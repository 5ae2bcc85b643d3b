"""Times that are written down late and together."""

import logging

import pytest

from repoman.caching import BUDGET
from repoman.db import deferred_timestamps as module
from repoman.db.deferred_timestamps import DeferredTimestamps
from repoman.errors import StorageFull


class Book:
    """Times of one database, and what was written of them so far."""

    def __init__(self, database) -> None:
        self.now = 1000.0
        self.written: list[dict[str, float]] = []
        self.is_full = False
        self.times = DeferredTimestamps(database, "visits", self.write, lambda: self.now, 60.0)

    def write(self, times) -> None:
        if self.is_full:
            raise StorageFull("The disk is full.")
        self.written.append(dict(times))


@pytest.fixture
def book(database):
    return Book(database)


def test_what_was_noted_is_written_together_and_once(book):
    for key in ("a", "b", "a"):
        book.times.note(key)
    book.times.flush()
    book.times.flush()
    assert book.written == [{"a": 1000.0, "b": 1000.0}]


def test_the_same_key_is_noted_once_in_an_interval(book):
    book.times.note("a")
    book.times.flush()
    for book.now in (1059.9, 1060.0, 1061.0):
        book.times.note("a")
        book.times.flush()
    assert book.written == [{"a": 1000.0}, {"a": 1060.0}]


def test_nothing_that_is_remembered_of_the_database_gets_old(book, database):
    moves = database.topics.moves
    book.times.note("a")
    book.times.flush()
    assert database.topics.moves == moves


def test_a_failure_costs_no_times_and_is_told_once(book, caplog):
    book.is_full = True
    book.times.note("a")
    with caplog.at_level(logging.WARNING):
        book.times.flush()
        book.times.flush()
    assert [each.getMessage() for each in caplog.records] == [
        "The times of visits could not be written yet: The disk is full."
    ]
    book.is_full = False
    book.times.note("b")
    book.times.flush()
    assert book.written == [{"a": 1000.0, "b": 1000.0}]


def test_many_times_take_several_transactions(book, monkeypatch):
    monkeypatch.setattr(module, "BATCH_KEYS", 2)
    for key in "abcde":
        book.times.note(key)
    book.times.flush()
    assert [list(each) for each in book.written] == [["a", "b"], ["c", "d"], ["e"]]


def test_what_waits_is_bounded(book, monkeypatch):
    monkeypatch.setattr(module, "KEYS_MAX", 2)
    book.is_full = True
    for key in ("a", "b", "c"):
        book.times.note(key)
        book.times.flush()
    book.is_full = False
    book.times.flush()
    assert [list(each) for each in book.written] == [["a", "b"]]


def test_what_was_noted_shares_the_budget_of_all_caches(book, monkeypatch):
    for key in ("a", "a"):
        book.times.note(key)
        book.times.flush()
    monkeypatch.setattr(BUDGET, "size", 0)
    for key in ("b", "b"):  # each is forgotten, and noted anew
        book.times.note(key)
        book.times.flush()
    assert [list(each) for each in book.written] == [["a"], ["b"], ["b"]]
