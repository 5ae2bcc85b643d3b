"""A database and its blob stores belong together; no other pair is started, and nothing is lost."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from repoman.blobs.upload import store_bytes
from repoman.config import Settings
from repoman.content import NewAsset
from repoman.core import Repoman
from repoman.errors import Conflict, Unavailable
from repoman.testing.factory import COST

NOTHING_CHANGED = "No blob was changed.*--adopt"


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def open_repoman(data, toy):
    """A Repoman on the data directory of the test, to be started by ``with``."""

    def open_repoman(*, adopt=False):
        settings = Settings(data=data, security={"password_cost": COST})
        return Repoman(settings, {"toy": toy}, adopt=adopt)

    return open_repoman


@pytest.fixture
def filled(open_repoman):
    """Data with a blob that is named, and one that never was."""
    with open_repoman() as repoman:
        context = repoman.repositories.create("Team", "toy-hosted", {}).service
        blob = store_bytes(context.blobs, b"named")
        context.content.save_asset(NewAsset("a", "file", blob, "text/plain"))
        store_bytes(context.blobs, b"not named")


def blobs_of(data):
    found = (data / "blobs/default/sha256").glob("*/*")
    return {path: path.read_bytes() for path in found}


def run(data, *statements):
    with closing(sqlite3.connect(data / "repoman.db")) as database, database:
        for each in statements:
            database.execute(each)


def identities(data):
    """What the store says and what the database says."""
    with closing(sqlite3.connect(data / "repoman.db")) as database:
        [(known,)] = database.execute("select identity from blob_store").fetchall()
    return json.loads((data / "blobs/default/store.json").read_text())["id"], known


def forget_identities(data):
    """Make the data what they were before stores had identities."""
    (data / "blobs/default/store.json").unlink()
    migrations = "name like '0010%' or name like '0033%' or name like '0064%'"
    run(data, "drop table blob_store", f"delete from schema_migration where {migrations}")


def start_again(open_repoman, data):
    """Start on data that fit, and see that all is there."""
    before = blobs_of(data)
    with open_repoman() as repoman:
        repoman.sweep()
        repoman.compactor.compact()
    assert blobs_of(data) == before
    one, other = identities(data)
    assert one == other


def test_a_new_server_gives_both_an_identity(open_repoman, data):
    with open_repoman():
        pass
    one, other = identities(data)
    assert one == other
    assert len(one) == 32
    start_again(open_repoman, data)
    assert identities(data) == (one, other)


def test_data_from_before_are_taken_over(open_repoman, data, filled):
    forget_identities(data)
    start_again(open_repoman, data)


def test_data_from_before_without_a_blob_are_taken_over(open_repoman, data):
    with open_repoman():
        pass
    forget_identities(data)
    start_again(open_repoman, data)


@pytest.mark.parametrize("lost", ["store", "row"])
def test_what_a_crash_or_a_backup_left_out_is_noted_again(open_repoman, data, filled, lost):
    if lost == "row":
        run(data, "delete from blob_store")
    else:
        (data / "blobs/default/store.json").unlink()
    start_again(open_repoman, data)


def lose_database(data):
    for path in data.glob("repoman.db*"):
        path.unlink()


def empty_database(data):
    lose_database(data)
    (data / "repoman.db").touch()


def lose_contents(data):
    """As where the journal was not copied with the database."""
    run(data, "delete from asset", "delete from blob", "delete from blob_store")


def lose_contents_from_before(data):
    lose_contents(data)
    forget_identities(data)


def take_another_database(data):
    run(data, "update blob_store set identity = 'another'")


def damage_identity(data):
    (data / "blobs/default/store.json").write_text("{")


def unmount(data):
    shutil.rmtree(data / "blobs")


def unmount_from_before(data):
    forget_identities(data)
    shutil.rmtree(data / "blobs")


def mount_an_empty_disk(data):
    unmount(data)
    (data / "blobs/default/lost+found").mkdir(parents=True)


def unmount_before_the_first_blob(data):
    run(data, "delete from asset", "delete from blob")
    unmount(data)


WRONG = [
    lose_database,
    empty_database,
    lose_contents,
    lose_contents_from_before,
    take_another_database,
    damage_identity,
    unmount,
    unmount_from_before,
    mount_an_empty_disk,
    unmount_before_the_first_blob,
]


def tree(directory):
    return {path.relative_to(directory) for path in directory.rglob("*")}


@pytest.mark.parametrize("harm", WRONG)
def test_a_start_is_refused_with_what_does_not_belong_together(open_repoman, data, filled, harm):
    (data / "admin.password").write_text("the old one")
    harm(data)
    before, files = blobs_of(data), tree(data / "blobs")
    for _ in range(2):
        with pytest.raises(Conflict, match=NOTHING_CHANGED), open_repoman():
            pass
        assert (data / "admin.password").read_text() == "the old one"
        assert (blobs_of(data), tree(data / "blobs")) == (before, files)
        # A journal that stays would be applied to the database that is put back.
        assert not list(data.glob("repoman.db-*"))


@pytest.mark.parametrize("harm", WRONG)
def test_adopted_stores_belong_to_the_database_from_then_on(open_repoman, data, filled, harm):
    harm(data)
    before = blobs_of(data)
    for adopt in (True, False):
        with open_repoman(adopt=adopt):
            one, other = identities(data)
            assert one == other
    assert blobs_of(data) == before


def test_no_database_is_made_beside_blobs_that_it_would_not_know(open_repoman, data, filled):
    lose_database(data)
    with pytest.raises(Conflict, match=r"repoman\.db-wal"), open_repoman():
        pass
    assert not list(data.glob("repoman.db*"))


def test_a_store_that_was_adopted_is_lost_to_the_database_it_belonged_to(
    open_repoman, data, filled, tmp_path
):
    shutil.copy(data / "repoman.db", tmp_path / "former.db")
    lose_database(data)
    with open_repoman(adopt=True):
        pass
    lose_database(data)
    shutil.copy(tmp_path / "former.db", data / "repoman.db")
    with pytest.raises(Conflict, match="belongs to another database"), open_repoman():
        pass


def test_nothing_is_removed_while_another_store_is_in_the_place(open_repoman, data, filled):
    with open_repoman() as repoman:
        away = data / "blobs/away"
        (data / "blobs/default").rename(away)
        with pytest.raises(Unavailable, match="is missing"):
            repoman.compactor.sweep("00")
        shutil.copytree(away, data / "blobs/default")
        (data / "blobs/default/store.json").write_text('{"id": "of another server"}')
        before = blobs_of(data)
        run(data, "delete from asset", "update blob set released_at = 1")
        with pytest.raises(Unavailable, match="The blob store default was replaced by another one"):
            repoman.compactor.compact()
        assert blobs_of(data) == before
