"""Every blob is what its digest says, or is told."""

from pathlib import Path

import pytest

from repoman import verification
from repoman.blob_records import save_identity
from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.upload import store_bytes
from repoman.compaction import Compactor, Unwatched
from repoman.config import BlobStoreSettings
from repoman.content import ContentStore, NewAsset
from repoman.db.models import database_proxy
from repoman.errors import Invalid, Unavailable
from repoman.tasks.model import TaskStopped
from repoman.verification import Verified, Verifier, verify
from tests.disk import IDENTITY, make_created_store


@pytest.fixture
def stores(tmp_path) -> BlobStoreManager:
    settings = BlobStoreSettings.model_validate({"type": "file", "path": "blobs"})
    return BlobStoreManager({"default": settings}, {"file": make_created_store}, tmp_path)


@pytest.fixture
def content(database, stores, make_repository) -> ContentStore:
    """The content of a repository ``files``."""
    return ContentStore(database, make_repository("files"), "default", stores.get("default"))


@pytest.fixture
def save(content, stores, tmp_path):
    """Store bytes at a path; return their digest and the file that holds them."""

    def save(path, data):
        blob = store_bytes(stores.get("default"), data)
        content.save_asset(NewAsset(path, "file", blob, "text/plain"))
        return blob.digest, tmp_path / "blobs" / "sha256" / blob.digest[:2] / blob.digest

    return save


def damage(file):
    file.write_bytes(b"X" + file.read_bytes()[1:])


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def put_directory(file):
    file.unlink()
    file.mkdir()


def test_what_is_whole_is_read_and_no_problem(stores, save, monkeypatch):
    monkeypatch.setattr(verification, "BATCH_BLOBS", 2)
    digests = sorted(save(f"/{number}", b"%d" % number)[0] for number in range(5))
    assert list(verify(stores, "default")) == [Verified(digest) for digest in digests]


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (damage, "is damaged: its content has the digest sha256:"),
        (cut, "is damaged: its content has the digest sha256:"),
        (Path.unlink, "is missing"),
        (put_directory, "is missing"),
    ],
)
def test_what_is_not_as_it_was_is_told_with_who_needs_it(stores, save, harm, problem):
    save("/good", b"good bytes")
    digest, file = save("/bad", b"some bytes")
    save("/also", b"some bytes")
    harm(file)
    [found] = [each for each in verify(stores, "default") if each.problem]
    assert found.digest == digest
    assert found.problem.startswith(problem)
    assert set(found.places) == {("files", "/bad"), ("files", "/also")}


def test_what_nothing_names_any_more_is_no_problem(stores, save, content):
    _, file = save("/gone", b"some bytes")
    content.delete_assets(["/gone"])
    file.unlink()
    assert [each.problem for each in verify(stores, "default")] == [""]


def test_an_unknown_store_is_invalid(stores):
    with pytest.raises(Invalid, match="no blob store 'other'"):
        next(verify(stores, "other"))


# --- What is noted -------------------------------------------------------------------------------


@pytest.fixture
def paired(database, stores):
    """The store and the database belong together."""
    with database.transaction():
        save_identity("default", IDENTITY)
    return stores.get("default")


@pytest.fixture
def verifier(database, stores, paired):
    return Verifier(database, stores, lambda: 1000.0)


def run(verifier, progress=None, rate=None, **options):
    """Verify, and return the outcome and the lines that were told."""
    told = []
    outcome = verifier.run(["default"], told.append, progress or Unwatched(), rate, **options)
    return outcome, told


def test_damaged_bytes_are_put_aside_and_listed_until_they_come_again(
    database, verifier, content, save, paired
):
    save("/good", b"good bytes")
    digest, file = save("/bad", b"some bytes")
    damage(file)
    outcome, told = run(verifier)
    assert str(outcome) == "Read 2 blobs; damaged or missing: 1."
    assert told[0].startswith(f"sha256:{digest} in default is damaged: its content has")
    assert told[1:] == ["    files: /bad"]
    [found] = verifier.damages("default")
    assert (found.damage.digest, found.damage.size, found.damage.found_at) == (digest, 10, 1000.0)
    assert found.places == (("files", "/bad"),)
    assert verifier.count_damages() == {"default": 1}
    assert not file.exists()
    assert not content.has_bytes(content.get_asset("/bad"))
    assert paired.list_quarantined() == {digest}
    assert paired.temporary_bytes() == 10

    save("/bad", b"some bytes")
    assert verifier.damages("default") == []
    assert content.open_body(content.get_asset("/bad")) == b"some bytes"
    assert run(verifier)[0].bad == 0
    assert paired.list_quarantined() == set()


def test_missing_bytes_are_listed_until_a_verification_finds_them(verifier, save):
    _, file = save("/bad", b"some bytes")
    file.unlink()
    assert run(verifier)[0].bad == 1
    assert [each.damage.problem for each in verifier.damages("default")] == ["is missing"]
    file.write_bytes(b"some bytes")
    assert run(verifier)[0].bad == 0
    assert verifier.damages("default") == []


def test_what_was_noted_and_is_needed_no_more_leaves_the_list(
    database, verifier, content, stores, save
):
    _, file = save("/bad", b"some bytes")
    file.unlink()
    run(verifier)
    content.delete_assets(["/bad"])
    assert (verifier.damages("default"), verifier.count_damages()) == ([], {})
    Compactor(database, stores, lambda: 1e10).compact()
    rows = database_proxy.execute_sql("SELECT count(*) FROM damaged_blob").fetchone()
    assert rows == (0,)


def test_a_push_between_the_reading_and_the_note_wins(verifier, save, paired, monkeypatch):
    digest, file = save("/bad", b"some bytes")
    damage(file)
    before = paired.stat(digest)
    file.unlink()
    save("/bad", b"some bytes")
    assert not paired.quarantine(digest, before)
    assert file.read_bytes() == b"some bytes"

    damage(file)
    quarantine = paired.quarantine

    def push_after(digest, found):
        done = quarantine(digest, found)
        save("/bad", b"some bytes")
        return done

    monkeypatch.setattr(paired, "quarantine", push_after)
    assert run(verifier)[0].bad == 0
    assert file.read_bytes() == b"some bytes"


def test_the_disk_that_is_not_mounted_is_no_damage(verifier, save, tmp_path):
    save("/one", b"one")
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="Is its disk mounted"):
        run(verifier)
    (tmp_path / "away").rename(tmp_path / "blobs")
    assert verifier.damages("default") == []
    assert run(verifier)[0].bad == 0


def test_a_store_that_is_away_keeps_no_other_from_being_read(
    database, stores, verifier, save, make_repository, tmp_path
):
    settings = BlobStoreSettings.model_validate({"type": "file", "path": "archive"})
    archive = stores._stores["archive"] = make_created_store(settings, tmp_path)
    with database.transaction():
        save_identity("archive", IDENTITY)
    kept = NewAsset("/kept", "file", store_bytes(archive, b"kept"), "text/plain")
    ContentStore(database, make_repository("old"), "archive", archive).save_asset(kept)
    _, file = save("/one", b"one")
    damage(file)
    (tmp_path / "archive").rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="archive"):
        verifier.run(["archive", "default"], print, Unwatched())
    assert len(verifier.damages("default")) == 1


class Stopping(Unwatched):
    """Ends the work after some blobs."""

    def __init__(self, after):
        self.left = after

    def progress(self, done, total=None, message=""):
        self.left -= 1
        if not self.left:
            raise TaskStopped


def test_a_verification_that_was_stopped_goes_on_where_it_was(verifier, save):
    for number in range(5):
        save(f"/{number}", b"%d" % number)
    with pytest.raises(TaskStopped):
        run(verifier, Stopping(2))
    last = verifier.last("default")
    assert (last.blobs, last.ended_at) == (2, None)
    assert run(verifier)[0].blobs == 3
    last = verifier.last("default")
    assert (last.blobs, last.size, last.ended_at) == (5, 5, 1000.0)
    assert run(verifier)[0].blobs == 5
    with pytest.raises(TaskStopped):
        run(verifier, Stopping(2))
    assert run(verifier, continues=False)[0].blobs == 5


def test_the_rate_is_bounded(verifier, save, monkeypatch):
    for number in range(4):
        save(f"/{number}", bytes([number]) * 1000)
    pauses = []
    progress = Unwatched()
    monkeypatch.setattr(progress, "pause", pauses.append)
    verifier._ticks = lambda: 50.0
    run(verifier, progress, rate=1000)
    assert pauses == [1.0, 2.0, 3.0, 4.0]  # of a clock that does not move
