"""Kept sums are sampled each hour and each day."""

from contextlib import contextmanager

import pytest

from repoman.catalog import sample_records
from repoman.catalog.sample_records import DAY_S, HOUR_S, Samples
from repoman.content import NewAsset
from repoman.db.models import database_proxy
from repoman.testing import Clock
from tests.statements import executed_statements

NOON = 1_700_000_000.0 - 1_700_000_000.0 % DAY_S + 12 * HOUR_S


@pytest.fixture
def clock():
    """It is noon."""
    return Clock(NOON)


def test_each_hour_and_each_day_has_one_sample(database, content, blob, clock):
    samples = Samples(database, clock)
    samples.take()
    content.save_asset(NewAsset("a", "file", blob, ""))
    for _ in range(3):
        samples.take()
        Samples(database, clock).take()  # as after a restart
    clock.jump(HOUR_S)
    samples.take()
    size = float(blob.size)
    name = "repository 1 size"
    assert samples.list(name, "hour") == [(NOON, 0.0), (NOON + HOUR_S, size)]
    assert samples.list(name, "day") == [(NOON - 12 * HOUR_S, 0.0)]
    clock.jump(DAY_S)
    samples.take()
    assert [value for _, value in samples.list(name, "day")] == [0.0, size]
    assert samples.list("repository 1 assets", "day", clock() - DAY_S)[-1][1] == 1.0
    assert samples.list("store default size", "hour")[-1][1] == size


def test_old_samples_go(database, content, blob, clock):
    content.save_asset(NewAsset("a", "file", blob, ""))
    samples = Samples(database, clock)
    samples.take()
    clock.jump(31 * DAY_S)
    samples.take()
    name = "repository 1 size"
    assert len(samples.list(name, "hour")) == 1
    assert len(samples.list(name, "day")) == 2
    clock.jump(731 * DAY_S)
    samples.take()
    assert len(samples.list(name, "day")) == 1


def test_no_transaction_is_large(database, make_repository, clock, monkeypatch):
    monkeypatch.setattr(sample_records, "STEP_ROWS", 10)
    count = 60
    for number in range(count):
        make_repository(f"r{number}")
    changed = []

    @contextmanager
    def counted(*arguments, **options):
        before = database_proxy.writer.total_changes
        with transaction(*arguments, **options):
            yield
        changed.append(database_proxy.writer.total_changes - before)

    transaction = database.transaction
    monkeypatch.setattr(database, "transaction", counted)
    samples = Samples(database, clock)
    samples.take()
    names = [
        f"repository {number + 1} {of}"
        for number in range(count)
        for of in ("size", "own", "assets")
    ]
    assert all(
        len(samples.list(name, "hour")) == len(samples.list(name, "day")) == 1 for name in names
    )
    assert sum(changed) >= 2 * len(names)
    clock.jump(1000 * DAY_S)
    samples.take()
    assert all(
        len(samples.list(name, "hour")) == len(samples.list(name, "day")) == 1 for name in names
    )
    assert max(changed) == 10


def test_nothing_is_asked_of_the_database_between(database, clock):
    samples = Samples(database, clock)
    samples.take()
    with executed_statements() as asked:
        samples.take()
    assert asked == []


def test_old_samples_are_found_by_the_index(database):
    query = f"EXPLAIN QUERY PLAN {sample_records._DELETE}"
    plan = [row[3] for row in database_proxy.execute_sql(query, ("hour", 0.0, 1)).fetchall()]
    assert any("SEARCH old" in step and "name=? AND period=? AND at<?" in step for step in plan)
    assert not any(step.startswith(("SCAN sample", "SCAN old")) for step in plan), plan
