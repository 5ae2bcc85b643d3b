"""Sums of what is stored are right after every change, whatever it was and however it ended."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from repoman.blobs.upload import store_bytes
from repoman.content import Coordinate, NewAsset, Reference
from repoman.db.database import FILE
from repoman.db.models import RepositoryRecord, database_proxy
from tests.recount import counted, kept
from tests.statements import executed_statements

STEPS = 300
KILLS = 3


class RolledBack(Exception):
    """Raised in a transaction."""


def check(path: Path) -> None:
    """All sums are what a recount says, and no package is there without content."""
    with closing(sqlite3.connect(path)) as connection:
        assert kept(connection) == counted(connection)
        empty = "SELECT * FROM package WHERE assets = 0 AND versions = 0"
        assert connection.execute(empty).fetchall() == []
        lost = (
            "SELECT count(*) FROM asset WHERE package_id IS NOT NULL "
            "AND package_id NOT IN (SELECT id FROM package)"
        )
        assert connection.execute(lost).fetchone() == (0,)


class Changes:
    """Random changes of several repositories that share blobs."""

    def __init__(self, dice, contents, blobs):
        self.dice = dice
        self.contents = contents
        self.blobs = [store_bytes(blobs, bytes(size)) for size in (1, 20, 300, 4000)]
        self.paths = [f"path-{number}" for number in range(12)]

    def step(self):
        """Make one change."""
        content = self.dice.choice(self.contents)
        change = self.dice.choice([self.save, self.save, self.save, self.delete, self.drop])
        change(content)

    def save(self, content):
        name, version = self.dice.choice("abc"), self.dice.choice(["", "", "1.0", "2.0"])
        component = self.dice.choice([None, Coordinate("thing", name, version)])
        package = self.dice.choice([None, Coordinate("thing", name)])
        content.save_asset(
            NewAsset(
                path=self.dice.choice(self.paths),
                kind="some",
                blob=self.dice.choice(self.blobs),
                media_type="x/y",
                component=component,
                package=package,
                transfer_size=self.dice.choice([None, 7]),
                references=(Reference("needs", self.dice.choice(self.paths), 3),),
            )
        )

    def delete(self, content):
        content.delete_assets(self.dice.sample(self.paths, 3))

    def drop(self, content):
        version = self.dice.choice(["", "1.0", "2.0"])
        content.delete_component(Coordinate("thing", self.dice.choice("abc"), version))


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_those_of_a_recount_after_random_changes(
    seed, database, make_content, blobs, tmp_path
):
    dice = random.Random(seed)
    contents = [make_content(name) for name in ("one", "two", "three")]
    changes = Changes(dice, contents, blobs)
    for number in range(STEPS):
        try:
            with database.transaction():
                for _ in range(dice.randrange(1, 4)):
                    changes.step()
                if dice.random() < 0.2:
                    raise RolledBack
        except RolledBack:
            pass
        if number % 10 == 0:
            check(tmp_path / FILE)
    check(tmp_path / FILE)
    with database.transaction():
        RepositoryRecord.delete().where(RepositoryRecord.name == "two").execute()
    check(tmp_path / FILE)


def test_what_several_share_is_nobodys_own(make_content, blobs, tmp_path):
    one, two = make_content("one"), make_content("two")
    shared, own = store_bytes(blobs, bytes(1000)), store_bytes(blobs, bytes(30))

    def save(content, path, blob, name):
        content.save_asset(NewAsset(path, "f", blob, "", package=Coordinate("image", name)))

    def sizes(table, key):
        query = f"SELECT size, own_size FROM {table} WHERE {key} ORDER BY 1 DESC"
        return database_proxy.execute_sql(query).fetchall()

    save(one, "a/shared", shared, "a")
    save(one, "a/own", own, "a")
    assert sizes("package", "name = 'a'") == sizes("repository_usage", "assets = 2")
    assert sizes("package", "name = 'a'") == [(1030, 1030)]
    save(one, "b/shared", shared, "b")
    assert sizes("package", "TRUE") == [(1030, 30), (1000, 0)]
    assert sizes("repository_usage", "assets = 3") == [(1030, 1030)], "all in this repository"
    save(two, "c/shared", shared, "c")
    assert sizes("repository_usage", "TRUE") == [(1030, 30), (1000, 0)]
    one.delete_assets(["a/shared", "b/shared"])
    assert sizes("repository_usage", "TRUE") == [(1000, 1000), (30, 30)]
    assert sizes("package", "name = 'c'") == [(1000, 1000)]


def test_times_are_those_of_the_last_push_and_pull(content, blob):
    component, path = Coordinate("tag", "app", "1.0"), "tags/app/1.0"
    content.save_asset(NewAsset(path, "tag", blob, "", component=component))
    database_proxy.execute_sql("UPDATE asset SET downloaded_at = 50.0")
    database_proxy.execute_sql("UPDATE asset SET downloaded_at = 40.0")
    columns = "downloaded_at, updated_at > 1e9"
    for table in ("component", "package"):
        row = database_proxy.execute_sql(f"SELECT {columns} FROM {table}").fetchone()
        assert row == (50.0, 1)


def test_a_push_of_a_tag_is_few_statements(content, blob):
    def push():
        content.save_asset(
            NewAsset(
                "tags/app/1",
                "tag",
                blob,
                "",
                component=Coordinate("tag", "app", "1"),
                package=Coordinate("image", "app"),
                references=(Reference("tag", "manifests/app/x"),),
            )
        )

    push()
    with executed_statements() as statements:
        push()
    # What triggers do is told as comments, or as the statement that fired them once more.
    asked = {each for each in statements if each.startswith(("SELECT", "INSERT", "UPDATE", "DEL"))}
    asked = {each for each in asked if '"revision"' not in each}
    assert len(asked) == 7, "\n".join(asked)


@pytest.mark.slow
def test_sums_are_right_after_a_kill(tmp_path):
    data = tmp_path / "killed"
    for seed in range(KILLS):
        command = [sys.executable, "-m", "tests.unit.core.sums_killer", str(data), str(seed)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(5 + 5 * seed):
            assert process.stdout.readline(), "it changes something all the time"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        check(data / FILE)
