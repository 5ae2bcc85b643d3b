"""What proxies share: timed calls, and the limit of their caches."""

import threading
import time

from repoman.blobs.upload import store_bytes
from repoman.content import ContentStore, NewAsset
from repoman.events.pull_records import PullRow, save_pulls
from repoman.proxy.cache import trim
from repoman.proxy.cache_records import CacheRecords
from repoman.proxy.services import Alarm, ProxyServices, Trimmed
from tests.clock import WAIT_S
from tests.statements import executed_statements


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


def test_the_longest_unused_go_until_the_rest_fits(database, blobs, make_repository):
    repository, begin = make_repository("files"), time.time()
    content = ContentStore(database, repository, "default", blobs)
    cache = CacheRecords(database, repository)
    for number in range(10):
        blob = store_bytes(blobs, bytes([number]) * 100)
        content.save_asset(NewAsset(str(number), "file", blob, "text/plain"))
    other = ContentStore(database, make_repository("other"), "default", blobs)
    shared = store_bytes(blobs, bytes([2]) * 100)
    other.save_asset(NewAsset("2", "file", shared, "text/plain"))
    with database.transaction():
        save_pulls([PullRow(repository, "0", 1, 9e9), PullRow(repository, "1", 1, 8e9)])
    before = time.time()
    trimmed = trim(cache, content, ("file",), 350)
    assert (trimmed.files, trimmed.size, trimmed.freed_size) == (7, 700, 600)
    assert begin <= trimmed.oldest_at <= trimmed.newest_at <= before
    assert set(content.existing("0123456789")) == {"0", "1", "9"}
    assert trim(cache, content, ("file",), 350) == Trimmed()
    assert trim(cache, content, ("other",), 0) == Trimmed()


def test_a_cache_of_any_size_is_held_to_its_limit_without_a_sum_over_rows(
    database, blobs, make_repository
):
    repository = make_repository("files")
    content = ContentStore(database, repository, "default", blobs)
    cache = CacheRecords(database, repository)
    for number in range(3):
        blob = store_bytes(blobs, bytes([number]) * 100)
        content.save_asset(NewAsset(str(number), "file", blob, "text/plain"))
    with executed_statements() as statements:
        trim(cache, content, ("file",), 300)
    assert [each for each in statements if each.startswith("SELECT")] == statements
    assert [each for each in statements if "sum(" in each.lower() or "count(" in each.lower()] == []
    assert len(statements) == 1


def test_what_went_from_caches_is_told_once():
    services = ProxyServices(None)
    services.note_trimmed("hub", Trimmed(2, 3_000, 1_000, 86_400.0, 172_800.0))
    services.note_trimmed("hub", Trimmed(1, 500, 500, 3_600.0, 7_200.0))
    assert services.trim_caches() == {"hub": Trimmed(3, 3_500, 1_500, 3_600.0, 172_800.0)}
    assert services.trim_caches() == {}
