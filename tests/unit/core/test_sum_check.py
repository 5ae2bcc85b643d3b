"""The check of the sums of space: it finds what is wrong, mends it, and disturbs nobody."""

import random
import re
import sqlite3
from contextlib import closing, contextmanager

import pytest

from repoman.catalog import sum_check, sum_check_records
from repoman.catalog.sum_check import SumCheck
from repoman.compaction import Unwatched
from repoman.db.database import FILE
from repoman.db.models import database_proxy
from repoman.tasks.model import TaskStopped
from tests.recount import counted, kept
from tests.statements import executed_statements
from tests.unit.core.test_kept_sums import Changes

BROKEN = (
    "UPDATE repository_usage SET own_size = own_size + 5, assets = assets - 1",
    "UPDATE blob_store_usage SET blobs = blobs + 2, reclaimable = reclaimable + 9",
    "UPDATE package SET size = size - 3, versions = versions + 1",
    "UPDATE component SET size = size + 1000",
    "UPDATE blob_repository SET assets = assets + 1",
    "DELETE FROM blob_repository",
    "UPDATE blob_package SET assets = assets + 4",
    "DELETE FROM blob_package WHERE package_id > 0",
    "INSERT INTO blob_repository SELECT id, 77, 3 FROM blob",
    "INSERT OR IGNORE INTO blob_package SELECT b.id, p.id, 2 FROM blob b CROSS JOIN package p",
)


class Busy(Unwatched):
    """Changes content at each step of the check."""

    def __init__(self, change):
        self.change = change

    def progress(self, done, total=None, message=""):
        """Change something."""
        assert total is not None
        assert done <= total
        self.change()


@pytest.fixture
def changes(make_content, blobs):
    """Content of three repositories that share blobs, and what changes it."""
    made = Changes(random.Random(1), [make_content(name) for name in ("a", "b", "c")], blobs)
    for _ in range(60):
        made.step()
    return made


@pytest.fixture
def is_right(tmp_path):
    """Whether all kept sums are those of a recount."""

    def is_right() -> bool:
        with closing(sqlite3.connect(tmp_path / FILE)) as connection:
            return kept(connection) == counted(connection)

    return is_right


def break_sums(statement):
    database_proxy.execute_sql(statement)


def check(database, progress=None, **options):
    return list(SumCheck(database, **options).run(progress or Unwatched()))


def test_sums_that_are_right_stay_as_they_are(database, changes, is_right):
    with executed_statements() as statements:
        assert check(database) == []
    assert [each for each in statements if not each.startswith(("SELECT", "BEGIN", "COMMIT"))] == []
    assert is_right()


@pytest.mark.parametrize("statement", BROKEN)
def test_a_wrong_sum_is_found_and_mended(statement, database, changes, is_right):
    break_sums(statement)
    assert not is_right()
    assert check(database)
    assert is_right()
    assert check(database) == []


def test_everything_at_once_is_mended_while_others_change_content(
    database, changes, is_right, monkeypatch
):
    for name in ("BLOBS_READ", "COMPONENTS_READ", "PACKAGES_READ", "MENDED_ROWS"):
        monkeypatch.setattr(sum_check, name, 2)
    for statement in BROKEN:
        break_sums(statement)
    busy = Busy(changes.step)
    assert check(database, busy)
    assert check(database, busy) == []
    assert is_right()


def test_what_is_wrong_is_told_and_stays_without_mending(database, changes):
    break_sums("UPDATE repository_usage SET size = size + 1024 WHERE repository_id = 2")
    before = database_proxy.execute_sql("SELECT * FROM repository_usage").fetchall()
    for _ in range(2):
        [drift] = check(database, is_mending=False)
        assert str(drift) == "repository b: size -1,024"
    assert database_proxy.execute_sql("SELECT * FROM repository_usage").fetchall() == before


def test_a_check_that_was_stopped_leaves_sums_that_the_next_one_mends(
    database, changes, is_right, monkeypatch
):
    monkeypatch.setattr(sum_check, "BLOBS_READ", 1)
    for statement in BROKEN:
        break_sums(statement)

    class Stopping(Unwatched):
        left = 2

        def pause(self, seconds):
            self.left -= 1
            if not self.left:
                raise TaskStopped

    with pytest.raises(TaskStopped):
        check(database, Stopping())
    assert not is_right()
    check(database)
    assert is_right()


def test_no_transaction_mends_much(database, changes, monkeypatch):
    monkeypatch.setattr(sum_check, "MENDED_ROWS", 1)
    break_sums("UPDATE component SET size = size + 1")
    count = database_proxy.execute_sql("SELECT count(*) FROM component").fetchone()[0]
    changed, transaction = [], database.transaction

    @contextmanager
    def counting(**options):
        before = database_proxy.writer.total_changes
        with transaction(**options):
            yield
        changed.append(database_proxy.writer.total_changes - before)

    monkeypatch.setattr(database, "transaction", counting)
    assert len(check(database)) == count
    assert changed == [2] * count, "the row, and a topic"


def test_every_range_is_read_by_an_index(database, changes):
    with executed_statements() as statements:
        check(database)
    asked = [each for each in statements if each.startswith("SELECT")]
    plans = [
        row[3]
        for each in asked
        for row in database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {each}").fetchall()
    ]
    small = (
        r"SCAN (CONSTANT ROW|repository|repository_usage|blob_store_usage|mine|\(subquery-\d+\))"
    )
    scans = [each for each in plans if each.startswith("SCAN") and not re.match(small, each)]
    assert scans == []


def test_a_snapshot_is_of_one_moment(database, changes):
    def count():
        return database_proxy.execute_sql("SELECT count(*) FROM blob_repository").fetchone()[0]

    before = count()
    with sum_check_records.snapshot():
        assert count() == before
        database_proxy.execute_sql("DELETE FROM blob_repository")
        assert count() == before
    assert count() == 0


def test_the_task_says_what_was_wrong(repoman, monkeypatch):
    [task] = [each for each in repoman.tasks.all() if each.type == "usage.check"]
    assert (str(task.schedule), task.is_enabled) == ("weekly sun 02:30", True)

    def run():
        run = repoman.tasks.run(task)
        state = repoman.make_runner().execute(run)
        return state, repoman.tasks.get_run(run.id)

    state, ended = run()
    assert (state, ended.result) == ("ok", "All sums are right.")
    break_sums("UPDATE repository_usage SET size = size + 7")
    task = repoman.tasks.update(task, settings={"mend": False})
    state, ended = run()
    told = "1 sum was wrong and not corrected. The log of this run lists them."
    assert (state, ended.result) == ("failed", told)
    task = repoman.tasks.update(task, settings={"mend": True})
    state, ended = run()
    told = "1 sum was wrong and corrected. The log of this run lists them."
    assert (state, ended.result) == ("ok", told)
    assert [line.text for line in repoman.tasks.lines(ended)] == ["repository Team: size -7"]
    assert run()[1].result == "All sums are right."
