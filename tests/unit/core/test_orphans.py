"""Orphans: files that no row names are found, adopted or removed, and nothing else is touched."""

import subprocess
import sys

import pytest

from repoman.blobs.manager import BlobStoreManager, make_file_store
from repoman.blobs.upload import BlobUpload, store_bytes
from repoman.compaction import GRACE_S, Compactor, Unwatched
from repoman.config import BlobStoreSettings
from repoman.content import NewAsset
from repoman.db.models import BlobRecord, database_proxy
from repoman.errors import Invalid
from repoman.stores.orphans import OrphanCount, Orphans
from repoman.testing import Clock
from tests.architecture import ROOT
from tests.clock import LONG_S
from tests.recount import counted, kept

KILLER = "tests.unit.core.orphan_killer"


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
def orphans(database, stores, compactor, clock):
    return Orphans(database, stores, compactor, clock)


@pytest.fixture
def orphan(blobs, content):
    """A blob that nobody recorded, beside one that is in use."""
    content.save_asset(NewAsset("used", "file", store_bytes(blobs, b"used"), "text/plain"))
    return store_bytes(blobs, b"left by a crash")


def found(orphans):
    return [each.digest for each in orphans.find("default", Unwatched())]


def test_a_list_changes_nothing(orphans, orphan, blobs):
    for _ in range(2):
        assert found(orphans) == [orphan.digest]
    assert BlobRecord.select().count() == 1
    assert blobs.stat(orphan.digest)


def test_an_adopted_file_counts_and_goes_by_compaction(
    orphans, orphan, compactor, clock, blobs, content
):
    assert orphans.adopt("default", Unwatched()) == OrphanCount(1, orphan.size)
    assert orphans.adopt("default", Unwatched()) == OrphanCount()
    assert found(orphans) == []
    assert kept(database_proxy.connection()) == counted(database_proxy.connection())
    assert kept(database_proxy.connection())["stores"]["default"] == (2, 19, orphan.size)
    assert compactor.compact() == 0
    clock.jump(GRACE_S + 10)
    assert compactor.compact() == 1
    assert blobs.stat(orphan.digest) is None
    assert content.open_body(content.get_asset("used")) == b"used"


def test_an_adopted_file_stays_for_who_stores_the_same(
    orphans, orphan, compactor, clock, blobs, content
):
    orphans.adopt("default", Unwatched())
    content.save_asset(NewAsset("again", "file", orphan, "text/plain"))
    clock.jump(GRACE_S + 10)
    assert compactor.compact() == 0
    assert content.open_body(content.get_asset("again")) == b"left by a crash"
    assert kept(database_proxy.connection())["stores"]["default"] == (2, 19, 0)


def test_a_damaged_file_is_not_adopted(orphans, orphan, tmp_path):
    file = tmp_path / "blobs" / "sha256" / orphan.digest[:2] / orphan.digest
    file.write_bytes(b"something else")
    assert orphans.adopt("default", Unwatched()) == OrphanCount()
    assert BlobRecord.select().count() == 1


def test_only_what_is_older_than_the_grace_is_removed(orphans, orphan, clock, blobs):
    assert orphans.remove("default", Unwatched()) == OrphanCount()
    assert blobs.stat(orphan.digest)
    clock.jump(GRACE_S + 10)
    assert orphans.remove("default", Unwatched()) == OrphanCount(1, orphan.size)
    assert blobs.stat(orphan.digest) is None
    assert found(orphans) == []


def test_what_gets_its_row_while_it_is_looked_at_is_no_orphan(
    orphans, orphan, content, clock, compactor, monkeypatch
):
    clock.jump(GRACE_S + 10)
    free = compactor.free

    def store_first(*asked):
        content.save_asset(NewAsset("late", "file", orphan, "text/plain"))
        return free(*asked)

    monkeypatch.setattr(compactor, "free", store_first)
    assert orphans.remove("default", Unwatched()) == OrphanCount()
    assert content.open_body(content.get_asset("late")) == b"left by a crash"


def test_uploads_are_left_alone(orphans, blobs, clock, compactor):
    with BlobUpload(blobs) as upload:
        upload.write(b"half of it")
        clock.jump(GRACE_S + 10)
        assert found(orphans) == []
        assert orphans.remove("default", Unwatched()) == OrphanCount()
        upload.write(b", and the rest")
        assert upload.commit().size == 24


def test_an_unknown_store_is_invalid(orphans):
    with pytest.raises(Invalid, match="no blob store 'other'"):
        list(orphans.find("other", Unwatched()))


def test_the_audit_log_tells_what_was_done(repoman):
    store_bytes(repoman.blob_stores.get("default"), b"left by a crash")
    repoman.orphans.adopt("default", Unwatched())
    repoman.audit.flush()
    sql = "SELECT domain, target FROM audit WHERE type = 'adopt-orphans'"
    assert database_proxy.execute_sql(sql).fetchall() == [("blob-store", "default")]


@pytest.mark.slow
@pytest.mark.parametrize("work", ["adopt", "remove"])
def test_kill_9_at_every_line_loses_nothing(tmp_path, work):
    command = [sys.executable, "-m", KILLER, str(tmp_path / "killed"), work]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
