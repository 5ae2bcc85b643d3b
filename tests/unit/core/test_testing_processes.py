"""What a test runs in a process of its own."""

import threading

from repoman.testing import processes
from repoman.testing.processes import run_in_process

LOCK = threading.Lock()


class Methods:
    """Such as a test has."""

    def take_the_lock(self) -> None:
        with LOCK:
            assert threading.enumerate() == [threading.main_thread()]

    def fail(self, why: str) -> None:
        raise ValueError(why)

    def wait_for_ever(self) -> None:
        threading.Event().wait()

    def leave_a_thread(self) -> None:
        threading.Thread(target=self.wait_for_ever).start()


def test_a_lock_that_is_held_here_is_free_there():
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with LOCK:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    try:
        assert run_in_process(Methods().take_the_lock) == ""
    finally:
        done.set()
        thread.join()


def test_it_is_told_how_a_method_ends():
    methods = Methods()
    assert "ValueError: no such luck" in run_in_process(methods.fail, "no such luck")
    assert run_in_process(methods.leave_a_thread) == ""


def test_a_method_that_hangs_is_ended_and_tells_where(monkeypatch):
    monkeypatch.setattr(processes, "TIMEOUT_S", 2.0)
    told = run_in_process(Methods().wait_for_ever)
    assert "exit status 1" in told
    assert "in wait_for_ever" in told
