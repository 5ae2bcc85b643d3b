"""What the server did is added to samples of hours and days, once a minute."""

import pytest

from repoman.catalog.sample_records import DAY_S, HOUR_S
from repoman.errors import Unavailable
from repoman.metrics import Requests
from repoman.overview.activity import INTERVAL_S, ActivityLog, read_activity
from tests.statements import executed_statements

NOON = 1_700_000_000.0 - 1_700_000_000.0 % DAY_S + 12 * HOUR_S


class Server:
    """What the log asks: requests, pulls and the time."""

    def __init__(self):
        self.requests = Requests()
        self.pulls = 0
        self.now = NOON

    def log(self, database):
        return ActivityLog(database, self.requests, lambda: self.pulls, lambda: self.now)

    def answer(self, status="200", source="-", size="0", method="GET"):
        self.requests.note((method, status, 0.0, size, "", source, False))


@pytest.fixture
def server():
    return Server()


def test_each_hour_has_its_pulls_and_failures(database, server):
    log = server.log(database)
    server.pulls = 3
    for status in ("200", "401", "404", "403", "409", "413", "429", "500", "503"):
        server.answer(status)
    log.flush()
    server.now += HOUR_S
    server.pulls = 5
    log.flush()
    found = read_activity(server.now)
    assert found.pulls[-2:] == (3, 2)
    assert found.failures[-2:] == (6, 0)
    assert len(found.pulls) == len(found.failures) == 24
    assert sum(read_activity(server.now + DAY_S).pulls) == 0


def test_the_share_of_the_caches_is_of_seven_days(database, server):
    log = server.log(database)
    for source, size in (("HIT", "70"), ("STALE", "5"), ("REVALIDATED", "1"), ("MISS", "900")):
        server.answer(source=source, size=size)
    server.answer(source="HIT", size="1000", method="HEAD")  # nothing is sent
    log.flush()
    for days in (0, 6):
        found = read_activity(NOON + days * DAY_S)
        assert (found.cache_share, found.cache_bytes) == (0.8, 76)
    assert read_activity(NOON + 7 * DAY_S).cache_share is None


def test_another_process_goes_on_with_the_same_hour(database, server):
    server.pulls = 2
    server.log(database).flush()
    server.pulls = 4
    server.log(database).flush()
    assert read_activity(NOON).pulls[-1] == 6


def test_it_is_written_once_a_minute_and_only_if_there_is_something(database, server):
    log = server.log(database)
    server.pulls = 1
    with executed_statements() as asked:
        log.take()
        assert asked == []
        server.now += INTERVAL_S
        log.take()
        written = len(asked)
        assert written
        server.now += INTERVAL_S
        log.take()
        assert len(asked) == written
    assert read_activity(NOON).pulls[-1] == 1


def test_what_cannot_be_written_is_written_later(database, server, monkeypatch):
    log = server.log(database)
    server.pulls = 7
    with monkeypatch.context() as patch:

        def refuse(*_, **__):
            raise Unavailable("busy")

        patch.setattr(database, "transaction", refuse)
        log.flush()
    assert read_activity(NOON).pulls[-1] == 0
    log.flush()
    assert read_activity(NOON).pulls[-1] == 7
