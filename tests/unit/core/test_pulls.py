"""Pulls are written late, in batches: when the last one was, and how many on each day."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import pytest

from repoman.content import NewAsset, Reference
from repoman.db.models import AssetRecord, database_proxy
from repoman.errors import Unavailable
from repoman.events import pull_records as records
from repoman.events import pulls as module
from repoman.events.event import Coordinate
from repoman.events.pulls import PullLog
from repoman.testing import Clock
from tests.clock import WAIT_S
from tests.pull_days import pulls_by_day
from tests.statements import executed_statements

DAY = 20_000
NOON = (DAY + 0.5) * 86_400


@pytest.fixture
def clock():
    return Clock(NOON)


@pytest.fixture
def pulls(database, clock):
    return PullLog(database, clock)


@pytest.fixture
def save(content, blob):
    def save(path, *, named=True, **values):
        component = Coordinate("file", path) if named else None
        new = NewAsset(path, "file", blob, "text/plain", component=component, **values)
        content.save_asset(new)

    return save


def last(path):
    return AssetRecord.get(AssetRecord.path == path).downloaded_at


def days(path):
    return pulls_by_day(1, path)


def test_pulls_are_written_once_a_minute(content, save, pulls, clock):
    save("a")
    for _ in range(3):
        pulls.note((content.pull_of("a"), True))
    pulls.settle()
    assert (last("a"), days("a")) == (None, {})
    clock.jump(60)
    pulls.settle()
    assert (last("a"), days("a")) == (NOON, {DAY: 3})
    clock.jump(59)
    pulls.note((content.pull_of("a"), True))
    pulls.settle()
    assert days("a") == {DAY: 3}
    clock.jump(86_400)
    pulls.settle()
    assert (last("a"), days("a")) == (NOON + 119, {DAY: 4})
    pulls.note((content.pull_of("a"), True))
    clock.jump(60)
    pulls.settle()
    assert days("a") == {DAY: 4, DAY + 1: 1}


def test_one_asset_is_written_no_more_than_once_a_minute(content, save, pulls, clock):
    save("a")
    pulls.note((content.pull_of("a"), True))
    pulls.flush()
    pulls.note((content.pull_of("a"), True))
    pulls.flush()  # as when a cache is trimmed
    assert days("a") == {DAY: 1}
    clock.jump(60)
    pulls.flush()
    assert days("a") == {DAY: 2}


def test_a_question_is_a_use_and_no_pull(content, save, pulls):
    save("a")
    pulls.note((content.pull_of("a"), False))
    pulls.flush()
    assert (last("a"), days("a")) == (NOON, {})


def test_only_what_has_a_name_is_counted(content, save, pulls):
    save("layer", named=False)
    pulls.note((content.pull_of("layer"), True))
    pulls.flush()
    assert (last("layer"), days("layer")) == (NOON, {})


def test_what_refers_to_an_asset_is_pulled_with_it(content, save, pulls):
    save("a")
    for path, kind in (("1", "tag"), ("2", "tag"), ("index", "child")):
        save(path, references=(Reference(kind, "a"),))
    pulls.note((content.pull_of("a", referrers="tag"), True))
    pulls.note((content.pull_of("1", "a"), True))
    pulls.flush()
    assert [days(path) for path in ("a", "1", "2", "index")] == [{DAY: 2}, {DAY: 2}, {DAY: 1}, {}]
    assert last("index") is None


def test_what_is_gone_is_not_written(content, save, pulls):
    save("a")
    pulls.note((content.pull_of("a"), True))
    content.delete_assets(["a"])
    pulls.flush()
    assert days("a") == {}


def test_times_only_move_forward(content, save, pulls, clock):
    save("a")
    pulls.note((content.pull_of("a"), True))
    pulls.flush()
    clock.jump(-1000)
    pulls.note((content.pull_of("a"), True))
    pulls.flush(is_last=True)
    assert last("a") == NOON


def test_what_cannot_be_written_waits(content, save, pulls, monkeypatch, caplog):
    save("a")
    pulls.note((content.pull_of("a"), True))

    def fail(_rows):
        raise Unavailable("The database is busy.")

    with monkeypatch.context() as patch:
        patch.setattr(records, "save_pulls", fail)
        for _ in range(2):
            with pytest.raises(Unavailable):  # Who judges by them must know.
                pulls.flush()
            pulls.settle()
            pulls.note((content.pull_of("a"), True))
        pulls.flush(is_last=True)
    assert caplog.text.count("could not be written yet") == 1
    pulls.flush()
    assert (last("a"), days("a")) == (NOON, {DAY: 3})


@pytest.fixture
def halted(content, save, pulls, clock, monkeypatch):
    """Another thread that is writing a pull of ``a``; it ends when the event is set."""
    save("a")
    pulls.note((content.pull_of("a"), True))
    clock.jump(60)
    is_writing, may_end, write = Event(), Event(), records.save_pulls

    def halt(rows):
        is_writing.set()
        assert may_end.wait(WAIT_S)
        write(rows)

    monkeypatch.setattr(records, "save_pulls", halt)
    with ThreadPoolExecutor() as pool:
        pool.submit(pulls.settle)
        assert is_writing.wait(WAIT_S)
        yield may_end
        may_end.set()


def test_what_another_thread_is_writing_is_waited_for(pulls, halted):
    found = []
    flush = Thread(target=lambda: found.append((pulls.flush(), last("a"))))
    flush.start()
    flush.join(0.2)
    assert found == []
    halted.set()
    flush.join(WAIT_S)
    assert found == [(None, NOON + 60)]


def test_who_may_not_wait_is_told_that_another_thread_is_writing(database, pulls, halted):
    with database.brief_waits(), pytest.raises(Unavailable, match="still being written"):
        pulls.flush()
    pulls.settle()
    pulls.flush(is_last=True)


def test_a_bounded_number_waits(content, save, pulls, monkeypatch):
    monkeypatch.setattr(module, "PULLS_MAX", 2)
    for path in "abc":
        save(path)
        pulls.note((content.pull_of(path), True))
        pulls.note((content.pull_of(path), True))
    pulls.flush()
    assert [days(path) for path in "abc"] == [{DAY: 2}, {DAY: 2}, {}]


def test_writing_takes_few_transactions_and_is_found_by_an_index(content, save, pulls, database):
    with database.transaction():
        for number in range(600):
            save(f"{number:03}")
    for number in range(600):
        pulls.note((content.pull_of(f"{number:03}"), True))
    with executed_statements() as statements:
        pulls.flush()
    assert sum(each.startswith("BEGIN") for each in statements) == 3
    assert sum(map(bool, map(days, ("000", "599")))) == 2
    for query in (records._UPDATE_ASSETS, records._INSERT_DAYS):
        plan = [
            row[3] for row in database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {query}", ("[]",))
        ]
        assert any("SEARCH asset USING INDEX" in each for each in plan), plan


def test_very_many_pulls_are_written_in_several_looks(content, save, pulls, clock, monkeypatch):
    monkeypatch.setattr(module, "BATCH_PULLS", 2)
    monkeypatch.setattr(module, "SETTLED_BATCHES", 2)
    for path in "abcdef":
        save(path)
        pulls.note((content.pull_of(path), True))
    clock.jump(60)
    written = []
    for _ in range(3):
        pulls.settle()
        written.append(sum(bool(days(path)) for path in "abcdef"))
    assert written == [4, 6, 6]


def test_what_is_left_of_a_look_is_written_at_the_end(content, save, pulls, clock, monkeypatch):
    monkeypatch.setattr(module, "BATCH_PULLS", 1)
    monkeypatch.setattr(module, "SETTLED_BATCHES", 1)
    for path in "abc":
        save(path)
        pulls.note((content.pull_of(path), True))
    clock.jump(60)
    pulls.settle()
    pulls.note((content.pull_of("c"), True))
    pulls.flush(is_last=True)
    assert [days(path) for path in "abc"] == [{DAY: 1}, {DAY: 1}, {DAY: 2}]


def test_old_days_go_in_batches(content, save, database, clock):
    with database.transaction():
        for day in range(5):
            database_proxy.execute_sql(
                "INSERT INTO pull_day VALUES (1, 'a', ?, 1), (1, 'b', ?, 1)", (day + DAY, day + DAY)
            )
    clock.jump(500 * 86_400)
    pulls = PullLog(database, clock, days=496)
    assert pulls.prune() == 0  # a clock that jumps deletes nothing
    with database.transaction():
        database_proxy.execute_sql("INSERT INTO pull_day VALUES (1, 'a', ?, 1)", (DAY + 500,))
    pulls = PullLog(database, clock, days=496)
    assert [pulls.prune(1), pulls.prune(1), pulls.prune(1)] == [1, 1, 0]  # one day in an hour
    assert sorted(days("a")) == [DAY + 1, DAY + 2, DAY + 3, DAY + 4, DAY + 500]


def test_the_wholes_of_a_part_are_in_use_and_not_counted(content, save, pulls, clock):
    save("part", named=False)
    save("list", named=False, references=(Reference("child", "part"),))
    save("lists", named=False, references=(Reference("child", "list"),))
    save("more lists", named=False, references=(Reference("child", "lists"),))
    for each in ("part", "list", "lists", "more lists"):
        save(f"tag of {each}", references=(Reference("tag", each),))
    pulls.note((content.pull_of("part", referrers="tag", wholes="child"), True))
    clock.jump(60)
    pulls.settle()
    used = ("part", "list", "lists", "tag of part", "tag of list", "tag of lists")
    assert {last(each) for each in used} == {NOON + 60}
    assert (last("more lists"), last("tag of more lists")) == (None, None)
    assert days("tag of part") == {DAY: 1}
    assert days("tag of list") == days("tag of lists") == {}


def test_what_refers_to_pulled_assets_is_written_however_much_there_is(
    content, save, pulls, monkeypatch
):
    monkeypatch.setattr(module, "REFERRERS_MAX", 3)
    parts, tags = ("a", "b", "c"), [f"{number}" for number in range(7)]
    for part in parts:
        save(part, named=False)
        for tag in tags:
            save(f"{part}{tag}", references=(Reference("tag", part),))
            save(f"list {part}{tag}", named=False, references=(Reference("child", part),))
            save(f"tag of list {part}{tag}", references=(Reference("tag", f"list {part}{tag}"),))
        pulls.note((content.pull_of(part, referrers="tag", wholes="child"), True))
    pulls.flush()
    ends = [f"{part}{tag}" for part in parts for tag in tags]
    assert {str(days(end)) for end in ends} == {str({DAY: 1})}
    assert {last(f"{kind}{end}") for kind in ("", "list ", "tag of list ") for end in ends} == {
        NOON
    }
    assert {str(days(f"tag of list {end}")) for end in ends} == {"{}"}


def test_what_refers_to_pulled_assets_is_found_by_an_index(database):
    query = f"EXPLAIN QUERY PLAN {records._SELECT_REFERRERS}"
    plan = [row[3] for row in database_proxy.execute_sql(query, ("[]", 1))]
    assert any("source>?" in each for each in plan), plan
    assert not any("TEMP B-TREE" in each for each in plan), plan
