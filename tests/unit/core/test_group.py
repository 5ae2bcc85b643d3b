"""Members asked one after the other, and side by side."""

import threading

import pytest

from repoman.errors import (
    Conflict,
    NotFound,
    StorageFull,
    Unavailable,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from repoman.group.asking import MEMBER_THREADS_MAX, MemberPool, first_found
from tests.clock import WAIT_S

ABSENT = NotFound("Nothing.")
FULL = StorageFull("The disk is full.")
BROKEN = Unavailable("The disk is broken.")
DOWN = UpstreamUnavailable("The remote is down.")
LIMITED = UpstreamRateLimited("The remote has enough.", 7)


def ask(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


def first(*answers):
    members = [(f"m{number}", each) for number, each in enumerate(answers)]
    return first_found(members, ask)


@pytest.mark.parametrize("error", [ABSENT, FULL, BROKEN, DOWN, LIMITED], ids=str)
def test_one_that_cannot_answer_is_passed_over(error):
    assert first(error, "found", "later") == ("m1", "found")


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([ABSENT, ABSENT], ABSENT),
        ([ABSENT, DOWN, ABSENT], DOWN),
        ([FULL, DOWN], FULL),
        ([DOWN, LIMITED, ABSENT], LIMITED),
    ],
)
def test_what_is_told_if_nobody_answers(errors, told):
    with pytest.raises(type(told)) as caught:
        first(*errors)
    assert caught.value is told


def test_nobody_to_be_asked_is_an_absence():
    with pytest.raises(NotFound):
        first()


def test_other_errors_are_the_answer():
    with pytest.raises(Conflict):
        first(Conflict("No."), "found")
    with pytest.raises(ZeroDivisionError):
        first(ZeroDivisionError(), "found")


def test_a_member_that_is_late_is_left_out():
    never = threading.Event()

    def wait(member):
        return never.wait(WAIT_S) if member is None else member

    found = MemberPool().collect([("slow", None), ("fast", 1)], wait, 2.0)
    never.set()
    assert found.answers == [1]
    [(name, error)] = found.failures
    assert name == "slow"
    assert isinstance(error, UpstreamTimeout)


def test_a_quick_member_waits_for_no_other_one():
    never = threading.Event()
    slow = [(f"slow{number}", number) for number in range(2 * MEMBER_THREADS_MAX)]

    def wait(member):
        return never.wait(WAIT_S) if member >= 0 else "here"

    found = MemberPool().collect([*slow, ("quick", -1)], wait, 0.2, lambda member: member < 0)
    never.set()
    assert found.answers == ["here"]
    assert len(found.failures) == len(slow)


def test_a_quick_member_that_fails_is_left_out_too():
    found = MemberPool().collect(
        [("a", FULL), ("b", 1)], ask, WAIT_S, lambda member: member is FULL
    )
    assert (found.answers, found.failures) == ([1], [("a", FULL)])


def test_whoever_wants_to_leaves_out_members_that_fail_in_any_way():
    found = MemberPool(Exception).collect([("zero", 0), ("one", 1)], lambda each: 1 / each, 5.0)
    assert found.answers == [1]
    assert [(name, type(error)) for name, error in found.failures] == [("zero", ZeroDivisionError)]
    with pytest.raises(ZeroDivisionError):
        MemberPool().collect([("zero", 0)], lambda each: 1 / each, 5.0)


def test_a_late_member_is_late_also_where_every_failure_is_one():
    never = threading.Event()
    found = MemberPool(Exception).collect([("slow", None)], lambda _: never.wait(WAIT_S), 0.1)
    never.set()
    assert isinstance(found.failures[0][1], UpstreamTimeout)
