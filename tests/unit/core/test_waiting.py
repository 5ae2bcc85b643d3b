"""Which thread runs Python next."""

import threading

import pytest

from repoman import waiting
from repoman.waiting import RunSlot
from tests.clock import LONG_S, WAIT_S, wait_until


@pytest.fixture
def slot(monkeypatch):
    """The slot of the process, which nobody has."""
    slot = RunSlot()
    monkeypatch.setattr(waiting, "RUN_SLOT", slot)
    return slot


@pytest.fixture
def patient(monkeypatch):
    """Nobody loses the slot however slow the machine is."""
    monkeypatch.setattr(waiting, "PATIENCE_S", LONG_S)


@pytest.fixture
def begin():
    """Run functions in threads, which are joined at the end."""
    threads = []

    def begin(function):
        threads.append(threading.Thread(target=function))
        threads[-1].start()

    yield begin
    for thread in threads:
        thread.join(LONG_S)
    assert not any(thread.is_alive() for thread in threads)


def is_taken(slot: RunSlot) -> bool:
    """Whether a thread has the slot."""
    return slot._slot.run.locked()


def test_one_thread_at_a_time_has_the_slot(slot, patient, begin):
    running, most = [], []

    def work():
        for _ in range(50):
            slot.take()
            running.append(1)
            most.append(len(running))
            running.pop()
            slot.release()

    for _ in range(4):
        begin(work)
    wait_until(lambda: len(most) == 200, what="all work")
    assert max(most) == 1


def test_others_run_while_a_thread_waits_for_the_system(slot, patient, begin):
    has_run = threading.Event()
    slot.take()

    def other():
        slot.take()
        has_run.set()
        slot.release()

    begin(other)
    with waiting.blocking():
        assert has_run.wait(WAIT_S)
    assert is_taken(slot), "it has the slot again"
    assert slot.release()


def test_who_has_the_slot_for_too_long_loses_it(slot, begin):
    go_on, done = threading.Event(), threading.Semaphore(0)

    def slow():
        slot.take()
        assert go_on.wait(LONG_S)
        assert slot.release()
        done.release()

    def quick():
        slot.take()
        assert slot.release()
        done.release()

    begin(slow)
    wait_until(lambda: is_taken(slot), what="the slot to be taken")
    first = slot._slot
    for _ in range(3):
        begin(quick)
    for _ in range(3):
        assert done.acquire(timeout=WAIT_S)
    assert slot._slot is not first
    go_on.set()
    assert done.acquire(timeout=WAIT_S)
    assert not is_taken(slot)


def test_it_is_known_whether_a_worker_waits_for_the_slot(slot, patient, begin):
    slot.take()
    assert not slot.is_wanted
    begin(lambda: (slot.take(), slot.release()))
    wait_until(lambda: slot.is_wanted, what="a worker to wait")
    assert slot.release()
    wait_until(lambda: not slot.is_wanted, what="the worker to get it")


def test_a_loop_takes_the_slot_at_once_only_if_it_is_free(slot):
    slot.take()
    assert slot.take_at_once() is None
    assert slot.release()
    taken = slot.take_at_once()
    assert is_taken(slot)
    taken.release()
    assert not is_taken(slot)


def test_a_thread_keeps_the_slot_for_more_work(slot):
    slot.take()
    slot.keep()
    assert is_taken(slot)
    assert slot.release()
    assert not is_taken(slot)


def test_who_lost_the_slot_does_not_keep_it(slot, begin):
    is_over = threading.Event()
    slot.take()
    first = slot._slot

    def other():
        slot.take()
        assert slot.release()
        is_over.set()

    begin(other)
    assert is_over.wait(WAIT_S)
    slot.keep()
    assert slot._slot is not first
    assert is_taken(slot)
    assert not first.run.locked()
    assert slot.release()


def test_a_worker_gives_way_to_a_loop_after_its_share(slot, patient, monkeypatch, begin):
    monkeypatch.setattr(waiting, "BRIEF_PATIENCE_S", LONG_S)
    has_run = []

    def loop():
        taken = slot.take_briefly()
        has_run.append(True)
        taken.release()

    slot.take()
    begin(loop)
    wait_until(lambda: slot._slot.next.locked(), what="the loop to wait")
    monkeypatch.setattr(waiting, "SHARE_S", LONG_S)
    slot.keep()
    assert not has_run
    monkeypatch.setattr(waiting, "SHARE_S", 0.0)
    slot.keep()
    assert has_run
    assert is_taken(slot), "it has the slot again"
    assert slot.release()


class CountedLock:
    """A lock that knows how many threads have waited for it at most."""

    def __init__(self):
        self.lock, self.waiting, self.most = threading.Lock(), [], 0
        self.release, self.locked = self.lock.release, self.lock.locked

    def acquire(self, **how):
        self.waiting.append(1)
        self.most = max(self.most, len(self.waiting))
        try:
            return self.lock.acquire(**how)
        finally:
            self.waiting.pop()


def test_a_loop_does_not_wait_for_all_workers(slot, patient, monkeypatch, begin):
    monkeypatch.setattr(waiting, "BRIEF_PATIENCE_S", LONG_S)
    slot._slot.run = run = CountedLock()
    done = threading.Semaphore(0)

    def worker():
        slot.take()
        assert slot.release()
        done.release()

    def loop():
        slot.take_briefly().release()
        done.release()

    slot.take()
    begin(loop)
    for _ in range(20):
        begin(worker)
    wait_until(lambda: len(slot._waiting) == 20 and run.waiting, what="the loop and all workers")
    assert slot.release()
    for _ in range(21):
        assert done.acquire(timeout=WAIT_S)
    assert run.most <= 2, "one worker at a time competes with it"


def test_a_loop_goes_on_without_the_slot(slot, begin):
    is_over = threading.Event()
    slot.take()

    def loop():
        assert slot.take_briefly() is None
        is_over.set()

    begin(loop)
    assert is_over.wait(WAIT_S)
    assert slot.release()


def test_blocking_without_the_slot_takes_none(slot):
    with waiting.blocking():
        pass
    assert not is_taken(slot)
