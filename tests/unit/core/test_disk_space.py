"""How much of a disk must stay free, and how the log tells of refusals."""

import os
from types import SimpleNamespace

import pytest

from repoman.disk_space import NOTHING_FREE, REFUSALS_PAUSE_S, MinFree, RefusalLog
from repoman.errors import StorageFull
from tests.disk import file_store

GIB = 1 << 30


def disk(size, free):
    return SimpleNamespace(f_blocks=size, f_bavail=free, f_frsize=1)


@pytest.mark.parametrize(
    ("size", "least"), [(10 * GIB, GIB // 5), (50 * GIB, GIB), (500 * GIB, GIB), (0, 0)]
)
def test_the_smaller_of_a_size_and_a_part_counts(size, least):
    assert MinFree(GIB, 2).least(disk(size, 0)) == least


@pytest.mark.parametrize("off", [MinFree(0, 2), MinFree(GIB, 0), NOTHING_FREE])
def test_nothing_has_to_stay_free(off):
    off.check(disk(100, 0), "database")
    off.check(disk(100, 7), "database", 7)
    with pytest.raises(StorageFull, match="Not enough disk space in the database"):
        off.check(disk(100, 7), "database", 8)


def test_what_must_stay_free_stays_free():
    rule = MinFree(GIB, 10)
    rule.check(disk(1000, 150), "blob store", 50)
    with pytest.raises(StorageFull, match="Not enough disk space in the blob store"):
        rule.check(disk(1000, 150), "blob store", 51)
    with pytest.raises(StorageFull, match="has 99 bytes free, less than the 100 bytes that must"):
        rule.check(disk(1000, 99), "blob store")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A blob store on a disk with 100 MiB, of which ``state.free`` are free."""
    store = file_store(tmp_path / "blobs")
    store.min_free = MinFree(GIB, 10)
    store.state = SimpleNamespace(free=20 << 20)
    monkeypatch.setattr(os, "statvfs", lambda _: disk(100 << 20, store.state.free))
    return store


def test_a_writer_leaves_on_the_disk_what_must_stay_free(store):
    writer = store.open_writer("1")
    writer.check_room(10 << 20)
    with pytest.raises(StorageFull):
        store.open_writer("2").check_room((10 << 20) + 1)
    for _ in range(4):
        writer.write(bytes(1 << 20))
    store.state.free = (10 << 20) - 1
    with pytest.raises(StorageFull, match="must stay free"):
        writer.write(bytes(1 << 20))
    writer.cancel()
    with pytest.raises(StorageFull, match="must stay free"):
        store.open_writer("3").write(b"x")
    store.open_writer("4").write(b"")  # as what a deletion leaves
    with pytest.raises(StorageFull, match="must stay free"):
        store.check_free()
    with pytest.raises(StorageFull, match="of the blob store fast has"):
        store.check_free("fast")


def test_refusals_are_logged_once_a_minute_with_their_number(caplog):
    now = 0.0
    log = RefusalLog(lambda: now)
    for number in range(5):
        log.note(f"PUT {number}", StorageFull("It is full."))
    assert [each.message for each in caplog.records] == [
        "PUT 0 was refused because there is not enough space: It is full."
    ]
    now += REFUSALS_PAUSE_S
    log.note("PUT 5", StorageFull("It is full."))
    assert caplog.records[-1].message == (
        "PUT 5 was refused because there is not enough space: It is full. (and 4 more since the "
        "last such message)"
    )
    assert {each.levelname for each in caplog.records} == {"WARNING"}
