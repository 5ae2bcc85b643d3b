"""Workers."""

import sys
import threading
import time
from types import SimpleNamespace

import pytest

from repoman import waiting as waits
from repoman.errors import Unavailable, UpstreamBusy
from repoman.server import worker_pool
from repoman.server.worker_pool import FairQueue, WorkerPool
from repoman.waiting import RUN_SLOT, RunSlot, Wait, blocking, turn, waiting
from tests.clock import LONG_S, WAIT_S
from tests.server.conftest import eventually


@pytest.fixture
def pool():
    pool = WorkerPool(4)
    pool.start()
    eventually(lambda: len(pool._idle) == 4)
    yield pool
    assert pool.stop(WAIT_S)


def test_everything_is_done(pool):
    done = []
    for number in range(1000):
        pool.submit(lambda number=number: done.append(number))
    eventually(lambda: len(done) == 1000)
    assert sorted(done) == list(range(1000))


def test_many_requests_of_one_client_delay_no_other():
    queue, done = FairQueue(), []
    for number in range(3):
        queue.put(lambda number=number: done.append(f"many {number}"), "many")
    queue.put(lambda: done.append("few"), "few")
    assert len(queue) == 4
    while queue.lines:
        queue.take()()
    assert done == ["many 0", "few", "many 1", "many 2"]


def test_a_loop_that_looks_while_a_worker_takes_work_sees_what_is_left():
    queue, seen = FairQueue(), []
    for _ in range(2):
        queue.put(bool, "many")

    def look(*_):
        seen.append(bool(queue.lines))
        return look

    trace = sys.gettrace()
    sys.settrace(look)
    try:
        queue.take()
    finally:
        sys.settrace(trace)
    assert seen
    assert all(seen)


def test_quick_work_is_done_by_one_worker(pool):
    names = set()
    for _ in range(50):
        done = threading.Event()

        def work(done=done):
            names.add(threading.current_thread().name)
            done.set()

        pool.submit(work)
        assert done.wait(WAIT_S)
        eventually(lambda: len(pool._idle) == 4)
    assert len(names) == 1


def test_work_that_waits_gets_a_further_worker(pool):
    go_on = threading.Event()
    entered = threading.Semaphore(0)

    def work():
        entered.release()
        assert go_on.wait(LONG_S)

    for _ in range(4):
        pool.submit(work)
    for _ in range(4):
        while not entered.acquire(timeout=0.002):
            pool.nudge()
    assert pool.nudge() is False
    go_on.set()


def test_nudge_asks_to_come_again_while_work_waits(pool):
    go_on = threading.Event()
    pool.submit(lambda: go_on.wait(LONG_S))
    eventually(lambda: len(pool._idle) == 3)
    pool.submit(bool)
    assert pool.nudge() is True
    eventually(lambda: not pool.nudge())
    go_on.set()


@pytest.fixture
def clock(monkeypatch):
    """The time of the pool."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(worker_pool, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_further_worker_comes_if_nobody_takes_work(clock):
    pool = WorkerPool(6)
    pool.start()
    eventually(lambda: len(pool._idle) == 6)
    go_on, entered = threading.Event(), threading.Semaphore(0)

    def work():
        with blocking():
            entered.release()
            assert go_on.wait(LONG_S)

    for _ in range(6):
        pool.submit(work)
    for working, useful in enumerate((1, 2, 3, 3, 3), 1):
        assert entered.acquire(timeout=WAIT_S)
        eventually(lambda: not (pool._is_waking or RUN_SLOT.is_wanted))
        clock.now += (useful - 0.1) * worker_pool.WAKE_DELAY_S
        assert pool.nudge() is True
        assert len(pool._idle) == 6 - working, "it has not waited for long enough"
        clock.now += 0.2 * worker_pool.WAKE_DELAY_S
        pool.nudge()
        assert len(pool._idle) == 5 - working
    assert entered.acquire(timeout=WAIT_S)
    go_on.set()
    assert pool.stop(WAIT_S)


def test_a_further_worker_comes_later_while_one_waits_to_run(pool, clock, monkeypatch):
    monkeypatch.setattr(waits, "PATIENCE_S", LONG_S)
    done = threading.Semaphore(0)
    RUN_SLOT.take()
    try:
        for _ in range(4):
            pool.submit(done.release)
        eventually(lambda: RUN_SLOT.is_wanted and not pool._is_waking)
        clock.now += 0.9 * worker_pool.WAKE_PATIENCE_S
        assert pool.nudge() is True
        assert len(pool._idle) == 3
        clock.now += 0.2 * worker_pool.WAKE_PATIENCE_S
        pool.nudge()
        assert len(pool._idle) == 2
    finally:
        assert RUN_SLOT.release()
    for _ in range(4):
        assert done.acquire(timeout=WAIT_S)


def test_no_further_worker_comes_while_work_is_taken(pool, clock):
    taken, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def work():
        taken.release()
        assert go_on.acquire(timeout=LONG_S)

    for _ in range(5):
        pool.submit(work)
    for _ in range(4):
        assert taken.acquire(timeout=WAIT_S)
        clock.now += 0.9 * worker_pool.WAKE_DELAY_S
        assert pool.nudge() is True
        go_on.release()
    assert len(pool._idle) == 3, "one worker does all, however long the last has waited"
    go_on.release()


def test_a_worker_that_is_done_becomes_idle_if_others_wait_to_run(pool, monkeypatch):
    monkeypatch.setattr(waits, "PATIENCE_S", LONG_S)
    monkeypatch.setattr(worker_pool, "USEFUL_WORKERS", 1)
    monkeypatch.setattr(worker_pool, "WAKE_DELAY_S", 0.0)
    disk, done, names = threading.Event(), threading.Event(), []

    def first():
        names.append(threading.current_thread().name)
        with blocking():
            assert disk.wait(LONG_S)

    def second():
        disk.set()
        eventually(lambda: RUN_SLOT.is_wanted)

    def third():
        names.append(threading.current_thread().name)
        done.set()

    pool.submit(first)
    eventually(lambda: names and not RUN_SLOT._slot.run.locked())
    pool.submit(second)
    pool.submit(third)
    pool.nudge()
    assert done.wait(WAIT_S)
    assert names[0] == names[1], "the one that waited to run has gone on"


def test_no_worker_becomes_idle_while_all_places_are_taken(pool, monkeypatch):
    monkeypatch.setattr(RunSlot, "is_wanted", True)
    monkeypatch.setattr(worker_pool, "USEFUL_WORKERS", 0)
    monkeypatch.setattr(worker_pool, "WAKE_PATIENCE_S", 0.0)
    entered, go_on, done = threading.Semaphore(0), threading.Event(), threading.Event()

    def work():
        entered.release()
        assert go_on.wait(LONG_S)

    for _ in range(4):
        pool.submit(work)
    for _ in range(4):
        eventually(lambda: (pool.nudge(), entered.acquire(blocking=False))[1])
    pool.submit(done.set)
    assert pool.nudge() is False, "the loop need not come again"
    go_on.set()
    assert done.wait(WAIT_S)


def test_a_worker_that_was_woken_takes_work(pool, monkeypatch):
    monkeypatch.setattr(RunSlot, "is_wanted", True)
    monkeypatch.setattr(worker_pool, "USEFUL_WORKERS", 0)
    done = threading.Semaphore(0)
    for _ in range(10):
        pool.submit(done.release)
    for _ in range(10):
        eventually(lambda: (pool.nudge(), done.acquire(blocking=False))[1])


def test_failing_work_does_not_end_the_worker(pool, caplog):
    def fail():
        raise SystemExit("no")

    for _ in range(10):
        pool.submit(fail)
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(WAIT_S)
    assert "'worker' failed and continues: SystemExit: no" in caplog.text


def test_stop_finishes_the_queue():
    pool = WorkerPool(1)
    pool.start()
    done = []
    pool.submit(lambda: time.sleep(0.05))
    for number in range(10):
        pool.submit(lambda number=number: done.append(number))
    assert pool.stop(WAIT_S)
    assert done == list(range(10))


def test_stop_does_not_wait_for_ever():
    pool = WorkerPool(2)
    pool.start()
    go_on = threading.Event()
    pool.submit(lambda: go_on.wait(LONG_S))
    eventually(lambda: len(pool._idle) == 1)
    assert not pool.stop(0.05)
    go_on.set()
    assert pool.stop(WAIT_S)


@pytest.fixture
def with_spare():
    pool = WorkerPool(2, remote_waits=3)
    pool.start()
    eventually(lambda: len(pool._idle) == 5)
    yield pool
    assert pool.stop(WAIT_S)


def test_who_waits_leaves_the_place_to_another(with_spare):
    go_on, waits = threading.Event(), threading.Semaphore(0)

    def wait():
        with waiting():
            waits.release()
            assert go_on.wait(LONG_S)

    for _ in range(3):
        with_spare.submit(wait)
    eventually(lambda: (with_spare.nudge(), waits.acquire(blocking=False))[1])
    assert waits.acquire(timeout=WAIT_S)
    assert waits.acquire(timeout=WAIT_S)
    done = threading.Event()
    with_spare.submit(done.set)  # nobody nudges any more
    assert done.wait(WAIT_S)
    go_on.set()


def test_no_more_than_the_places_work_at_a_time(with_spare):
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def work():
        begun.release()
        assert go_on.wait(LONG_S)

    for _ in range(4):
        with_spare.submit(work)
    eventually(lambda: (with_spare.nudge(), begun.acquire(blocking=False))[1])
    eventually(lambda: (with_spare.nudge(), begun.acquire(blocking=False))[1])
    assert with_spare.nudge() is False
    assert not begun.acquire(timeout=0.05)
    go_on.set()
    assert begun.acquire(timeout=WAIT_S)
    assert begun.acquire(timeout=WAIT_S)


def test_too_many_may_not_wait(with_spare):
    go_on, refused = threading.Event(), threading.Event()

    def wait():
        try:
            with waiting():
                assert go_on.wait(LONG_S)
        except UpstreamBusy:
            refused.set()

    for _ in range(4):
        with_spare.submit(wait)
    eventually(lambda: (with_spare.nudge(), refused.is_set())[1])
    go_on.set()


def test_waits_for_the_database_take_no_place_and_are_bounded():
    pool = WorkerPool(1, remote_waits=1, database_waits=2)
    pool.start()
    go_on, refused, both = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def wait(what):
        try:
            with waiting(what), waiting(Wait.REMOTE):  # nested waits are one
                both.release()
                assert go_on.wait(10)
        except (Unavailable, UpstreamBusy):
            refused.release()

    for what in (Wait.DATABASE, Wait.DATABASE, Wait.DATABASE, Wait.REMOTE, Wait.REMOTE):
        pool.submit(lambda what=what: wait(what))
    for semaphore in (both, both, both, refused, refused):
        eventually(lambda each=semaphore: (pool.nudge(), each.acquire(blocking=False))[1])
    done = threading.Event()
    pool.submit(done.set)
    eventually(lambda: (pool.nudge(), done.is_set())[1])
    go_on.set()
    assert pool.stop(5)


def test_computations_take_turns_and_leave_their_places_while_they_wait():
    pool = WorkerPool(2, turn_waits=1)
    pool.start()
    first, both, done = threading.Event(), threading.Semaphore(0), threading.Event()

    def compute():
        with turn():
            both.release()
            assert first.wait(LONG_S)

    pool.submit(compute)
    eventually(lambda: (pool.nudge(), both.acquire(blocking=False))[1])
    pool.submit(compute)  # its place is free, for it waits
    eventually(lambda: (pool.nudge(), pool._waiting == 1)[1])
    pool.submit(compute)  # no more threads may wait so: it keeps the place
    eventually(lambda: (pool.nudge(), not pool.queue)[1])
    pool.submit(done.set)
    pool.nudge()
    assert not both.acquire(blocking=False), "two computed at a time"
    assert pool.queue
    first.set()
    eventually(lambda: (pool.nudge(), done.is_set())[1])
    assert pool.stop(5)
    assert pool._waiting == 0


def test_a_wait_in_another_thread_is_nobodys_business():
    with waiting():
        pass
