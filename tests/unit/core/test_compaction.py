"""Compaction: what nothing names goes from the disk, and nothing else, whenever it is killed."""

import subprocess
import sys
import time
from contextlib import nullcontext
from threading import Thread
from unittest.mock import Mock

import pytest

from repoman import content_blobs
from repoman.blob_records import save_identity
from repoman.blobs.manager import BlobStoreManager, make_file_store
from repoman.blobs.store import StoredBlob
from repoman.blobs.upload import BlobUpload, store_bytes
from repoman.clocks import ConfirmedClock
from repoman.compaction import GRACE_S, PREFIXES, SWEPT_PREFIXES, Compactor, Unwatched
from repoman.config import BlobStoreSettings
from repoman.content import ContentStore, NewAsset
from repoman.content_records import has_condemned
from repoman.db.models import BlobRecord
from repoman.errors import RepomanError, Unavailable
from repoman.events.event import Coordinate
from repoman.repositories.repository_records import delete_row
from repoman.testing import Clock
from tests.architecture import ROOT
from tests.clock import LONG_S, wait_until
from tests.disk import IDENTITY, make_created_store, room_for

KILLER = "tests.unit.core.compaction_killer"
LATER = GRACE_S + 10


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stores(tmp_path):
    settings = {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs"})}
    return BlobStoreManager(settings, {"file": make_file_store}, tmp_path)


@pytest.fixture
def compactor(database, stores, clock):
    return Compactor(database, stores, clock)


@pytest.fixture
def save(blobs, content):
    """Store bytes at a path."""

    def save(path, data, store=content, component=None):
        blob = store_bytes(blobs, data)
        store.save_asset(NewAsset(path, "file", blob, "text/plain", component=component))
        return blob

    return save


@pytest.fixture
def on_disk(tmp_path):
    """How many files there are below the blob store, uploads too."""
    return lambda: sum(each.is_file() for each in (tmp_path / "blobs").glob("*/**/*"))


def sweep_all(compactor):
    return sum(compactor.sweep(f"{number:02x}") for number in range(PREFIXES))


# --- What goes -----------------------------------------------------------------------------------


def test_a_deleted_blob_goes_after_a_while(save, content, compactor, clock, on_disk):
    save("a", b"one")
    save("b", b"two")
    content.delete_assets(["a"])
    assert (compactor.compact(), on_disk()) == (0, 2)
    clock.jump(LATER)
    assert (compactor.compact(), on_disk()) == (1, 1)
    assert BlobRecord.select().count() == 1
    assert content.open_body(content.get_asset("b")) == b"two"


def test_a_replaced_blob_goes(save, content, compactor, clock, on_disk):
    save("a", b"one")
    save("a", b"two")
    clock.jump(LATER)
    assert (compactor.compact(), on_disk()) == (1, 1)
    assert content.open_body(content.get_asset("a")) == b"two"


def test_what_was_saved_again_as_it_was_stays(save, content, compactor, clock):
    save("a", b"one")
    save("a", b"one")
    clock.jump(LATER)
    assert compactor.compact() == 0


def test_blobs_of_deleted_components_and_repositories_go(
    database, blobs, make_repository, save, content, compactor, clock, on_disk
):
    coordinate = Coordinate("image", "app", "1")
    save("a", b"one", component=coordinate)
    repository = make_repository("other")
    save("b", b"two", ContentStore(database, repository, "default", blobs))
    content.delete_component(coordinate)
    with database.transaction():
        delete_row(repository)
    clock.jump(LATER)
    assert (compactor.compact(), on_disk()) == (2, 0)


def test_what_another_repository_names_stays(save, content, make_content, compactor, clock):
    other = make_content("other")
    save("a", b"one")
    save("a", b"one", other)
    content.delete_assets(["a"])
    clock.jump(LATER)
    assert compactor.compact() == 0
    assert other.open_body(other.get_asset("a")) == b"one"


def test_what_is_named_again_meanwhile_stays(save, content, compactor, clock):
    blob = save("a", b"one")
    content.delete_assets(["a"])
    content.save_asset(NewAsset("b", "file", blob, "text/plain"))
    clock.jump(LATER)
    assert (compactor.compact(), sweep_all(compactor)) == (0, 0)
    assert content.open_body(content.get_asset("b")) == b"one"


def test_many_go_in_batches(save, content, compactor, clock, on_disk):
    paths = [str(number) for number in range(120)]
    for path in paths:
        save(path, path.encode())
    content.delete_assets(paths)
    clock.jump(LATER)
    assert (compactor.compact(), on_disk()) == (120, 0)


def test_what_is_being_read_is_read_to_its_end(save, content, compactor, clock):
    save("a", b"x" * 100_000)
    with content.open_body(content.get_asset("a")) as file:
        content.delete_assets(["a"])
        clock.jump(LATER)
        assert compactor.compact() == 1
        assert file.read() == b"x" * 100_000


# --- What somebody is about to name --------------------------------------------------------------


def test_what_was_committed_again_just_now_stays(save, content, blobs, compactor, clock):
    save("a", b"one")
    content.delete_assets(["a"])
    BlobRecord.update(released_at=0).execute()
    with BlobUpload(blobs) as upload:
        upload.write(b"one")
        blob = upload.commit()
        assert (compactor.compact(), sweep_all(compactor)) == (0, 0)
        content.save_asset(NewAsset("b", "file", blob, "text/plain"))
    clock.jump(LATER)
    assert compactor.compact() == 0
    assert content.open_body(content.get_asset("b")) == b"one"


def test_whoever_names_a_blob_too_late_is_told_to_try_again(save, content, blobs, compactor, clock):
    blob = save("a", b"one")
    orphan = store_bytes(blobs, b"two")
    content.delete_assets(["a"])
    clock.jump(LATER)
    assert (compactor.compact(), sweep_all(compactor)) == (1, 1)
    for each in (blob, orphan, StoredBlob("0" * 64, 1)):
        with pytest.raises(Unavailable, match="was deleted while it was being stored"):
            content.save_asset(NewAsset("b", "file", each, "text/plain"))
    assert content.find_asset("b") is None
    save("b", b"one")
    with content.open_asset(content.get_asset("b")) as file:
        assert file.read() == b"one"


# --- What a crash leaves -------------------------------------------------------------------------


def test_blobs_without_a_row_go(save, blobs, compactor, clock, on_disk):
    save("a", b"named")
    for number in range(100):
        store_bytes(blobs, bytes([number]))
    assert (sweep_all(compactor), on_disk()) == (0, 101)
    clock.jump(LATER)
    assert (sweep_all(compactor), on_disk()) == (100, 1)


def test_a_full_disk_leaves_everything_as_it_was(
    save, content, compactor, clock, on_disk, tmp_path
):
    save("a", b"one")
    content.delete_assets(["a"])
    clock.jump(LATER)
    with room_for((tmp_path / "repoman.db-wal").stat().st_size), pytest.raises(RepomanError):
        compactor.compact()
    assert on_disk() == BlobRecord.select().count() == 1
    assert (compactor.compact(), on_disk()) == (1, 0)
    assert BlobRecord.select().count() == 0


@pytest.mark.slow
def test_kill_9_at_every_line_loses_nothing(tmp_path):
    command = [sys.executable, "-m", KILLER, str(tmp_path / "killed")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


# --- Steps ---------------------------------------------------------------------------------------


@pytest.fixture
def condemned(database, save, content, stores, compactor, clock, monkeypatch):
    """A blob whose compaction was interrupted after its first step, and its store."""
    blob = save("a", b"one")
    content.delete_assets(["a"])
    clock.jump(LATER)
    store = stores.get("default")
    detach = store.detach

    def fail(*_):
        assert not database.in_transaction()
        raise Unavailable("The disk is away.")

    monkeypatch.setattr(store, "detach", fail)
    with pytest.raises(Unavailable):
        compactor.compact()
    monkeypatch.setattr(store, "detach", detach)
    return blob


def test_nothing_is_stored_that_names_a_condemned_blob(
    condemned, content, compactor, on_disk, monkeypatch
):
    monkeypatch.setattr(content_blobs, "REMOVAL_MAX_S", 0.0)
    new = NewAsset("b", "file", condemned, "text/plain")
    with pytest.raises(Unavailable, match="was deleted while it was being stored"):
        content.save_asset(new)
    assert compactor.is_needed()
    assert (compactor.finish(), on_disk(), BlobRecord.select().count()) == (1, 0, 0)
    assert not compactor.is_needed()


@pytest.fixture
def looks(monkeypatch):
    """What those were told who asked whether a blob is being removed."""
    found = []

    def look(*given):
        found.append(has_condemned(*given))
        return found[-1]

    monkeypatch.setattr(content_blobs, "has_condemned", look)
    return found


@pytest.mark.parametrize("is_joined", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_stores_again_what_is_being_removed_waits_for_the_end(
    when, is_joined, save, content, stores, compactor, clock, monkeypatch, looks
):
    compactor.finish()
    store, names = stores.get("default"), []
    detach = store.detach

    def store_again():
        blob = store_bytes(store, b"one")
        with content.transaction(blob) if is_joined else nullcontext():
            content.save_asset(NewAsset("b", "file", blob, "text/plain"))
        names.append("b")

    pusher = Thread(target=store_again)

    def detach_beside_a_push(digest, writer_id, committed_before):
        assert stores.may_be_removing
        if when == "before":  # The new bytes are there, but the old ones were just looked at.
            pusher.start()
            wait_until(lambda: any(looks))
            return detach(digest, writer_id, 0.0)
        is_gone = detach(digest, writer_id, committed_before)
        pusher.start()
        wait_until(lambda: any(looks))
        return is_gone

    save("a", b"one")
    content.delete_assets(["a"])
    clock.jump(LATER)
    monkeypatch.setattr(store, "detach", detach_beside_a_push)
    assert not stores.may_be_removing
    assert compactor.compact() == (when == "after")
    pusher.join()
    assert names == ["b"]
    assert content.open_body(content.get_asset("b")) == b"one"
    assert (compactor.compact(), sweep_all(compactor)) == (0, 0)


def test_nobody_asks_whether_blobs_are_removed_while_none_is(
    database, blobs, make_repository, stores, compactor, save, looks
):
    content = ContentStore(database, make_repository("other"), "default", blobs, stores=stores)
    save("a", b"one", content)  # Another process may have been killed.
    compactor.finish()
    save("b", b"two", content)
    assert looks == [False]


def test_a_condemned_blob_that_is_committed_again_stays(
    condemned, content, blobs, compactor, clock, on_disk
):
    clock.jump(-LATER)
    blob = store_bytes(blobs, b"one")
    assert (compactor.finish(), on_disk()) == (0, 1)
    content.save_asset(NewAsset("b", "file", blob, "text/plain"))
    clock.jump(LATER)
    assert compactor.compact() == 0
    assert content.open_body(content.get_asset("b")) == b"one"


def test_no_disk_is_used_in_a_transaction(
    database, save, content, stores, compactor, clock, monkeypatch
):
    store, places = stores.get("default"), []
    for name in ("detach", "open_writer"):
        method = getattr(store, name)
        monkeypatch.setattr(
            store,
            name,
            lambda *args, method=method: places.append(database.in_transaction()) or method(*args),
        )
    save("a", b"one")
    content.delete_assets(["a"])
    places.clear()
    clock.jump(LATER)
    assert compactor.compact() == 1
    assert places == [False, False]


# --- Tasks ---------------------------------------------------------------------------------------


def test_a_look_says_whether_there_is_anything_to_do(save, content, compactor, clock):
    save("a", b"one")
    clock.jump(LATER)
    assert not compactor.is_needed()
    content.delete_assets(["a"])
    clock.jump(-LATER)
    assert not compactor.is_needed()
    clock.jump(LATER)
    assert compactor.is_needed()


def test_compaction_goes_on_when_the_directory_was_away(
    save, content, compactor, clock, tmp_path, on_disk
):
    save("a", b"one")
    content.delete_assets(["a"])
    clock.jump(LATER)
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        compactor.compact()
    (tmp_path / "away").rename(tmp_path / "blobs")
    assert (compactor.compact(), on_disk()) == (1, 0)


@pytest.fixture
def two_stores(database, tmp_path):
    """Two stores, of which the first one can be away."""
    settings = {
        name: BlobStoreSettings.model_validate({"type": "file", "path": path})
        for name, path in (("archive", "archive"), ("default", "blobs"))
    }
    with database.transaction():
        save_identity("archive", IDENTITY)
    return BlobStoreManager(settings, {"file": make_created_store}, tmp_path)


@pytest.fixture
def drop(database, make_repository, two_stores):
    """Store bytes in a store, and delete the asset that names them."""

    def drop(name, data):
        store = two_stores.get(name)
        content = ContentStore(database, make_repository(f"of-{name}"), name, store)
        blob = store_bytes(store, data)
        content.save_asset(NewAsset("a", "file", blob, "text/plain"))
        content.delete_assets(["a"])

    return drop


def test_a_store_that_is_away_keeps_no_other_from_compaction(
    database, two_stores, drop, clock, tmp_path, on_disk
):
    compactor = Compactor(database, two_stores, clock)
    drop("archive", b"one")
    drop("default", b"two")
    clock.jump(LATER)
    (tmp_path / "archive").rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="archive"):
        compactor.compact()
    assert on_disk() == 0
    (tmp_path / "away").rename(tmp_path / "archive")
    assert compactor.compact() == 1


def test_what_is_left_of_a_store_that_is_away_stays_condemned(
    database, two_stores, drop, clock, tmp_path, on_disk, monkeypatch
):
    compactor = Compactor(database, two_stores, clock)
    compactor.finish()
    drop("archive", b"one")
    clock.jump(LATER)
    with monkeypatch.context() as patch:
        patch.setattr(two_stores.get("archive"), "detach", Mock(side_effect=Unavailable("Away.")))
        with pytest.raises(Unavailable):
            compactor.compact()
    drop("default", b"two")
    clock.jump(LATER)
    (tmp_path / "archive").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        compactor.compact()
    assert (on_disk(), two_stores.may_be_removing) == (0, True)
    (tmp_path / "away").rename(tmp_path / "archive")
    assert (compactor.compact(), two_stores.may_be_removing) == (1, False)


def test_a_store_that_is_away_keeps_no_other_from_being_swept(
    database, two_stores, clock, tmp_path, on_disk, monkeypatch
):
    monkeypatch.setattr("repoman.compaction.SWEEP_DELAY_S", 0.0)
    compactor = Compactor(database, two_stores, clock)
    for name in two_stores.names():
        store_bytes(two_stores.get(name), b"without a row")
    clock.jump(LATER)
    (tmp_path / "archive").rename(tmp_path / "away")
    for _ in range(PREFIXES // SWEPT_PREFIXES):
        with pytest.raises(Unavailable):
            compactor.sweep_next(Unwatched())
    assert on_disk() == 0


def test_a_start_leaves_a_day_to_notice_that_the_database_is_too_old(
    database, stores, blobs, clock, on_disk, monkeypatch
):
    store_bytes(blobs, b"known to a newer database alone")
    clock.jump(LATER)
    compactor = Compactor(database, stores, clock)
    for _ in range(PREFIXES // SWEPT_PREFIXES):
        assert compactor.sweep_next(Unwatched()) == 0
    assert on_disk() == 1
    monkeypatch.setattr("repoman.compaction.SWEEP_DELAY_S", 0.0)
    counts = [compactor.sweep_next(Unwatched()) for _ in range(PREFIXES // SWEPT_PREFIXES)]
    assert (sum(counts), on_disk()) == (1, 0)


def test_the_tasks_compact_and_sweep(repoman):
    tasks = {each.type: each for each in repoman.tasks.all()}
    blobs = repoman.blob_stores.get("default")
    content = repoman.repositories.get("Team").service.content
    runner = repoman.make_runner()
    repoman.compactor._clock = lambda: time.time() + LATER
    content.save_asset(NewAsset("a", "file", store_bytes(blobs, b"one"), "text/plain"))
    content.delete_assets(["a"])
    for type_, result in (
        ("blobstore.compact", "Removed 1 unreferenced blob."),
        ("blobstore.sweep", ""),
    ):
        run = repoman.tasks.run(tasks[type_])
        assert runner.execute(run) == "ok"
        assert repoman.tasks.get_run(run.id).result == result
        assert repoman.tasks.get_run(run.id).freed_bytes == (len(b"one") if result else 0)


def test_deleted_stores_go_where_another_one_cannot_be_compacted(repoman, monkeypatch):
    monkeypatch.setattr(repoman.compactor, "compact", Mock(side_effect=Unavailable("Away.")))
    finish = Mock(return_value=1)
    monkeypatch.setattr(repoman.stores, "finish_deletions", finish)
    [task] = [each for each in repoman.tasks.all() if each.type == "blobstore.compact"]
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "failed"
    assert "Away." in repoman.tasks.get_run(run.id).result
    finish.assert_called_once()


# --- A wrong clock -------------------------------------------------------------------------------


def test_a_clock_that_jumps_frees_nothing_before_its_time(database, stores, save, content, on_disk):
    clock = Clock()
    compactor = Compactor(database, stores, ConfirmedClock(clock, slack=60, hold=600))
    save("a", b"one")
    store_bytes(stores.get("default"), b"committed, and not named yet")
    content.delete_assets(["a"])
    clock.jump(400 * 86_400)
    assert compactor.compact() + sweep_all(compactor) == 0
    assert on_disk() == 2


def test_what_was_released_by_a_clock_that_was_ahead_goes(
    save, content, compactor, clock, on_disk, database
):
    save("a", b"one")
    content.delete_assets(["a"])
    with database.transaction():
        BlobRecord.update(released_at=time.time() + 400 * 86_400).execute()
    assert compactor.compact() == 0
    clock.jump(LATER)
    assert compactor.compact() == 1
