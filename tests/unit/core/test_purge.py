"""Deleted repositories: nothing is stored in them, and their content goes in small steps."""

import subprocess
import sys
import threading
from itertools import islice, pairwise

import pytest

from repoman.blobs.manager import BlobStoreManager, make_file_store
from repoman.compaction import Unwatched
from repoman.config import BlobStoreSettings
from repoman.content import Coordinate, NewAsset
from repoman.db.models import (
    AssetRecord,
    BlobRecord,
    ComponentRecord,
    ReferenceRecord,
    RepositoryRecord,
    database_proxy,
)
from repoman.errors import Conflict
from repoman.repositories import purge, repository_records
from repoman.repositories.purge import Purge
from repoman.repositories.repository_records import bury_row, find_row, list_buried, list_rows
from repoman.tasks.model import TaskStopped
from repoman.testing import Clock
from repoman.uploads import UploadSessions
from tests.architecture import ROOT
from tests.clock import LONG_S
from tests.statements import changed_rows

KILLER = "tests.unit.core.purge_killer"
# With each asset change its blob, its component, its package, and the sums of all these.
CHANGED_MAX = 12 * purge.ROWS_MAX
ROW_S = 0.0005  # What a row takes where the database is slow.


@pytest.fixture
def stores(tmp_path):
    settings = {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs"})}
    return BlobStoreManager(settings, {"file": make_file_store}, tmp_path)


@pytest.fixture
def purging(database, stores):
    return Purge(database, stores)


@pytest.fixture
def deleted(database, make_content):
    """The content of a repository that was just deleted."""
    content = make_content("deleted")
    with database.transaction():
        bury_row(content._repository)
    return content


def fill(database, repository_id, count):
    """Store so many components, each with an asset, a reference and a blob, past the store."""
    names = [f"app{number}" for number in range(count)]
    mine = {"repository": repository_id}
    with database.transaction():
        insert(BlobRecord, ({"store": "default", "digest": name, "size": 1} for name in names))
        insert(ComponentRecord, ({**mine, "kind": "image", "name": name} for name in names))
        blobs, components = ids_of(BlobRecord.digest), ids_of(ComponentRecord.name)
        asset = {**mine, "kind": "file", "media_type": ""}
        insert(
            AssetRecord,
            (
                {**asset, "path": name, "blob": blobs[name], "component": components[name]}
                for name in names
            ),
        )
        assets = ids_of(AssetRecord.path)
        reference = {**mine, "kind": "needs", "path": "target"}
        insert(
            ReferenceRecord,
            ({**reference, "asset": assets[name], "source": name} for name in names),
        )


def insert(table, rows):
    for batch in batched(rows):
        table.insert_many(batch).execute()


def batched(rows):
    rows = iter(rows)
    while batch := list(islice(rows, 500)):
        yield batch


def ids_of(column):
    return {key: id_ for id_, key in column.model.select(column.model.id, column).tuples()}


def counts():
    tables = (RepositoryRecord, ComponentRecord, AssetRecord, ReferenceRecord)
    return tuple(table.select().count() for table in tables)


# --- Tombstones ----------------------------------------------------------------------------------


def test_a_deleted_repository_is_found_nowhere(make_repository, deleted):
    assert list_rows() == []
    assert [name for _, name in list_buried()] == ["deleted"]
    assert find_row("deleted") is None
    assert find_row(f"deleted {deleted._repository}") is None
    assert make_repository("deleted") != deleted._repository


def test_indexes_for_search_are_merged_before_much_of_them_is_removed(
    database, make_content, purging, monkeypatch
):
    monkeypatch.setattr(purge, "MERGE_MIN", 200)
    content = make_content("deleted")
    fill(database, content._repository, 2_000)
    with database.transaction():
        bury_row(content._repository)
    lefts, sizes, merge = [2_000], [index_bytes()], purge.merge_indexes

    def merge_and_look(*, is_first):
        if is_first:
            lefts.append(ComponentRecord.select().count())
        is_left = merge(is_first=is_first)
        if not is_left:
            sizes.append(index_bytes())
        return is_left

    monkeypatch.setattr(purge, "merge_indexes", merge_and_look)
    purging.run(Unwatched())
    assert max(before - left for before, left in pairwise([*lefts, 0])) <= 200 + purge.ROWS_MAX
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] * 0.3, "they have what is left, and nothing of what was removed"


def index_bytes():
    """The size of what the index knows of components; also of what is removed, but not merged."""
    query = "SELECT sum(length(block)) FROM component_index_data"
    return database_proxy.execute_sql(query).fetchone()[0]


def test_nothing_is_stored_in_a_deleted_repository(database, deleted, blobs, blob):
    text = "was deleted at the same time"
    with pytest.raises(Conflict, match=text):
        deleted.save_asset(NewAsset("a", "file", blob, "text/plain"))
    with pytest.raises(Conflict, match=text):
        deleted.save_component(Coordinate("image", "app"))
    with pytest.raises(Conflict, match=text):
        UploadSessions(database, deleted._repository, "default", blobs).create("app", "ann")
    assert counts() == (1, 0, 0, 0)


def test_nothing_changes_in_a_deleted_repository(database, make_content, blob):
    content = make_content("files")
    content.save_asset(NewAsset("a", "file", blob, "text/plain"))
    with database.transaction():
        bury_row(content._repository)
    with pytest.raises(Conflict, match="was deleted at the same time"):
        content.save_asset(NewAsset("a", "file", blob, "text/plain"))


# --- The purge -----------------------------------------------------------------------------------


@pytest.fixture
def changes(database):
    """How many rows each transaction changed."""
    with changed_rows(database) as found:
        yield found


def test_no_transaction_is_long(database, make_content, purging, changes, blob):
    kept = make_content("kept")
    kept.save_asset(NewAsset("a", "file", blob, "text/plain", component=Coordinate("image", "a")))
    content = make_content("files")
    fill(database, content._repository, 4_000)
    before = counts()
    with database.transaction():
        bury_row(content._repository)
    changes.clear()
    assert purging.run(Unwatched()) == 1
    assert before == (2, 4_001, 4_001, 4_000)
    assert counts() == (1, 1, 1, 0)
    assert len(changes) >= 12_000 / purge.ROWS_MAX
    assert 0 < max(changes) <= CHANGED_MAX
    assert changes[-1] <= 3  # the row itself, with nothing that goes along
    assert purging.run(Unwatched()) == 0


def test_a_slow_transaction_ends_early(database, stores, make_content, changes, monkeypatch):
    clock, delete_content = Clock(0.0), repository_records.delete_content
    rows = []  # that each transaction removes

    def delete(repository_id, limit):
        clock.jump(limit * ROW_S)
        if len(rows) <= len(changes):
            rows.append(0)
        removed = delete_content(repository_id, limit)
        rows[-1] += removed
        return removed

    content = make_content("files")
    fill(database, content._repository, 300)
    with database.transaction():
        bury_row(content._repository)
    changes.clear()
    monkeypatch.setattr(repository_records, "delete_content", delete)
    Purge(database, stores, clock).run(Unwatched())
    assert sum(rows) == 900
    assert max(rows) * ROW_S <= purge.TRANSACTION_S + purge.STEP_ROWS * ROW_S


def test_a_stopped_purge_continues(database, make_content, purging):
    class Stopping(Unwatched):
        def progress(self, done, total=None, message=""):
            assert total == 900
            raise TaskStopped

    content = make_content("files")
    fill(database, content._repository, 300)
    with database.transaction():
        bury_row(content._repository)
    with pytest.raises(TaskStopped):
        purging.run(Stopping())
    assert 0 < sum(counts()[1:]) < 900
    purging.run(Unwatched())
    assert counts() == (0, 0, 0, 0)


def test_pushes_to_another_repository_never_wait_long(database, make_content, stores, blob):
    content, other = make_content("files"), make_content("other")
    fill(database, content._repository, 3_000)
    with database.transaction():
        bury_row(content._repository)
    is_over, errors = threading.Event(), []

    def purge_all():
        try:
            Purge(database, stores).run(Unwatched())
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)
        finally:
            database.close()  # the connection of this thread
            is_over.set()

    thread = threading.Thread(target=purge_all)
    thread.start()
    count = 0
    while not is_over.is_set():
        with database.brief_waits():  # half a second: what waits longer fails
            other.save_asset(NewAsset(str(count), "file", blob, "text/plain"))
        count += 1
    thread.join()
    assert (errors, count > 10) == ([], True)
    assert counts()[0] == 1


@pytest.mark.slow
def test_kill_9_at_every_line_loses_nothing(tmp_path):
    command = [sys.executable, "-m", KILLER, str(tmp_path / "killed")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


# --- With its task -------------------------------------------------------------------------------


def test_deleting_a_repository_requests_the_purge(repoman):
    repoman.repositories.delete("Team")
    [state] = [each for each in repoman.tasks.states() if each.current]
    assert state.task.type == "repository.purge-deleted"
    assert repoman.make_runner().execute(state.current) == "ok"
    assert RepositoryRecord.select().count() == 0
    [run] = repoman.tasks.runs(state.task)
    assert run.result == "Removed the content of 1 deleted repository."
