"""One fetch for all that ask for the same thing, the threads that fetch, and passing through."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from repoman.errors import NotFound, UpstreamUnavailable
from repoman.flights import SingleFlight
from repoman.proxy.fetching import FetcherPool, FetchRequest, PassThrough
from repoman.proxy.services import Downloads
from tests.clock import WAIT_S, wait_until
from tests.fakes.bodies import DATA, SIZE, Body, Remote, part, read

LEADER_LOOKUPS = 2  # The caller that works looks for another one, and enters itself.


class CountedKey:
    """A key that counts its lookups, which tell how many callers have found the one that works."""

    def __init__(self):
        self.lookups = 0

    def __hash__(self):
        self.lookups += 1
        return 0


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
    wait_until(lambda: downloads.follow("one", "key", blobs, order) is None, what="the end")
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
    flights, gate, calls, key = SingleFlight(), threading.Event(), [], CountedKey()

    def work():
        calls.append(1)
        assert gate.wait(WAIT_S)
        return "value"

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(flights.run, key, work) for _ in range(8)]
        wait_until(lambda: key.lookups == LEADER_LOOKUPS + 7, what="the callers")
        assert flights.run("other", lambda: 1) == 1
        gate.set()
        assert {each.result(WAIT_S) for each in answers} == {"value"}
    assert len(calls) == 1
    assert flights.run(key, lambda: "new") == "new"


def test_all_that_wait_learn_of_the_error():
    flights, gate, key = SingleFlight(), threading.Event(), CountedKey()

    def work():
        assert gate.wait(WAIT_S)
        raise NotFound("gone")

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(flights.run, key, work) for _ in range(4)]
        wait_until(lambda: key.lookups == LEADER_LOOKUPS + 3, what="the callers")
        gate.set()
        assert [type(each.exception(WAIT_S)) for each in answers] == [NotFound] * 4


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


def test_passing_through():
    assert b"".join(PassThrough(Remote(part(10)).open).pieces(10, 20)) == DATA[10:30]
    whole = PassThrough(Remote(Body([DATA[:5], DATA[5:]])).open)
    assert b"".join(whole.pieces(3, 20)) == DATA[3:23]
    with pytest.raises(UpstreamUnavailable):
        list(PassThrough(Remote(Body([DATA[:5]])).open).pieces(0, 20))
