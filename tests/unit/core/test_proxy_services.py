"""What proxies share: timed calls, and downloads written down late."""

import threading

import pytest

from repoman.blobs.upload import store_bytes
from repoman.content import ContentStore, NewAsset
from repoman.errors import StorageFull
from repoman.proxy.cache_records import CacheRecords
from repoman.proxy.services import Alarm, ProxyServices
from repoman.proxy.usage import Usage, trim
from tests.clock import WAIT_S


def test_calls_come_in_the_order_of_their_times():
    alarm, called, done = Alarm(), [], threading.Event()
    alarm.call_later(0.5, lambda: (called.append(2), done.set()))
    alarm.call_later(0.01, lambda: called.append(1))
    assert done.wait(WAIT_S)
    assert called == [1, 2]
    alarm.close()


def test_an_error_does_not_end_the_alarm(caplog):
    alarm, done = Alarm(), threading.Event()
    alarm.call_later(0, lambda: 1 / 0)
    alarm.call_later(0.01, done.set)
    assert done.wait(WAIT_S)
    assert "'alarm' failed and continues: ZeroDivisionError" in caplog.text
    alarm.close()


def test_nothing_is_called_after_the_end():
    alarm, called = Alarm(), []
    alarm.call_later(0.5, lambda: called.append(1))
    alarm.close()
    alarm.call_later(0, lambda: called.append(2))
    threading.Event().wait(0.6)
    assert called == []


class Records:
    """Takes what is written down."""

    error = None

    def __init__(self):
        self.written = []

    def note_downloads(self, downloads):
        if self.error:
            raise self.error
        self.written.append(dict(downloads))


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def records():
    return Records()


@pytest.fixture
def later():
    return []


@pytest.fixture
def usage(records, clock, later):
    return Usage(records, clock, lambda: later.append("flush"))


def test_downloads_are_written_down_together(usage, records, later):
    for path in "abab":
        usage.note(path)
    assert records.written == []
    assert later == ["flush"]
    usage.flush()
    assert records.written == [{"a": 1000.0, "b": 1000.0}]
    usage.flush()
    assert len(records.written) == 1


def test_one_asset_is_written_down_once_in_a_while(usage, records, clock):
    usage.note("a")
    usage.flush()
    clock.now += 299
    usage.note("a")
    usage.flush()
    assert len(records.written) == 1
    clock.now += 1
    usage.note("a")
    usage.flush()
    assert records.written[1] == {"a": 1300.0}


def test_a_database_that_is_full_costs_no_times(usage, records, later, caplog):
    records.error = StorageFull("The disk is full.")
    usage.note("a")
    usage.flush()
    assert "1 downloads could not be written yet" in caplog.text
    assert later == ["flush", "flush"]  # and it is tried again
    records.error = None
    usage.flush()
    assert records.written == [{"a": 1000.0}]


def test_what_waits_is_written_down_at_the_end(database, records, clock):
    services = ProxyServices(database, clock)
    usage = Usage(records, clock, lambda: None)
    services.enter(1, usage)
    usage.note("a")
    services.close()
    assert records.written == [{"a": 1000.0}]


def test_the_longest_unused_go_until_the_rest_fits(database, blobs, make_repository):
    repository = make_repository("files")
    content = ContentStore(database, repository, "default", blobs)
    cache = CacheRecords(database, repository)
    for number in range(10):
        blob = store_bytes(blobs, bytes([number]) * 100)
        content.save_asset(NewAsset(str(number), "file", blob, "text/plain"))
    cache.note_downloads({"0": 9e9, "1": 8e9})
    assert trim(cache, content, ("file",), 350) == 7
    assert set(content.existing("0123456789")) == {"0", "1", "9"}
    assert trim(cache, content, ("file",), 350) == 0
    assert trim(cache, content, ("other",), 0) == 0
