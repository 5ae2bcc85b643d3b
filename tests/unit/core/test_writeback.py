"""The disk is at work while a large blob arrives, so that its commit is quick."""

import os

import pytest

from repoman.blobs import file_writer as module
from tests.disk import file_store

STEP = 1000  # bytes


@pytest.fixture
def advice(monkeypatch) -> list[tuple[int, int]]:
    """What the system was told about the file: offset and length, in bytes."""
    given: list[tuple[int, int]] = []
    real = os.posix_fadvise

    def advise(fd: int, offset: int, length: int, kind: int) -> None:
        assert kind == os.POSIX_FADV_DONTNEED
        given.append((offset, length))
        real(fd, offset, length, kind)

    monkeypatch.setattr(os, "posix_fadvise", advise)
    monkeypatch.setattr(module, "WRITEBACK", STEP)
    return given


def test_every_byte_is_on_its_way_to_the_disk_before_the_end(advice, tmp_path):
    writer = file_store(tmp_path).open_writer("large")
    for _ in range(35):
        writer.write(bytes(100))
    assert advice == [(0, STEP), (STEP, STEP), (2 * STEP, STEP)]
    assert writer.commit().size == 3500


def test_what_was_written_before_a_restart_is_left_alone(advice, tmp_path):
    writer = file_store(tmp_path).open_writer("large")
    writer.write(bytes(900))
    writer.pause()
    assert advice == []
    again = file_store(tmp_path).open_writer("large")
    again.write(bytes(STEP))
    assert advice == [(900, STEP)]
    again.cancel()


def test_a_small_blob_needs_no_advice(advice, tmp_path):
    writer = file_store(tmp_path).open_writer("small")
    writer.write(bytes(STEP - 1))
    writer.commit()
    assert advice == []
