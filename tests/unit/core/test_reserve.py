"""The reserve: given up when the disk is full, kept back again when there is room."""

import errno
import logging
import os
import stat
from types import SimpleNamespace

import pytest

from repoman.db import reserve as module
from repoman.db.reserve import LOW_B, Reserve
from repoman.errors import StorageFull, Unavailable
from tests.disk import room_for

SIZE = 1_000_000


@pytest.fixture
def disk(monkeypatch):
    """A disk with as much room as the test says."""
    disk = SimpleNamespace(free=1 << 30)
    fake = SimpleNamespace(**{name: getattr(os, name) for name in dir(os)})
    fake.statvfs = lambda _: SimpleNamespace(f_bavail=disk.free, f_frsize=1)
    monkeypatch.setattr(module, "os", fake)
    return disk


@pytest.fixture
def path(tmp_path):
    return tmp_path / "repoman.reserve"


@pytest.fixture
def reserve(disk, path):
    reserve = Reserve(path, SIZE)
    reserve.open()
    reserve.keep()
    return reserve


def test_it_takes_its_room(reserve, path):
    state = path.stat()
    assert (state.st_size, stat.S_IMODE(state.st_mode)) == (SIZE, 0o600)
    assert state.st_blocks * 512 >= SIZE
    reserve.check()


def test_it_is_given_up_on_a_full_disk_and_kept_back_again(reserve, disk, path, caplog):
    reserve.release_if_full()
    assert path.stat().st_size == SIZE
    disk.free = LOW_B - 1
    reserve.release_if_full()
    assert path.stat().st_size == 0
    assert "was released" in caplog.text
    with pytest.raises(StorageFull):
        reserve.check()
    disk.free = LOW_B + SIZE  # no more than what has been given up
    reserve.keep()
    assert path.stat().st_size == 0
    disk.free = 1 << 30
    reserve.keep()
    assert path.stat().st_size == SIZE
    reserve.check()


def test_another_process_may_give_it_up(reserve, disk, path):
    disk.free = LOW_B - 1
    command = Reserve(path, SIZE)
    command.open()
    command.release_if_full()
    reserve.keep()
    assert reserve.is_spent
    again = Reserve(path, SIZE)
    again.open()
    assert again.is_spent  # also after a restart


def test_a_disk_without_room_for_it_works_without(disk, path, caplog):
    disk.free = SIZE
    reserve = Reserve(path, SIZE)
    with caplog.at_level(logging.WARNING):
        reserve.open()
        reserve.keep()
        reserve.keep()
    assert caplog.text.count("There is not enough disk space for the reserve") == 1
    disk.free = 0
    reserve.release_if_full()
    reserve.check()


def test_a_reserve_that_cannot_be_made_whole_takes_nothing(disk, path):
    reserve = Reserve(path, SIZE)
    reserve.open()
    with room_for(SIZE // 2):  # the disk has room, the user has not
        reserve.keep()
        reserve.keep()
    assert not path.exists()
    again = Reserve(path, SIZE)
    again.open()
    again.check()


def test_one_that_was_given_up_stays_so_while_it_cannot_be_made(reserve, disk, path):
    disk.free = LOW_B - 1
    reserve.release_if_full()
    disk.free = 1 << 30
    with room_for(SIZE // 2):
        reserve.keep()
    assert path.stat().st_size == 0
    with pytest.raises(StorageFull):
        reserve.check()


@pytest.mark.parametrize("act", [Reserve.release_if_full, Reserve.keep])
def test_a_disk_that_tells_nothing_is_an_error_in_words(disk, path, monkeypatch, act):
    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    reserve = Reserve(path, SIZE)
    monkeypatch.setattr(module.os, "statvfs", fail)
    with pytest.raises(Unavailable, match="Input/output error"):
        act(reserve)


def test_its_size_may_change(reserve, path):
    Reserve(path, SIZE * 2).keep()
    assert path.stat().st_size == SIZE * 2
    Reserve(path, SIZE).keep()
    assert path.stat().st_size == SIZE


def test_one_that_was_given_up_does_not_count_when_there_is_to_be_none(disk, path):
    path.touch()
    none = Reserve(path, 0)
    none.open()
    none.check()


def test_there_may_be_none(disk, path):
    none = Reserve(path, 0)
    none.open()
    none.keep()
    disk.free = 0
    none.release_if_full()
    none.check()
    assert not path.exists()
