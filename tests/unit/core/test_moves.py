"""A repository moves to another blob store while it is used, whatever happens meanwhile."""

import errno
import os
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace

import pytest

from repoman.blob_records import StoreRow, update_store
from repoman.blobs.file import FileBlobStore
from repoman.blobs.file_writer import storage_errors
from repoman.blobs.upload import store_bytes
from repoman.compaction import GRACE_S, Compactor, Unwatched
from repoman.content import NewAsset
from repoman.damage_records import list_marked, save_damage
from repoman.db.models import database_proxy
from repoman.errors import (
    Conflict,
    Invalid,
    NotFound,
    QuotaExceeded,
    StorageFull,
    Unavailable,
)
from repoman.stores import moves as moves_module
from repoman.tasks.model import TaskStopped
from repoman.testing import Clock
from tests.architecture import ROOT
from tests.clock import LONG_S
from tests.disk import room_for
from tests.recount import counted, kept

KILLER = "tests.unit.core.move_killer"
FAST = 1 << 40  # bytes in a second
PATHS = [f"p{number}" for number in range(7)]


@pytest.fixture
def repoman(repoman):
    repoman.stores.create("other", "other")
    return repoman


@pytest.fixture
def clock(repoman):
    clock = Clock()
    repoman.moves._clock = clock
    return clock


@pytest.fixture
def moves(repoman, clock, monkeypatch):
    monkeypatch.setattr(moves_module, "BATCH_ASSETS", 2)
    return repoman.moves


@pytest.fixture
def content(repoman):
    """The content of the repository as the next request finds it."""
    return lambda: repoman.repositories.get("Team").service.content


@pytest.fixture
def save(repoman, content):
    """Store a file as a request does, in the blob store of the repository."""

    def save(path, data, store=None):
        name = store or repoman.repositories.get("Team").blob_store
        blob = store_bytes(repoman.blob_stores.get(name), data)
        content().save_asset(NewAsset(path, "file", blob, "text/plain"))
        return blob

    return save


@pytest.fixture
def filled(save):
    return {path: save(path, path.encode()) for path in PATHS}


def run(moves, progress=None):
    return moves.run(progress or Unwatched(), bool, FAST)


def compact(repoman):
    compactor = Compactor(repoman.database, repoman.blob_stores, Clock())
    compactor._clock.jump(GRACE_S + 10)
    return compactor.compact()


def stores_of():
    sql = "SELECT a.path, b.store FROM asset a JOIN blob b ON b.id = a.blob_id"
    return dict(database_proxy.execute_sql(sql).fetchall())


def check_all(content):
    for path in PATHS:
        assert content().open_body(content().get_asset(path)) == path.encode()


def test_everything_moves_and_the_old_store_is_freed(repoman, moves, content, filled):
    moves.begin("team", "other")
    assert moves.is_needed()
    check_all(content)
    assert run(moves) == "Moved Team to other."
    assert not moves.is_needed()
    found = moves.find("Team")
    assert (found.blobs, found.size, found.problem) == (7, 14, "")
    assert found.ended_at
    assert set(stores_of().values()) == {"other"}
    check_all(content)
    assert compact(repoman) == 7
    check_all(content)
    sums = kept(database_proxy.connection())
    assert sums == counted(database_proxy.connection())
    assert sums["stores"] == {"other": (7, 14, 0)}
    repoman.audit.flush()
    told = database_proxy.execute_sql("SELECT type FROM audit WHERE domain = 'repository'")
    assert [row[0] for row in told][-2:] == ["move", "moved"]


def test_new_bytes_go_to_the_new_store_at_once(moves, save, filled):
    moves.begin("Team", "other")
    save("new", b"new bytes")
    assert stores_of()["new"] == "other"
    assert stores_of()["p0"] == "default"


def test_what_is_named_again_before_it_was_copied_stays_where_it_is(
    repoman, moves, content, filled
):
    moves.begin("Team", "other")
    content().save_asset(NewAsset("again", "file", filled["p0"], "text/plain"))
    content().delete_assets(["p0"])
    assert compact(repoman) == 0
    assert content().open_body(content().get_asset("again")) == b"p0"
    run(moves)
    assert stores_of()["again"] == "other"
    assert content().open_body(content().get_asset("again")) == b"p0"


def test_what_another_repository_shares_stays_for_it(repoman, moves, content, filled):
    repoman.repositories.create("Second", "toy-hosted", {})
    second = repoman.repositories.get("Second").service.content
    second.save_asset(NewAsset("shared", "file", filled["p0"], "text/plain"))
    moves.begin("Team", "other")
    run(moves)
    assert compact(repoman) == 6
    assert second.open_body(second.get_asset("shared")) == b"p0"
    check_all(content)
    assert kept(database_proxy.connection()) == counted(database_proxy.connection())


def test_a_request_that_began_before_may_store_in_the_old_store(repoman, moves, content, filled):
    former = content()  # as a request has it that takes long
    blob = store_bytes(repoman.blob_stores.get("default"), b"of a slow client")
    moves.begin("Team", "other")
    run(moves)
    former.save_asset(NewAsset("slow", "file", blob, "text/plain"))
    assert stores_of()["slow"] == "default"
    assert content().open_body(content().get_asset("slow")) == b"of a slow client"
    assert moves.is_needed()
    assert run(moves) == "Moved Team to other."
    assert stores_of()["slow"] == "other"


def test_bytes_that_were_uploaded_before_are_found_by_the_next_step(repoman, moves, save, content):
    moves.begin("Team", "other")
    run(moves)
    save("late", b"uploaded to the old store", "default")
    assert stores_of()["late"] == "default"
    assert content().open_body(content().get_asset("late")) == b"uploaded to the old store"
    run(moves)
    assert stores_of()["late"] == "other"


def test_a_session_goes_on_where_it_began(repoman, moves, content):
    sessions = repoman.repositories._builder._uploads[repoman.repositories.get("Team").config.id]
    upload = sessions.create("app", "ann")
    with sessions.open_sink(upload) as sink:
        sink.write(b"half, ")
    moves.begin("Team", "other")
    repoman.repositories.get("Team")
    new = sessions.create("app", "ann")
    assert (upload.store, new.store) == ("default", "other")
    sessions._live.clear()  # as a restart does
    with sessions.open_sink(sessions.get(upload.id, "app", "ann"), 6) as sink:
        sink.write(b"and the rest")
        blob = sink.commit()
        with repoman.database.transaction():
            content().save_asset(NewAsset("whole", "file", blob, "text/plain"))
            sessions.forget(upload)
    assert content().open_body(content().get_asset("whole")) == b"half, and the rest"
    assert stores_of()["whole"] == "default"
    run(moves)
    assert stores_of()["whole"] == "other"


class Stopping(Unwatched):
    """Ends the work after some batches."""

    def __init__(self, after):
        self.left = after

    def progress(self, done, total=None, message=""):
        self.left -= 1
        if not self.left:
            raise TaskStopped


def test_a_move_that_was_interrupted_goes_on(moves, content, filled):
    moves.begin("Team", "other")
    with pytest.raises(TaskStopped):
        run(moves, Stopping(2))
    assert (moves.find("Team").done, moves.find("Team").blobs) == (4, 4)
    assert sorted(stores_of().values()).count("other") == 4
    check_all(content)
    run(moves)
    assert moves.find("Team").blobs == 7
    assert set(stores_of().values()) == {"other"}


def test_a_move_is_paused_and_goes_on(moves, content, filled):
    moves.begin("Team", "other")

    class Pausing(Unwatched):
        def progress(self, done, total=None, message=""):
            if done == 2:
                moves.pause("Team")

    assert run(moves, Pausing()) == ""
    assert moves.find("Team").is_paused
    assert not moves.is_needed()
    assert sorted(stores_of().values()).count("other") == 2
    check_all(content)
    moves.pause("Team", is_paused=False)
    assert run(moves) == "Moved Team to other."
    with pytest.raises(Conflict, match="does not move"):
        moves.pause("Team")


def test_a_move_back_takes_back_what_was_moved(repoman, moves, content, filled):
    moves.begin("Team", "other")
    with pytest.raises(TaskStopped):
        run(moves, Stopping(2))
    moves.begin("Team", "default")
    run(moves)
    assert set(stores_of().values()) == {"default"}
    check_all(content)
    compact(repoman)
    check_all(content)
    assert kept(database_proxy.connection())["stores"] == {"default": (7, 14, 0)}


def test_a_full_disk_puts_the_move_off(repoman, moves, clock, content, save):
    save("large", b"x" * 1_000_000)
    moves.begin("Team", "other")
    with room_for(500_000), pytest.raises(StorageFull):
        run(moves)
    assert "disk" in moves.find("Team").problem
    assert not moves.is_needed()
    with content().open_body(content().get_asset("large")) as file:
        assert len(file.read()) == 1_000_000
    assert repoman.blob_stores.get("other").temporary_bytes() == 0
    clock.jump(moves_module.RETRY_S + 10)
    assert moves.is_needed()
    assert run(moves) == "Moved Team to other."


def test_a_hard_quota_of_the_new_store_puts_the_move_off(repoman, moves, clock, content, filled):
    repoman.stores.limit("other", 5)
    moves.begin("Team", "other")
    with pytest.raises(QuotaExceeded, match="blob store other has used"):
        run(moves)
    assert list(stores_of().values()).count("other") == 2
    check_all(content)
    repoman.stores.limit("other", None)
    moves.pause("Team", is_paused=False)
    assert run(moves) == "Moved Team to other."


def test_what_was_copied_before_a_refusal_is_known(repoman, moves, clock, content, filled):
    repoman.stores.limit("other", 3)
    moves.begin("Team", "other")
    with pytest.raises(QuotaExceeded, match="and what is moved next needs 4 bytes"):
        run(moves)
    assert list(stores_of().values()).count("other") == 1
    assert repoman.blob_stores.get("other").stat(filled["p0"].digest)
    assert not repoman.blob_stores.get("other").stat(filled["p1"].digest)
    assert (moves.find("Team").blobs, moves.find("Team").size) == (1, 2)
    assert kept(database_proxy.connection()) == counted(database_proxy.connection())
    check_all(content)


def test_a_move_that_is_resumed_forgets_why_it_was_put_off(repoman, moves, clock, filled):
    repoman.stores.limit("other", 3)
    moves.begin("Team", "other")
    with pytest.raises(QuotaExceeded):
        run(moves)
    moves.pause("Team")
    assert "quota" in moves.find("Team").problem
    repoman.stores.limit("other", None)
    moves.pause("Team", is_paused=False)
    assert moves.is_needed()
    assert moves.find("Team").problem == ""
    assert run(moves) == "Moved Team to other."


def test_what_is_damaged_or_missing_stays_and_the_rest_moves(repoman, moves, clock, save, filled):
    root = repoman.data / "blobs/default/sha256"
    for path, data in (("p1", None), ("p2", b"XX")):
        digest = filled[path].digest
        file = root / digest[:2] / digest
        file.unlink()
        if data:
            file.write_bytes(data)
    moves.begin("Team", "other")
    with pytest.raises(Unavailable, match="2 blobs could not be moved"):
        run(moves)
    assert {path for path, store in stores_of().items() if store == "default"} == {"p1", "p2"}
    assert not moves.is_needed()
    save("p1", b"p1")
    save("p2", b"p2")
    moves.pause("Team", is_paused=False)
    assert run(moves) == "Moved Team to other."
    assert set(stores_of().values()) == {"other"}


@pytest.fixture
def unreadable(monkeypatch):
    """Have blobs of a store not be opened, or not be read, as long as the test says."""
    found, real = {}, FileBlobStore.open

    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open_(self, digest):
        way = found.get(digest)
        if way == "open":
            with storage_errors():
                refuse()
        file = real(self, digest)
        return closing(SimpleNamespace(read=refuse, close=file.close)) if way else file

    monkeypatch.setattr(FileBlobStore, "open", open_)
    return found


def test_what_cannot_be_opened_or_read_stays_and_the_rest_moves(
    repoman, moves, content, filled, unreadable
):
    unreadable |= {filled["p1"].digest: "open", filled["p4"].digest: "read"}
    moves.begin("Team", "other")
    told = []
    with pytest.raises(Unavailable, match=r"2 blobs could not be moved: .* cannot be read in"):
        moves.run(Unwatched(), told.append, FAST)
    assert [line.rpartition("(")[2] for line in told] == ["at p1)", "at p4)"]
    assert {path for path, store in stores_of().items() if store == "default"} == {"p1", "p4"}
    compact(repoman)
    unreadable.clear()
    check_all(content)
    moves.pause("Team", is_paused=False)
    assert run(moves) == "Moved Team to other."
    check_all(content)


def test_an_old_store_that_is_away_ends_the_run(repoman, moves, content, filled):
    moves.begin("Team", "other")
    store = repoman.data / "blobs/default"
    store.rename(repoman.data / "away")
    told = []
    with pytest.raises(Unavailable, match="Is its disk mounted"):
        moves.run(Unwatched(), told.append, FAST)
    assert told == [], "not every blob for itself"
    assert set(stores_of().values()) == {"default"}
    (repoman.data / "away").rename(store)
    moves.pause("Team", is_paused=False)
    assert run(moves) == "Moved Team to other."
    check_all(content)


def test_what_the_new_store_has_already_is_used_only_if_it_is_right(
    repoman, moves, content, filled
):
    other, digest = repoman.blob_stores.get("other"), filled["p1"].digest
    for path in ("p1", "p2"):
        store_bytes(other, path.encode())
    (repoman.data / f"blobs/other/sha256/{digest[:2]}/{digest}").write_bytes(b"XX")
    with repoman.database.transaction():
        save_damage("other", digest, "is damaged", 1.0)
    moves.begin("Team", "other")
    assert run(moves) == "Moved Team to other."
    assert set(stores_of().values()) == {"other"}
    check_all(content)
    assert moves.find("Team").blobs == len(PATHS) - 1
    assert list_marked("other", [digest]) == set()


def test_what_is_damaged_in_both_stores_stays(repoman, moves, filled):
    digest = filled["p1"].digest
    store_bytes(repoman.blob_stores.get("other"), b"p1")
    for name in ("default", "other"):
        (repoman.data / f"blobs/{name}/sha256/{digest[:2]}/{digest}").write_bytes(b"XX")
    moves.begin("Team", "other")
    with pytest.raises(Unavailable, match="1 blob could not be moved"):
        run(moves)
    assert [path for path, store in stores_of().items() if store == "default"] == ["p1"]


def test_a_store_that_is_being_left_cannot_be_deleted(repoman, moves, filled):
    repoman.stores.create("third", "third")
    moves.begin("Team", "third")
    run(moves)
    moves.begin("Team", "other")
    with pytest.raises(Invalid, match="cannot be deleted while Team may have blobs in it"):
        repoman.stores.delete("third")
    run(moves)
    repoman.stores.delete("third")


def test_nothing_is_stored_in_a_store_that_was_deleted(repoman, moves, content, save):
    save("one", b"one")
    repoman.stores.create("third", "third")
    moves.begin("Team", "third")
    former = content()
    blob = store_bytes(repoman.blob_stores.get("third"), b"of a slow client")
    moves.begin("Team", "other")
    run(moves)
    with repoman.database.transaction():  # deleted, but not removed yet
        update_store(StoreRow("third"), 1.0)
    for store in (former, content()):
        with pytest.raises(Unavailable, match="was deleted while it was being stored"):
            store.save_asset(NewAsset("slow", "file", blob, "text/plain"))
    assert stores_of() == {"one": "other"}


def test_what_cannot_be_done_is_refused(repoman, moves):
    with pytest.raises(Conflict, match="is default already"):
        moves.begin("Team", "default")
    with pytest.raises(Invalid, match="no blob store 'none'"):
        moves.begin("Team", "none")
    with pytest.raises(NotFound):
        moves.begin("nobody", "other")
    assert moves.find("Team") is None
    with pytest.raises(Invalid, match="repoman repo move Team other"):
        repoman.repositories.update("Team", {"storage": {"blob_store": "other"}})


def test_the_task_moves(repoman, moves, filled):
    moves.begin("Team", "other")
    [task] = [each for each in repoman.tasks.all() if each.type == "repository.move"]
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
    assert repoman.tasks.get_run(run.id).result == "Moved Team to other."


def test_a_move_does_not_wait_for_the_schedule_of_the_task(repoman, moves, filled):
    [task] = [each for each in repoman.tasks.all() if each.type == "repository.move"]

    def waiting():
        return [run for run in repoman.tasks.runs(task) if run.state == "queued"]

    assert waiting() == []
    moves.begin("Team", "other")
    [run] = waiting()
    moves.pause("Team")
    assert repoman.make_runner().execute(run) == "ok"
    assert waiting() == []
    moves.pause("Team", is_paused=False)
    [run] = waiting()
    assert repoman.make_runner().execute(run) == "ok"
    assert moves.find("Team").ended_at


@pytest.mark.slow
def test_kill_9_at_every_line_loses_nothing(tmp_path):
    command = [sys.executable, "-m", KILLER, str(tmp_path / "killed")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
