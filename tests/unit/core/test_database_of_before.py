"""A database that an earlier version filled is migrated in steps, and nothing of it is lost."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from repoman.config import DatabaseSettings
from repoman.content import ContentStore, Coordinate
from repoman.db.database import FILE, Database
from tests import before
from tests.before import FILES, IMAGES, LAYER, MANIFEST, TAGS
from tests.disk import file_store
from tests.recount import counted, kept

# Each test migrates a database with content, some of them in processes of their own.
pytestmark = pytest.mark.slow

# Where rows are added: the migrations themselves, and the topics of today.
GROWING = {"schema_migration", "revision"}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A directory with a database of before."""
    directory = tmp_path_factory.mktemp("before") / "data"
    before.make_database(directory)
    return directory


@pytest.fixture
def data(old, tmp_path):
    """A copy of it."""
    return shutil.copytree(old, tmp_path / "data")


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The tables, indexes and triggers of a new database."""
    directory = tmp_path_factory.mktemp("new")
    migrate(directory)
    return read_schema(directory)


def read_schema(data):
    """What a database consists of, as SQL, by name."""
    with closing(sqlite3.connect(data / FILE)) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())


def read(data):
    """All rows of all tables, by their first columns; the index for search is asked instead."""
    with closing(sqlite3.connect(data / FILE)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%_index%'"
        found = {}
        for (table,) in connection.execute(query).fetchall():
            cursor = connection.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            found[table] = {row[0]: dict(zip(names, row, strict=True)) for row in cursor}
        return found


def check(data, old_rows):
    """Nothing was lost or changed, in the columns that remained, and all sums are right."""
    new_rows = read(data)
    position = old_rows["revision"].pop("audit-file")["value"]
    assert new_rows["follower"]["audit file"]["position"] == position, "it is no topic any more"
    for table, rows in old_rows.items():
        assert rows, f"{table} is empty, so nothing is compared"
        found = new_rows[table]
        assert found.keys() >= rows.keys() if table in GROWING else found.keys() == rows.keys()
        for key, was in rows.items():
            now = found[key]
            assert {each: now.get(each, was[each]) for each in was} == was
    statuses = {row["name"]: row["status"] for row in new_rows["user"].values()}
    assert statuses == {"ann": "active", "bob": "disabled"}, "it was a switch"
    with closing(sqlite3.connect(data / FILE)) as connection:
        assert kept(connection) == counted(connection)
        assert connection.execute("SELECT * FROM migration_backfill").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for index, text, count in (
            ("component", "docs", FILES),
            ("component", "team", IMAGES),
            ("version", "team", IMAGES * TAGS),
        ):
            search = f"SELECT count(*) FROM {index}_index WHERE {index}_index MATCH ?"
            assert connection.execute(search, (text,)).fetchone() == (count,)


def test_nothing_is_lost_and_the_sums_are_right(data, old, schema):
    rows = read(old)
    output = migrate(data)
    check(data, rows)
    assert read_schema(data) == schema, "it is like a new one"
    assert "Migrating the database: 0021_catalog" in output
    assert f"0021_catalog, step 3 of 8, asset 1,000 of {len(rows['asset']):,}" in output
    assert f"0022_kept_sums, step 9 of 16, asset {len(rows['asset']):,} of" in output, "an index"
    assert migrate(data) == "", "the second time, there is nothing to do"


def test_what_lists_need_is_worked_out(data):
    migrate(data)
    with closing(sqlite3.connect(data / FILE)) as connection:
        execute = connection.execute
        packages = execute(
            "SELECT kind, versions, assets, size, own_size, updated_at, downloaded_at FROM package"
        ).fetchall()
        size = LAYER + TAGS * MANIFEST
        row = ("image", TAGS, 2 * TAGS + 1, size, size - LAYER, 4.0, TAGS - 1.0)
        assert packages == [row] * IMAGES, "an image is one package, with its tags and layers"
        usage = execute("SELECT * FROM repository_usage ORDER BY 1").fetchall()
        size = LAYER + IMAGES * TAGS * MANIFEST
        components = IMAGES * (TAGS + 1)
        images = (1, IMAGES * (2 * TAGS + 1), components, IMAGES * TAGS, IMAGES, size, size)
        files = (2, FILES, FILES, 0, 0, sum(range(FILES)), sum(range(FILES)))
        assert usage == [images, files, (3, *[0] * 6)]
        assert execute("SELECT DISTINCT size FROM reference").fetchall() == [(LAYER,), (MANIFEST,)]
        versions = execute(
            "SELECT version FROM component WHERE name = 'team/app-000' AND version != '' "
            "ORDER BY version_key"
        )
        numbers = [int(version.split(".")[1].split("-")[0]) for (version,) in versions]
        assert numbers == list(range(TAGS))
        pre = "SELECT count(*) FROM component WHERE is_prerelease"
        assert execute(pre).fetchone() == (IMAGES * TAGS,)
        sizes = execute("SELECT DISTINCT size FROM component WHERE kind = 'tag'").fetchall()
        assert sizes == [(LAYER + MANIFEST,)], "a tag has the size of its image"


@pytest.mark.parametrize("step", [3, 8, 14, 20, 26, 46, 52, 60])
def test_a_kill_in_the_middle_costs_nothing(data, old, schema, step):
    rows = read(old)
    for kill in (step, 4):  # and once more, soon
        with subprocess.Popen(command(data), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(kill)]
            os.kill(process.pid, signal.SIGKILL)
        assert lines[0]
    migrate(data)
    check(data, rows)
    assert read_schema(data) == schema


def test_new_content_is_counted_on_top(data, tmp_path):

    migrate(data)
    database = Database(data, DatabaseSettings())
    database.open()

    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    assert content.delete_component(Coordinate("image", "team/app-000"))
    database.close()
    with closing(sqlite3.connect(data / FILE)) as connection:
        assert kept(connection) == counted(connection)


def command(data):
    return [sys.executable, "-m", "tests.before", str(data)]


def migrate(data):
    """Migrate in a process of its own, and return what it said."""
    done = subprocess.run(command(data), capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
