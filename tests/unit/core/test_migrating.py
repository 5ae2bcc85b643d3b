"""Migrations run one by one, and long ones in batches that continue after an interruption."""

import logging
import sqlite3
from contextlib import closing

import pytest
from peewee import SqliteDatabase

from repoman.db.migrating import Migrator

ROWS = 25
FIRST = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE item (id INTEGER PRIMARY KEY, price INTEGER, half INTEGER)")
"""
SECOND = """
BATCH = 10


def up(migrator, db):
    db.execute_sql("ALTER TABLE item ADD COLUMN double INTEGER")


def _fill(db, after, column, value):
    rows = db.execute_sql("SELECT id FROM item WHERE id > ? ORDER BY id LIMIT ?", (after, BATCH))
    ids = [id_ for (id_,) in rows.fetchall()]
    if not ids:
        return None
    db.execute_sql(
        f"UPDATE item SET {column} = coalesce({column}, 0) + {value} WHERE id BETWEEN ? AND ?",
        (ids[0], ids[-1]),
    )
    return ids[-1]


BACKFILL = (
    ("item", lambda db, after: _fill(db, after, "double", "price * 2")),
    ("item", lambda db, after: _fill(db, after, "half", "price / 2")),
)
"""


class Interrupted(Exception):
    """As if the process had ended."""


class Site:
    """A database file, and the transactions on it."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory / "some.db"
        self.migrations = directory / "migrations"
        self.migrations.mkdir()
        (self.migrations / "0001_first.py").write_text(FIRST)
        self.count = 0
        self.most = 1000

    def migrate(self):
        """Open and migrate the database; it is interrupted after so many transactions."""
        sqlite = SqliteDatabase(str(self.path))
        with sqlite:
            Migrator(sqlite, lambda: self.transaction(sqlite), self.migrations).run()
        sqlite.close()

    def transaction(self, sqlite):
        if self.count == self.most:
            raise Interrupted
        self.count += 1
        return sqlite.atomic()

    def rows(self):
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute("SELECT price, double, half FROM item").fetchall()


@pytest.fixture
def site(tmp_path):
    """A database with rows, which lacks the second migration."""
    site = Site(tmp_path)
    site.migrate()
    with closing(sqlite3.connect(site.path)) as connection, connection:
        rows = [(number,) for number in range(ROWS)]
        connection.executemany("INSERT INTO item (price) VALUES (?)", rows)
    (site.migrations / "0002_second.py").write_text(SECOND)
    return site


EXPECTED = [(number, number * 2, number // 2) for number in range(ROWS)]


def test_each_batch_is_a_transaction(site):
    site.count = 0
    site.migrate()
    assert site.rows() == EXPECTED
    # The schema, and in each of two phases three batches with rows and the end; then the end.
    assert site.count == 1 + 2 * 4 + 1
    site.count = 0
    site.migrate()
    assert site.count == 0, "nothing is left"


@pytest.mark.parametrize("most", range(1, 9))
def test_an_interrupted_backfill_continues(site, most):
    site.count, site.most = 0, most
    with pytest.raises(Interrupted):
        site.migrate()
    site.count, site.most = 0, 1000
    site.migrate()
    assert site.rows() == EXPECTED, "no row was left out, and none filled twice"


def test_the_log_tells_how_far_it_is(site, caplog, monkeypatch):
    monkeypatch.setattr("repoman.db.migrating.PROGRESS_INTERVAL_S", 0.0)
    with caplog.at_level(logging.INFO, logger="repoman"):
        site.migrate()
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "Migrating the database: 0002_second (1 of 1)"
    assert "Migrating the database: 0002_second, step 1 of 2, item 10 of 25" in said
    assert said[-1] == "Migrating the database: 0002_second, step 2 of 2, item 25 of 25"


def test_the_log_tells_of_a_table_without_rows(site, caplog, monkeypatch):
    monkeypatch.setattr("repoman.db.migrating.PROGRESS_INTERVAL_S", 0.0)
    with closing(sqlite3.connect(site.path)) as connection, connection:
        connection.execute("DELETE FROM item")
    with caplog.at_level(logging.INFO, logger="repoman"):
        site.migrate()
    assert "Migrating the database: 0002_second, step 2 of 2, item 0 of 0" in caplog.text
