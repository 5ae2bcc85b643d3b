"""Downloads while the disk is full, or becomes full: readers get all of it."""

import errno
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from repoman.errors import StorageFull, UpstreamUnavailable
from repoman.proxy.fetching import FetcherPool, FetchRequest
from repoman.proxy.services import Downloads
from tests.clock import WAIT_S, wait_until
from tests.fakes.bodies import DATA, SIZE, Body, Remote, broken, new_download, part

ROOM = 1_100  # bytes, before it is full
PIECES = [DATA[at : at + 500] for at in range(0, SIZE, 500)]


@pytest.fixture
def make(blobs):
    """Return a download of the test's blob from a remote."""
    return partial(new_download, blobs)


@pytest.fixture
def small_disk(monkeypatch):
    """A disk that takes a part of a piece, as a full one does, and a window of 1000 bytes."""
    written = []

    def write(fd, data):
        taken = bytes(data[: ROOM - sum(written)])
        if not taken:
            raise OSError(errno.ENOSPC, "no room")
        written.append(len(taken))
        return real(fd, taken)

    real = os.write
    monkeypatch.setattr("repoman.blobs.file.os.write", write)
    monkeypatch.setattr("repoman.proxy.fetching.OVERFLOW_WINDOW_BYTES", 1000)


def begin(download):
    thread = threading.Thread(target=download.run)
    thread.start()
    assert download.wait_for_size(5) == SIZE
    return thread


def size(ready):
    return len(ready) if isinstance(ready, bytes) else 0


def test_readers_get_the_rest_though_the_disk_is_full(make, small_disk, blobs):
    failures, gate = [], threading.Event()
    remote = Remote(Body([gate, *PIECES[:9], broken()]), part(4500))
    download = make(remote, note_failure=failures.append)
    fetch = begin(download)
    with ThreadPoolExecutor(3) as pool:
        readers = [download.open().pieces(start, SIZE - start) for start in (0, 700, 5000)]
        reads = [pool.submit(b"".join, each) for each in readers]
        gate.set()
        assert [each.result(WAIT_S) for each in reads] == [DATA, DATA[700:], DATA[5000:]]
    fetch.join(WAIT_S)
    assert remote.starts == [0, 4500]
    assert download.kept == []
    assert [type(each) for each in failures] == [StorageFull]
    assert not blobs.stat(hashlib.sha256(DATA).hexdigest())
    assert set(download.ended) == {1}


def test_the_window_in_memory_waits_for_its_readers(make, small_disk):
    download = make(Remote(Body(PIECES)))
    reader = download.open()
    fetch = begin(download)
    wait_until(lambda: fetch.is_alive() and size(reader.ready(ROOM)) >= 1000, what="the window")
    fetch.join(0.1)
    assert fetch.is_alive()
    assert size(reader.ready(ROOM)) < 1000 + len(PIECES[0])
    assert b"".join(reader.pieces(0, SIZE)) == DATA
    fetch.join(WAIT_S)


def test_the_last_byte_waits_for_the_digest_though_the_disk_is_full(make, small_disk):
    gate = threading.Event()
    download = make(Remote(Body([*PIECES, gate])), data=DATA[:-1] + b"x")
    pieces = download.open().pieces(0, SIZE)
    begin(download)
    received = b""
    while len(received) < SIZE - 1:
        received += next(pieces)
    assert received == DATA[:-1]
    gate.set()
    with pytest.raises(UpstreamUnavailable, match="does not match the digest"):
        next(pieces)


def test_a_reader_that_takes_nothing_is_left_behind_by_the_others(make, small_disk, monkeypatch):
    monkeypatch.setattr("repoman.proxy.download.OVERFLOW_TIMEOUT_S", 0.05)
    gate = threading.Event()
    download = make(Remote(Body([gate, *PIECES])))
    idle, pieces = download.open(), download.open().pieces(0, SIZE)
    begin(download)
    gate.set()
    assert b"".join(pieces) == DATA
    assert isinstance(idle.ready(0), int)
    with pytest.raises(StorageFull, match="too slow"):
        idle.ready(ROOM)


def test_nothing_is_passed_on_to_nobody(make, small_disk, monkeypatch):
    monkeypatch.setattr("repoman.proxy.download.OVERFLOW_TIMEOUT_S", 0.05)
    download = make(Remote(Body(PIECES)))
    reader = download.open()
    reader.close()
    download.run()
    with pytest.raises(StorageFull, match="no client"):
        download.ready(0)


def test_nobody_joins_a_download_that_the_disk_has_no_room_for(blobs, small_disk):
    downloads = Downloads(FetcherPool())
    gate, other = threading.Event(), threading.Event()
    remote = Remote(Body([gate, *PIECES]), Body([other, DATA]))

    def order():
        return FetchRequest(
            "a blob", {"sha256": hashlib.sha256(DATA).hexdigest()}, remote.open, lambda _: None
        )

    first = downloads.follow("one", "key", blobs, order)
    pieces = first.open().pieces(0, SIZE)
    gate.set()
    assert next(pieces)
    wait_until(lambda: downloads.follow("one", "key", blobs, order) is not first, what="the end")
    second = downloads.follow("one", "key", blobs, order)
    assert b"".join(pieces)[-100:] == DATA[-100:]
    assert downloads.follow("one", "key", blobs, order) is second
    other.set()


def test_a_disk_that_is_full_is_seen_before_readers_begin(make, monkeypatch):
    class Full:
        f_bavail, f_frsize = 1, 1024

    monkeypatch.setattr("repoman.blobs.file.os.statvfs", lambda _: Full)
    failures = []
    download = make(Remote(Body([DATA])), note_failure=failures.append)
    download.run()
    with pytest.raises(StorageFull):
        download.wait_for_size(0)
    assert [type(each) for each in failures] == [StorageFull]
