"""What proxies share: timed calls, and the limit of their caches."""

import threading

from repoman.blobs.upload import store_bytes
from repoman.content import ContentStore, NewAsset
from repoman.events.pull_records import PullRow, save_pulls
from repoman.proxy.cache import trim
from repoman.proxy.cache_records import CacheRecords
from repoman.proxy.services import Alarm
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


def test_the_longest_unused_go_until_the_rest_fits(database, blobs, make_repository):
    repository = make_repository("files")
    content = ContentStore(database, repository, "default", blobs)
    cache = CacheRecords(database, repository)
    for number in range(10):
        blob = store_bytes(blobs, bytes([number]) * 100)
        content.save_asset(NewAsset(str(number), "file", blob, "text/plain"))
    with database.transaction():
        save_pulls([PullRow(repository, "0", 1, 9e9), PullRow(repository, "1", 1, 8e9)])
    assert trim(cache, content, ("file",), 350) == 7
    assert set(content.existing("0123456789")) == {"0", "1", "9"}
    assert trim(cache, content, ("file",), 350) == 0
    assert trim(cache, content, ("other",), 0) == 0
