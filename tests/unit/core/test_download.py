"""Downloads with a remote of the test's own, and many readers."""

import errno
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from repoman.blobs.upload import BlobUpload
from repoman.errors import NotFound, StorageFull, UpstreamTimeout, UpstreamUnavailable
from repoman.proxy.download import Download
from repoman.proxy.fetching import FetcherPool, FetchRequest, PassThrough, SingleFlight
from repoman.proxy.services import Downloads
from tests.clock import WAIT_S
from tests.live import wait_until

DATA = bytes(range(256)) * 40
SIZE = len(DATA)


class Body:
    """An answer in pieces; a piece may be an error, or an event to wait for."""

    def __init__(self, pieces, status=200, headers=None, length=SIZE):
        self.pieces = iter(pieces)
        self.status = status
        self.headers = headers or {}
        self.length = length
        self.is_closed = False

    def read(self):
        for piece in self.pieces:
            if isinstance(piece, bytes):
                return piece
            if isinstance(piece, Exception):
                raise piece
            assert piece.wait(WAIT_S)
        return b""

    def close(self):
        self.is_closed = True


def broken():
    return UpstreamUnavailable("The remote stopped.")


class Remote:
    """Answers requests one after the other; an answer may be an error."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.starts = []

    def open(self, start):
        self.starts.append(start)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def part(start, data=None, total=SIZE, **headers):
    """The answer to a request for a part."""
    data = DATA[start:] if data is None else data
    content_range = f"bytes {start}-{total - 1}/{total}"
    return Body([data], 206, {"Content-Range": content_range, **headers}, len(data))


@pytest.fixture
def make(blobs):
    def make(remote, data=DATA, has_digest=True, **options):
        kept = []
        order = FetchRequest(
            "a blob",
            {"sha256": hashlib.sha256(data).hexdigest()} if has_digest else {},
            remote.open,
            options.pop("keep", kept.append),
            **options,
        )
        ended = []
        download = Download(order, BlobUpload(blobs), lambda: ended.append(1), sleep=lambda _: None)
        download.kept, download.ended = kept, ended
        return download

    return make


def read(download, start=0, length=None):
    reader = download.open()
    return b"".join(reader.pieces(start, len(DATA) - start if length is None else length))


def test_what_is_fetched_is_kept(make, blobs):
    body = Body([DATA[:100], DATA[100:]])
    download = make(Remote(body))
    download.run()
    assert download.is_complete
    assert download.wait_for_size(0) == len(DATA)
    assert read(download) == DATA
    assert read(download, 50, 7) == DATA[50:57]
    assert [blob.size for blob in download.kept] == [len(DATA)]
    assert blobs.stat(hashlib.sha256(DATA).hexdigest())
    assert body.is_closed
    assert download.ended == [1]


def test_readers_follow_while_bytes_come(make):
    gate = threading.Event()
    download = make(Remote(Body([DATA[:100], gate, DATA[100:]])))
    with ThreadPoolExecutor(5) as pool:
        fetch = pool.submit(download.run)
        assert download.wait_for_size(5) == len(DATA)
        pieces = download.open().pieces(0, len(DATA))
        first = next(pieces)
        others = [pool.submit(read, download) for _ in range(3)]
        assert 0 < len(first) <= 100
        assert not fetch.done()
        gate.set()
        assert first + b"".join(pieces) == DATA
        assert [each.result(WAIT_S) for each in others] == [DATA] * 3


def test_the_last_byte_waits_for_the_digest(make):
    gate = threading.Event()
    download = make(Remote(Body([DATA, gate])))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(download.run)
        download.wait_for_size(5)
        pieces = download.open().pieces(0, len(DATA))
        assert next(pieces) == DATA[:-1]
        assert download.ready(0) == len(DATA) - 1
        gate.set()
        assert next(pieces) == DATA[-1:]


def test_a_wrong_digest_fails_all_and_keeps_nothing(make, blobs):
    download = make(Remote(Body([DATA])), data=b"other")
    download.run()
    uses = (lambda: download.wait_for_size(0), lambda: read(download), lambda: download.ready(0))
    for use in uses:
        with pytest.raises(UpstreamUnavailable, match="does not match the digest"):
            use()
    assert download.kept == []
    assert not blobs.stat(hashlib.sha256(DATA).hexdigest())


def test_what_the_remote_does_not_have(make):
    download = make(Remote(NotFound("There is none.")))
    download.run()
    with pytest.raises(NotFound):
        download.wait_for_size(0)


def test_a_remote_that_breaks_off_is_asked_for_the_rest(make):
    remote = Remote(Body([DATA[:100], broken()]), part(100, DATA[100:300]), part(300))
    download = make(remote)
    download.run()
    assert remote.starts == [0, 100, 300]
    assert read(download) == DATA


def test_a_short_body_is_one_that_broke_off(make):
    remote = Remote(Body([DATA[:100]]), part(100))
    make(remote).run()
    assert remote.starts == [0, 100]


def test_a_remote_without_parts_sends_all_again(make):
    download = make(Remote(Body([DATA[:100], broken()]), Body([DATA[:50], DATA[50:]])))
    download.run()
    assert read(download) == DATA


@pytest.mark.parametrize(
    "answer",
    [
        part(100, total=len(DATA) + 1),
        part(100, ETag='"other"'),
        part(99),
        Body([], 206, {"Content-Range": "nonsense"}),
        Body([DATA], length=len(DATA) - 1),
    ],
    ids=["size", "etag", "position", "nonsense", "size of all"],
)
def test_what_has_changed_is_not_joined(make, answer):
    failures = []
    first = Body([DATA[:100], broken()], headers={"ETag": '"one"'})
    download = make(Remote(first, answer), resumes=0, note_failure=failures.append)
    download.run()
    with pytest.raises(UpstreamUnavailable):
        download.wait_for_size(0)
    assert len(failures) == 1


def test_a_remote_that_gets_nowhere_is_given_up(make):
    failures = []
    remote = Remote(Body([DATA[:100], broken()]), *(broken() for _ in range(9)))
    download = make(remote, resumes=2, note_failure=failures.append)
    download.run()
    assert remote.starts == [0, 100, 100, 100]
    assert len(failures) == 1


def test_too_many_bytes_are_refused(make):
    download = make(Remote(Body([DATA + b"x"])))
    download.run()
    assert not download.is_complete


def test_a_remote_that_does_not_say_the_size(make):
    gate = threading.Event()
    download = make(Remote(Body([DATA[:100], gate, DATA[100:]], length=None)))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(download.run)
        with pytest.raises(UpstreamUnavailable, match="too long"):
            download.wait_for_size(0.05)
        gate.set()
        assert download.wait_for_size(5) == len(DATA)
        assert read(download) == DATA


def test_a_body_of_unknown_size_goes_on_where_it_broke_off(make):
    first = Body([DATA[:100], broken()], length=None)
    remote = Remote(first, part(100, DATA[100:300], ETag='"late"'), part(300))
    download = make(remote)
    download.run()
    assert remote.starts == [0, 100, 300]
    assert download.wait_for_size(0) == SIZE
    assert read(download) == DATA


def test_a_size_that_is_told_late_has_to_be_right(make):
    first = Body([DATA[:100], broken()], length=None)
    download = make(Remote(first, part(100, total=SIZE + 1)), size=SIZE, resumes=0)
    download.run()
    assert download.kept == []


# --- Without a digest ----------------------------------------------------------------------------


def without_digest(make, *answers, **options):
    remote = Remote(*answers)
    download = make(remote, has_digest=False, **options)
    download.run()
    return remote, download


def test_the_length_tells_that_a_body_without_a_digest_is_whole(make):
    _, download = without_digest(make, Body([DATA[:100], DATA[100:]]))
    assert read(download) == DATA
    assert [blob.size for blob in download.kept] == [SIZE]


def test_the_end_closes_a_body_without_digest_and_length(make):
    _, download = without_digest(make, Body([DATA[:100], DATA[100:]], length=None))
    assert download.wait_for_size(0) == SIZE
    assert read(download) == DATA
    assert len(download.kept) == 1


@pytest.mark.parametrize("etag", [None, 'W/"one"'])
@pytest.mark.parametrize("end", [[], [broken()]], ids=["short", "broken"])
def test_what_nothing_holds_together_is_not_resumed(make, etag, end):
    headers = {} if etag is None else {"ETag": etag}
    remote, download = without_digest(make, Body([DATA[:100], *end], headers=headers))
    assert remote.starts == [0]
    assert download.kept == []
    with pytest.raises(UpstreamUnavailable):
        read(download)


def test_a_strong_etag_holds_the_parts_together(make):
    first = Body([DATA[:100], broken()], headers={"ETag": '"one"'})
    remote, download = without_digest(make, first, part(100, ETag='"one"'))
    assert remote.starts == [0, 100]
    assert read(download) == DATA


@pytest.mark.parametrize("etag", ['"two"', 'W/"one"', None])
def test_parts_with_another_etag_or_none_are_not_joined(make, etag):
    first = Body([DATA[:100], broken()], headers={"ETag": '"one"'})
    headers = {} if etag is None else {"ETag": etag}
    _, download = without_digest(make, first, part(100, **headers), resumes=0)
    assert download.kept == []


def test_more_bytes_than_announced_are_refused_without_a_digest_too(make):
    _, download = without_digest(make, Body([DATA + b"x"]))
    assert download.kept == []


def test_of_several_digests_each_has_to_fit(blobs):
    good, kept = hashlib.sha256(DATA).hexdigest(), []
    for sha512, size in ((hashlib.sha512(DATA).hexdigest(), 1), ("wrong", 0)):
        kept.clear()
        digests = {"sha256": good, "sha512": sha512}
        request = FetchRequest("a file", digests, Remote(Body([DATA])).open, kept.append)
        Download(request, BlobUpload(blobs, tuple(digests)), lambda: None).run()
        assert len(kept) == size


def test_nothing_is_a_blob_too(make):
    download = make(Remote(Body([], length=0)), data=b"")
    download.run()
    assert download.wait_for_size(0) == 0
    assert read(download, 0, 0) == b""


def test_readers_are_served_even_if_nothing_can_be_kept(make):
    def keep(_):
        raise StorageFull("The disk is full.")

    download = make(Remote(Body([DATA])), keep=keep)
    download.run()
    assert read(download) == DATA


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


def test_a_growing_file_tells_when_it_has_grown(make):
    gate = threading.Event()
    download = make(Remote(Body([DATA[:100], gate, DATA[100:]])))
    reader, sizes = download.open(), []
    reader.subscribe(lambda: sizes.append(reader.ready(0)))
    gate.set()
    download.run()
    assert sizes[-1] == len(DATA)
    assert sorted(sizes) == sizes
    assert reader.ready(100) == len(DATA) - 100
    reader.close()
    reader.close()


def test_passing_through(make):
    assert b"".join(PassThrough(Remote(part(10)).open).pieces(10, 20)) == DATA[10:30]
    whole = PassThrough(Remote(Body([DATA[:5], DATA[5:]])).open)
    assert b"".join(whole.pieces(3, 20)) == DATA[3:23]
    with pytest.raises(UpstreamUnavailable):
        list(PassThrough(Remote(Body([DATA[:5]])).open).pieces(0, 20))


# --- A disk that becomes full meanwhile ----------------------------------------------------------

ROOM = 1_100  # bytes, before it is full
PIECES = [DATA[at : at + 500] for at in range(0, SIZE, 500)]


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


# --- Once for many -------------------------------------------------------------------------------


def test_a_download_runs_once_for_all_that_follow(blobs):
    gate = threading.Event()
    remote = Remote(Body([DATA[:100], gate, DATA[100:]]))
    digest = hashlib.sha256(DATA).hexdigest()
    downloads, kept = Downloads(FetcherPool()), []

    def order():
        return (
            None if kept else FetchRequest("a blob", {"sha256": digest}, remote.open, kept.append)
        )

    first = downloads.follow("one", "key", blobs, order)
    assert downloads.follow("one", "key", blobs, order) is first
    gate.set()
    assert read(first) == DATA
    for _ in range(1000):
        if downloads.follow("one", "key", blobs, order) is None:
            break
    assert remote.starts == [0]


def test_nobody_joins_a_download_that_has_failed(blobs):
    downloads = Downloads(FetcherPool())
    gate = threading.Event()
    remote = Remote(Body([gate, bytes(SIZE)]), Body([DATA]))

    def order():
        return FetchRequest(
            "a blob", {"sha256": hashlib.sha256(DATA).hexdigest()}, remote.open, lambda _: None
        )

    first, found = downloads.follow("one", "key", blobs, order), SimpleQueue()

    def join_after_failure():
        try:
            first.ready(0)
        except UpstreamUnavailable:
            found.put(downloads.follow("one", "key", blobs, order))

    assert first.wait_for_size(10) == SIZE
    first.subscribe(join_after_failure)
    gate.set()
    assert read(found.get(timeout=WAIT_S)) == DATA


def test_one_works_for_all_that_ask_meanwhile():
    flights, gate, calls = SingleFlight(), threading.Event(), []

    def work():
        calls.append(1)
        assert gate.wait(WAIT_S)
        return "value"

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(flights.run, "key", work) for _ in range(8)]
        while not calls:
            pass
        assert flights.run("other", lambda: 1) == 1
        gate.set()
        assert {each.result(WAIT_S) for each in answers} == {"value"}
    assert 1 <= len(calls) <= 8
    assert flights.run("key", lambda: "new") == "new"


def test_all_that_wait_learn_of_the_error():
    flights, gate, begun = SingleFlight(), threading.Event(), threading.Event()

    def work():
        begun.set()
        assert gate.wait(WAIT_S)
        raise NotFound("gone")

    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(flights.run, "key", work)
        assert begun.wait(WAIT_S)
        follower = pool.submit(flights.run, "key", lambda: "unused")
        gate.set()
        with pytest.raises(NotFound):
            leader.result(WAIT_S)
        assert isinstance(follower.exception(WAIT_S), NotFound) or follower.result() == "unused"


def test_fetchers_are_bounded_and_survive_errors(caplog):
    fetchers, lock = FetcherPool(limit=2), threading.Lock()
    running, most, done = 0, 0, threading.Semaphore(0)

    def work():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)
        with lock:
            running -= 1
        done.release()
        raise ValueError("an error of the test")

    for _ in range(10):
        fetchers.submit("one", work)
    assert all(done.acquire(timeout=WAIT_S) for _ in range(10))
    assert most <= 2
    assert "'fetcher' failed and continues" in caplog.text


def test_one_owner_has_a_share_of_the_fetchers():
    fetchers, gate, begun = FetcherPool(limit=4, share=2), threading.Event(), threading.Semaphore(0)

    def slow():
        begun.release()
        assert gate.wait(WAIT_S)

    for _ in range(8):
        fetchers.submit("slow", slow)
    assert begun.acquire(timeout=WAIT_S)
    assert begun.acquire(timeout=WAIT_S)
    done = threading.Event()
    fetchers.submit("other", done.set)
    assert done.wait(WAIT_S)
    assert not begun.acquire(blocking=False)
    gate.set()
    assert all(begun.acquire(timeout=WAIT_S) for _ in range(6))


def test_a_body_by_drops_ends_the_fetch(make, monkeypatch):
    monkeypatch.setattr("repoman.proxy.download.PROGRESS_INTERVAL_S", 0.0)
    drips = [Body([DATA[:10], DATA[10:20]]), *(part(10, DATA[10:20]) for _ in range(3))]
    download = make(Remote(*drips))
    download.run()
    with pytest.raises(UpstreamTimeout, match="sends a blob too slowly"):
        download.wait_for_size(1)
    assert download.kept == []
