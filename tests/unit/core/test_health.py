"""The checks of the process: asked rarely, by one caller, and never for ever."""

import threading

import pytest

from repoman.health import FRESH_S, HUNG_S, Health


class Ticks:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def health(ticks):
    return Health(ticks)


def test_what_does_not_work_has_a_reason(health):
    health.add("good", str)
    health.add("bad", lambda: "It is broken.")
    health.add("worse", lambda: 1 / 0)
    assert health.problems() == {"bad": "It is broken.", "worse": "division by zero"}
    assert health.names() == ["good", "bad", "worse"]


def test_a_look_serves_all_who_ask_within_a_second(health, ticks):
    looks = []
    health.add("counted", lambda: looks.append(1) or "")
    for _ in range(5):
        health.problems()
    assert len(looks) == 1
    ticks.now += FRESH_S
    health.problems()
    assert len(looks) == 2


def test_a_check_that_hangs_holds_up_one_caller_and_is_a_problem(health, ticks):
    begun, go_on = threading.Event(), threading.Event()
    health.add("disk", lambda: (begun.set(), go_on.wait(10), "")[2])
    asking = threading.Thread(target=health.problems)
    asking.start()
    assert begun.wait(5)
    assert health.problems() == {}
    ticks.now += HUNG_S + 1
    assert list(health.problems()) == ["disk"]
    go_on.set()
    asking.join(5)
    assert health.problems() == {}
