"""Databases of earlier versions keep their content when they are opened."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from peewee import SqliteDatabase
from playhouse.migrations import Runner

from repoman.compaction_records import list_released
from repoman.config import DatabaseSettings
from repoman.content import ContentStore
from repoman.db.database import FILE, MIGRATIONS, Database
from tests.disk import file_store


@pytest.fixture
def make_database(tmp_path):
    """Make a database as it was after the given migration, with rows; then open it as now."""
    opened = []

    def make(migration: str, *rows: str) -> Database:
        old = tmp_path / "migrations"
        old.mkdir()
        for path in MIGRATIONS.glob("[0-9]*.py"):
            if path.stem <= migration:
                shutil.copy(path, old)
        sqlite = SqliteDatabase(str(tmp_path / FILE))
        with sqlite:
            Runner(sqlite, str(old)).up()
        sqlite.close()
        with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
            for row in rows:
                connection.execute(row)
        database = Database(tmp_path, DatabaseSettings())
        opened.append(database)
        database.open()
        return database

    yield make
    for database in opened:
        database.close()


def test_0003_puts_the_referrers_of_before_in_order(make_database, tmp_path):
    database = make_database(
        "0002_secrets",
        "insert into repository values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0)",
        "insert into blob values (1, 'default', 'ab', 3, 0, 0)",
        "insert into asset values (1, 1, null, 'z', 'file', 1, 'text/plain', '{}', 0, 0)",
        "insert into asset values (2, 1, null, 'a', 'file', 1, 'text/plain', '{}', 0, 0)",
        "insert into reference values (1, 1, 1, 'needs', 'target')",
        "insert into reference values (2, 1, 2, 'needs', 'target')",
    )
    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    assert [asset.path for asset in content.referring("target", "needs")] == ["a", "z"]
    assert [asset.path for asset in content.referring("target", "needs", "a")] == ["z"]


def test_0004_knows_nothing_of_the_caches_of_before(make_database, tmp_path):
    database = make_database(
        "0003_referrers_in_order",
        "insert into repository values (1, 'files', 'files', 'raw', 'proxy', 1, '{}', 0, 0)",
        "insert into blob values (1, 'default', 'ab', 3, 0, 0)",
        "insert into asset values (1, 1, null, 'a', 'file', 1, 'text/plain', '{}', 0, 0)",
    )
    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    assert content.get_asset("a").checked_at is None


def test_0007_finds_what_was_there_before(make_database, tmp_path):
    database = make_database(
        "0006_sealed_secrets",
        "insert into repository (id, name, key, format, type, is_online, settings, created_at, "
        "updated_at) values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0)",
        "insert into component values (1, 1, 'image', '', 'team/app', '', '{}', 0, 0)",
        "insert into component values (2, 1, 'tag', '', 'team/app', '1', '{}', 0, 0)",
    )
    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    assert [each.name for each in content.search("image", "m/a", 10)] == ["team/app"]
    assert content.search("tag", "m/a", 10) == []


def test_0008_marks_the_blobs_that_nothing_names(make_database):
    make_database(
        "0007_search",
        "insert into repository values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0, null)",
        "insert into blob values (1, 'default', 'ab', 3, 0, 0)",
        "insert into blob values (2, 'default', 'cd', 3, 0, 0)",
        "insert into asset values "
        "(1, 1, null, 'a', 'file', 1, 'text/plain', '{}', 0, 0, null, null)",
    )
    assert list_released("default", before=1, limit=9) == ["cd"]
