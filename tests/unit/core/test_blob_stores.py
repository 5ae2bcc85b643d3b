"""Blob stores that are created, deleted and taken back into use, and their soft quotas."""

import logging
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest

from repoman.blobs.directories import prepare_directory
from repoman.blobs.file import FileBlobStore
from repoman.compaction import Compactor, Unwatched
from repoman.damage_records import Verification, find_verification, save_verification
from repoman.errors import Conflict, Invalid, NotFound
from repoman.repositories.purge import Purge
from repoman.stores.model import Quota, QuotaKind
from repoman.stores.quotas import INTERVAL_S, REMINDER_S, QuotaWatch
from repoman.testing import HttpClient
from repoman_raw import plugin as raw

FUTURE = 1e10  # seconds since the epoch: every time of grace is over
ROOT = Path(__file__).parents[3]
KILLER = "tests.unit.core.blob_store_killer"


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw})


@pytest.fixture
def stores(repoman):
    return repoman.stores


def names(repoman):
    return [each.name for each in repoman.stores.all()]


def put(repoman, repository, path, data):
    assert HttpClient(repoman).put(f"/repository/{repository}/{path}", data).status_code == 201


def compact(repoman):
    """Remove what deleted repositories have left, at a time when all grace is over."""
    Purge(repoman.database, repoman.blob_stores).run(Unwatched())
    Compactor(repoman.database, repoman.blob_stores, lambda: FUTURE).compact()
    return repoman.stores.finish_deletions()


def test_a_new_store_is_used_at_once_and_after_a_restart(repoman, repoman_factory):
    quota = Quota(QuotaKind.USED, 1000)
    repoman.stores.create("fast", "disks/fast", quota)
    repoman.repositories.create("files", "raw-hosted", {"storage": {"blob_store": "fast"}})
    put(repoman, "files", "a", b"some bytes")
    place = repoman.data / "blobs" / "disks" / "fast"
    assert len(list(place.glob("sha256/*/*"))) == 1
    repoman = repoman_factory({"raw": raw})
    assert HttpClient(repoman).get("/repository/files/a").data == b"some bytes"
    state = repoman.stores.state("fast")
    assert (state.info.path, state.info.quota) == ("disks/fast", quota)
    assert (state.usage.blobs, state.usage.size) == (1, 10)
    assert state.free > 0
    assert repoman.health.problems() == {}


def test_names_and_directories_are_used_once(stores):
    stores.create("one", "one")
    for name, path, field in (
        ("one", "other", "name"),
        ("ONE", "other", "name"),
        ("default", "other", "name"),
        ("bad name", "other", "name"),
        ("", "other", "name"),
        ("two", "one", "path"),
        ("two", "one/two", "path"),
        ("two", "default", "path"),
        ("two", "../two", "path"),
    ):
        with pytest.raises((Conflict, Invalid)) as caught:
            stores.create(name, path)
        assert caught.value.field == field, (name, path)
    assert [each.name for each in stores.all()] == ["default", "one"]


def test_a_directory_with_blobs_of_somebody_else_is_refused(repoman):
    strange = FileBlobStore(repoman.data / "blobs" / "strange")
    strange.create("1d" * 16)
    writer = strange.open_writer("w")
    writer.write(b"x")
    writer.commit()
    with pytest.raises(Invalid, match="contains blobs of another blob store"):
        repoman.stores.create("mine", "strange")
    assert strange.identity() == "1d" * 16
    with FileBlobStore(repoman.data / "blobs" / "strange").lock_exclusively():
        with pytest.raises(Invalid) as caught:
            repoman.stores.create("mine", "strange")
        assert caught.value.field == "path"


def test_of_two_creations_at_once_one_fails(repoman):
    barrier, failures = Barrier(2), []

    def create(name, path):
        barrier.wait()
        try:
            repoman.stores.create(name, path)
        except (Conflict, Invalid) as error:
            failures.append(error)
        finally:
            repoman.database.close()

    for first, second in ((("a", "p"), ("a", "q")), (("b", "r"), ("c", "r"))):
        threads = [Thread(target=create, args=each) for each in (first, second)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(failures) == 2
    assert len(names(repoman)) == 3
    for name in names(repoman):
        info = repoman.stores.get(name)
        assert repoman.stores.state(name).problem == "", info
        assert repoman.blob_stores.get(name).identity()
    # Nothing is left of the one that failed, unless it is the directory of the other.
    made = {each.name for each in (repoman.data / "blobs").iterdir()} - {"default"}
    assert made == {repoman.stores.get(name).path for name in names(repoman)} - {"default"}


@pytest.mark.parametrize(
    ("other", "left"), [(("a", "q"), {"q"}), (("b", "p"), {"p"})], ids=["name", "path"]
)
def test_a_creation_that_another_one_overtakes_leaves_nothing(repoman, monkeypatch, other, left):
    def prepare(directory):
        monkeypatch.undo()
        is_new = prepare_directory(directory)
        repoman.stores.create(*other)
        return is_new

    monkeypatch.setattr("repoman.stores.service.prepare_directory", prepare)
    with pytest.raises((Conflict, Invalid)):
        repoman.stores.create("a", "p")
    made = {each.name for each in (repoman.data / "blobs").iterdir()} - {"default"}
    assert made == left
    assert set(names(repoman)) == {"default", other[0]}
    assert repoman.stores.state(other[0]).problem == ""
    assert repoman.blob_stores.get(other[0]).identity()


def test_the_process_that_serves_holds_what_is_created(repoman):
    with repoman.blob_stores.locked_exclusively():
        repoman.stores.create("new", "new")
        other = FileBlobStore(repoman.data / "blobs" / "new")
        with pytest.raises(Conflict), other.lock_exclusively():
            pass
        repoman.stores.delete("new")
    assert not (repoman.data / "blobs" / "new").exists()


def test_a_path_does_not_change_and_a_quota_does(repoman):
    repoman.stores.create("new", "new")
    with pytest.raises(Invalid) as caught:
        repoman.stores.change("new", "elsewhere", None)
    assert caught.value.field == "path"
    quota = Quota(QuotaKind.REMAINING, 5)
    for name in ("new", "default"):
        repoman.stores.change(name, name, quota)
        assert repoman.stores.get(name).quota == quota
        repoman.stores.change(name, None, None)
        assert repoman.stores.get(name).quota is None
    with pytest.raises(NotFound):
        repoman.stores.change("gone", None, None)


def test_a_used_store_and_one_of_the_settings_file_stay(repoman):
    repoman.stores.create("new", "new")
    repoman.repositories.create("files", "raw-hosted", {"storage": {"blob_store": "new"}})
    with pytest.raises(Invalid, match="'new' is used by files"):
        repoman.stores.delete("new")
    with pytest.raises(Invalid, match="'default' is in the settings file"):
        repoman.stores.delete("default")
    with pytest.raises(NotFound):
        repoman.stores.delete("gone")


def test_a_store_that_is_empty_goes_at_once(repoman):
    repoman.stores.create("new", "new")
    (repoman.data / "blobs" / "new" / "uploads" / "left").touch()
    repoman.stores.delete("new")
    assert names(repoman) == ["default"]
    assert not (repoman.data / "blobs" / "new").exists()
    assert repoman.blob_stores.names() == ["default"]
    with pytest.raises(Invalid):
        repoman.repositories.create("files", "raw-hosted", {"storage": {"blob_store": "new"}})


def test_a_new_store_of_an_old_name_is_verified_from_its_beginning(repoman):
    repoman.stores.create("new", "new")
    with repoman.database.transaction():
        save_verification("new", Verification(1.0, after="f" * 64, blobs=7))
    repoman.stores.delete("new")
    repoman.stores.create("new", "new")
    assert find_verification("new") is None


def test_files_of_others_survive_the_deletion(repoman):
    repoman.stores.create("new", "new")
    mine = repoman.data / "blobs" / "new" / "readme"
    mine.write_text("mine")
    repoman.stores.delete("new")
    assert list(mine.parent.iterdir()) == [mine]


def test_what_a_deleted_repository_left_goes_first(repoman, repoman_factory):
    repoman.stores.create("new", "new")
    repoman.repositories.create("files", "raw-hosted", {"storage": {"blob_store": "new"}})
    put(repoman, "files", "a", b"some bytes")
    repoman.repositories.delete("files")
    repoman.stores.delete("new")
    assert names(repoman) == ["default"]
    place = repoman.data / "blobs" / "new"
    assert len(list(place.glob("sha256/*/*"))) == 1
    with pytest.raises(Invalid, match="still being removed"):
        repoman.stores.create("new", "other")
    with pytest.raises(Invalid, match="overlaps"):
        repoman.stores.create("other", "new")
    assert not repoman.stores.has_finished_deletions()
    repoman = repoman_factory({"raw": raw})
    assert compact(repoman) == 1
    assert not place.exists()
    assert repoman.blob_stores.names() == ["default"]
    assert "new" not in repoman.catalog.store_usages()
    repoman.stores.create("new", "other")


def test_a_deleted_store_is_taken_back_by_its_path(repoman):
    repoman.stores.create("new", "new")
    repoman.repositories.create("files", "raw-hosted", {"storage": {"blob_store": "new"}})
    put(repoman, "files", "a", b"some bytes")
    repoman.repositories.delete("files")
    repoman.stores.delete("new")
    quota = Quota(QuotaKind.USED, 7)
    repoman.stores.create("new", "new", quota)
    assert repoman.stores.get("new").quota == quota
    repoman.repositories.create("files", "raw-hosted", {"storage": {"blob_store": "new"}})
    put(repoman, "files", "b", b"other bytes")
    assert compact(repoman) == 0
    assert HttpClient(repoman).get("/repository/files/b").data == b"other bytes"
    assert repoman.stores.state("new").usage.blobs == 1


def test_a_deleted_store_whose_disk_is_gone_does_not_prevent_the_start(repoman, repoman_factory):
    repoman.stores.create("new", "new")
    repoman.repositories.create("files", "raw-hosted", {"storage": {"blob_store": "new"}})
    put(repoman, "files", "a", b"some bytes")
    repoman.repositories.delete("files")
    repoman.stores.delete("new")
    (repoman.data / "blobs" / "new").rename(repoman.data / "blobs" / "unmounted")
    repoman = repoman_factory({"raw": raw})
    assert compact(repoman) == 0
    assert not repoman.stores.has_finished_deletions()
    assert repoman.blob_stores.names() == ["default"]


def test_a_store_whose_disk_is_gone_refuses_the_start(repoman, repoman_factory):
    repoman.stores.create("new", "new")
    (repoman.data / "blobs" / "new").rename(repoman.data / "blobs" / "unmounted")
    assert "new" in repoman.stores.state("new").problem
    assert "created blob stores" in repoman.health.problems()
    with pytest.raises(Conflict, match=r"blob store new .* is missing"):
        repoman_factory({"raw": raw})


def test_the_settings_file_has_precedence(repoman, repoman_factory):
    repoman.stores.create("new", "new")
    (repoman.data / "blobs" / "new").rename(repoman.data / "moved")
    stores = {
        name: {"type": "file", "path": path}
        for name, path in (("default", "blobs/default"), ("new", "moved"))
    }
    repoman = repoman_factory({"raw": raw}, blob_stores=stores)
    info = repoman.stores.get("new")
    assert (info.is_configured, info.path) == (True, str(repoman.data / "moved"))
    assert repoman.stores.get("default").path == "default"


# --- Quotas --------------------------------------------------------------------------------------


def test_a_quota_is_exceeded_beyond_its_limit(repoman):
    repoman.repositories.create("files", "raw-hosted", {})
    put(repoman, "files", "a", b"ten bytes!")
    free = repoman.stores.state("default").free
    for kind, limit, is_exceeded in (
        (QuotaKind.USED, 10, False),
        (QuotaKind.USED, 9, True),
        (QuotaKind.REMAINING, 1, False),
        (QuotaKind.REMAINING, free * 2, True),
    ):
        repoman.stores.change("default", None, Quota(kind, limit))
        assert bool(repoman.stores.state("default").violation) is is_exceeded, (kind, limit)
    put(repoman, "files", "b", b"nothing is refused")


def test_an_exceeded_quota_is_logged_now_and_then(repoman, caplog):
    now, changes = 0.0, []
    watch = QuotaWatch(repoman.stores, repoman.quotas, lambda: changes.append(now), lambda: now)
    caplog.set_level(logging.WARNING)

    def warnings_after(seconds):
        nonlocal now
        now += seconds
        caplog.clear()
        watch.look()
        return len(caplog.records)

    assert warnings_after(0) == 0
    repoman.stores.change("default", None, Quota(QuotaKind.REMAINING, 2**60))
    assert warnings_after(1) == 0
    assert warnings_after(INTERVAL_S) == 1
    assert "The soft quota of the blob store default is exceeded" in caplog.text
    assert warnings_after(INTERVAL_S) == 0
    assert warnings_after(REMINDER_S) == 1
    repoman.stores.change("default", None, None)
    assert warnings_after(INTERVAL_S) == 0
    repoman.stores.change("default", None, Quota(QuotaKind.REMAINING, 2**60))
    assert warnings_after(INTERVAL_S) == 1
    assert len(changes) == 3


def test_the_quotas_of_repositories_are_watched_too(repoman, caplog):
    quota = {"soft_limit": 5, "limit": 20}
    repoman.repositories.create("files", "raw-hosted", {"quota": quota})
    repoman.repositories.create("free", "raw-hosted", {})
    now = 0.0
    watch = QuotaWatch(repoman.stores, repoman.quotas, ticks=lambda: now)
    watch.look()
    assert caplog.text == ""
    put(repoman, "files", "a", b"ten bytes!")
    now += INTERVAL_S
    watch.look()
    assert "The soft quota of the repository files is exceeded: 10 bytes are used" in caplog.text
    put(repoman, "files", "b", b"ten others")
    now += INTERVAL_S
    watch.look()
    assert "The repository files has used 20 bytes of its quota of 20 bytes." in caplog.text
    [state] = repoman.quotas.states()
    assert (state.repository, state.used, state.limit) == ("files", 20, 20)


def test_a_store_has_a_hard_quota(repoman):
    repoman.stores.create("fast", "fast", hard_quota=7)
    assert repoman.stores.get("fast").hard_quota == 7
    assert repoman.blob_stores.find_quota("fast") == 7
    repoman.stores.limit("fast", 0)
    repoman.stores.change("fast", None, Quota(QuotaKind.USED, 5))
    info = repoman.stores.get("fast")
    assert (info.hard_quota, info.quota) == (0, Quota(QuotaKind.USED, 5))
    assert "Nothing more is stored" in repoman.stores.state("fast").refusal
    repoman.stores.limit("fast", None)
    assert (repoman.blob_stores.find_quota("fast"), repoman.stores.state("fast").refusal) == (
        None,
        "",
    )


# --- Kills ---------------------------------------------------------------------------------------


def test_a_kill_leaves_a_store_or_none(tmp_path):
    command = [sys.executable, "-m", KILLER, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
