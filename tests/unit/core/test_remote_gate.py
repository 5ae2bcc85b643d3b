"""How many requests wait for one remote."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from repoman.errors import UpstreamBusy
from repoman.proxy.remote_health import WAITERS_MAX, WAITERS_PER_CONTENT_MAX, RemoteGate
from repoman.testing import Clock
from tests.clock import WAIT_S


@pytest.fixture
def clock():
    return Clock(0.0)


@pytest.fixture
def gate(clock):
    return RemoteGate("https://hub", clock)


@pytest.fixture
def full(gate):
    """Fill the gate, until the event is set."""
    go_on, inside = threading.Event(), threading.Barrier(WAITERS_MAX + 1)

    def wait():
        with gate.passed():
            inside.wait(WAIT_S)
            assert go_on.wait(WAIT_S)

    with ThreadPoolExecutor(WAITERS_MAX) as pool:
        for _ in range(WAITERS_MAX):
            pool.submit(wait)
        inside.wait(WAIT_S)
        yield go_on
        go_on.set()


def enter(gate):
    with gate.passed():
        return True


def test_who_is_inside_may_enter_again(gate):
    with gate.passed(), gate.passed():
        assert enter(gate)
    assert gate._inside == {}


def test_who_is_waited_for_takes_no_place(gate, full):
    with gate.waited_for():
        assert enter(gate)
    assert len(gate._inside) == WAITERS_MAX


def test_while_the_remote_is_quick_all_have_their_turn(gate, full):
    with ThreadPoolExecutor(1) as pool:
        next_one = pool.submit(enter, gate)
        full.set()
        assert next_one.result(WAIT_S)


def test_where_the_remote_is_slow_nobody_joins_the_queue(gate, full, clock):
    clock.jump(3)
    with pytest.raises(
        UpstreamBusy, match=f"https://hub is slow, and {WAITERS_MAX} requests"
    ) as caught:
        enter(gate)
    assert caught.value.retry_after == 10


def test_an_error_inside_leaves_the_place(gate):
    with pytest.raises(ValueError, match="no"), gate.passed():
        raise ValueError("no")
    assert gate._inside == {}


def test_one_thing_that_hangs_leaves_places_for_others(gate, clock):
    go_on, inside = threading.Event(), threading.Barrier(WAITERS_PER_CONTENT_MAX + 1)

    def wait():
        with gate.passed("an image"):
            inside.wait(10)
            assert go_on.wait(10)

    with ThreadPoolExecutor(WAITERS_PER_CONTENT_MAX) as pool:
        waiting = [pool.submit(wait) for _ in range(WAITERS_PER_CONTENT_MAX)]
        inside.wait(10)
        clock.jump(3)
        with (
            pytest.raises(
                UpstreamBusy,
                match=f"{WAITERS_PER_CONTENT_MAX} requests are already waiting for the same",
            ),
            gate.passed("an image"),
        ):
            pass
        with gate.passed("another"):
            assert enter(gate)
        go_on.set()
        assert [each.result(10) for each in waiting] == [None] * WAITERS_PER_CONTENT_MAX
