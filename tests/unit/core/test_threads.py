"""Threads of the server survive whatever goes wrong in them, and tell of it."""

import threading
import time

import pytest

from repoman.errors import Unavailable
from repoman.threads import DaemonPool, Periodic, Watch
from tests.clock import WAIT_S
from tests.live import wait_until


class Unspeakable(BaseException):
    def __str__(self):
        raise ZeroDivisionError


def failing(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [ValueError("odd"), SystemExit(3), KeyboardInterrupt(), MemoryError(), Unspeakable()]
)
def test_a_watch_lets_nothing_through(error, caplog):
    watch = Watch("worker")
    watch.run(failing(error))
    assert type(error).__name__ in watch.problem
    assert "Traceback" in caplog.text
    watch.run(bool)
    assert watch.problem == ""


def test_a_failure_is_logged_when_it_begins_and_when_it_changes(caplog):
    watch = Watch("worker")
    for error in (ValueError("file 1"), ValueError("file 2"), KeyError("b"), KeyError("b")):
        watch.run(failing(error))
    assert caplog.text.count("Traceback") == 2
    watch.run(lambda: {}["b"])  # the same error at another place
    assert caplog.text.count("Traceback") == 3
    watch.run(bool)
    watch.run(lambda: {}["b"])
    assert caplog.text.count("Traceback") == 4


def test_an_expected_failure_is_no_problem_of_the_thread(caplog):
    watch = Watch("worker")
    watch.run(failing(Unavailable("The database is busy.")))
    assert (watch.failure, watch.problem) == ("The database is busy.", "")
    assert "Traceback" not in caplog.text


def test_a_periodic_thread_goes_on_after_any_failure():
    errors = [SystemExit(), ValueError("a"), Unspeakable()]
    done = threading.Event()

    def work():
        if errors:
            raise errors.pop()
        done.set()

    thread = Periodic("worker", work, 0.001)
    thread.start()
    assert done.wait(5)
    wait_until(lambda: not thread.problem)
    thread.stop()
    assert thread.problem == ""


def test_a_periodic_thread_tells_what_is_wrong():
    thread = Periodic("worker", failing(ValueError("odd")), 0.001)
    assert thread.problem == ""
    thread.start()
    wait_until(lambda: thread.problem == "ValueError: odd")
    thread.stop()


def test_the_end_does_not_wait_for_a_thread_that_hangs():
    go_on = threading.Event()
    thread = Periodic("worker", go_on.wait, 0.001)
    thread.start()
    begin = time.monotonic()
    thread.stop(timeout=0.05)
    assert time.monotonic() - begin < 4
    go_on.set()


def test_a_loop_is_begun_again_until_it_returns():
    errors = [ValueError("b"), SystemExit()]
    watch = Watch("loop")

    def loop():
        if errors:
            raise errors.pop()

    watch.run_forever(loop)
    assert errors == []


def test_a_pool_returns_results_and_errors_side_by_side():
    pool, both = DaemonPool("pool", 2), threading.Barrier(2)
    meetings = [pool.submit(both.wait, 5) for _ in range(2)]
    assert sorted(each.result(5) for each in meetings) == [0, 1]
    with pytest.raises(SystemExit):
        pool.submit(failing(SystemExit())).result(5)
    assert [pool.submit(abs, -n).result(5) for n in range(20)] == list(range(20))


def test_threads_of_a_pool_are_bounded_and_end(monkeypatch):
    monkeypatch.setattr("repoman.threads.IDLE_S", 0.01)
    pool, go_on = DaemonPool("bounded", 2), threading.Event()
    waiting = [pool.submit(go_on.wait, 5) for _ in range(5)]

    def count():
        return sum(each.name == "bounded" for each in threading.enumerate())

    assert count() == 2
    assert all(each.daemon for each in threading.enumerate() if each.name == "bounded")
    go_on.set()
    assert all(each.result(5) for each in waiting)
    wait_until(lambda: count() == 0, what="the end of the threads")
    assert pool.submit(abs, -1).result(5) == 1


def test_a_periodic_thread_is_woken_before_its_time():
    done = threading.Semaphore(0)
    thread = Periodic("worker", done.release, 10_000.0)
    thread.start()
    for _ in range(3):
        assert done.acquire(timeout=WAIT_S)
        thread.wake()
    assert done.acquire(timeout=WAIT_S)
    thread.stop()
