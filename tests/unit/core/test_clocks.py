"""The confirmed time: a clock that jumps is not believed at once."""

import pytest

from repoman.clocks import ConfirmedClock

NOW = 1_800_000_000.0
YEAR = 365 * 86_400.0


class Machine:
    """A clock that may be set, and seconds that only go forward."""

    def __init__(self):
        self.wall, self.up = NOW, 100.0

    def pass_by(self, seconds):
        self.wall += seconds
        self.up += seconds


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def make(machine):
    def make(known=None):
        clock = lambda: machine.wall  # noqa: E731
        return ConfirmedClock(clock, known, slack=60, hold=1000, ticks=lambda: machine.up)

    return make


def test_a_clock_that_goes_on_is_believed(machine, make):
    clock = make()
    machine.pass_by(5000)
    assert clock() == machine.wall


def test_a_jump_and_back_never_shows(machine, make):
    clock = make()
    machine.wall += YEAR
    machine.pass_by(10)
    assert clock() == NOW + 10
    machine.wall -= YEAR
    machine.pass_by(10)
    assert clock() == NOW + 20


def test_a_jump_that_stays_counts_after_a_while(machine, make):
    clock = make()
    machine.wall += YEAR
    assert clock() == NOW
    machine.pass_by(999)
    assert clock() == NOW + 999
    machine.pass_by(1)
    assert clock() == NOW + YEAR + 1000


def test_each_other_jump_begins_the_while_anew(machine, make):
    clock = make()
    for _ in range(5):
        machine.wall += YEAR
        assert clock() < NOW + YEAR
        machine.pass_by(900)
    assert clock() < NOW + YEAR


def test_a_clock_that_is_set_back_is_believed(machine, make):
    clock = make()
    machine.wall -= YEAR
    assert clock() == NOW - YEAR
    machine.wall += YEAR
    assert clock() == NOW - YEAR  # the way back is a jump, too


def test_a_little_is_set_right_at_once(machine, make):
    clock = make()
    machine.wall += 59
    assert clock() == NOW + 59


def test_a_clock_that_is_wrong_from_the_first_is_compared_with_what_is_known(machine, make):
    machine.wall += YEAR
    clock = make(known=NOW)
    assert clock() == NOW
    machine.wall -= YEAR
    assert clock() == NOW
