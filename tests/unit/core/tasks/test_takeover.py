"""What becomes of a run when its process, or the clock, does not do as expected."""

import pytest

from repoman.errors import Conflict
from repoman.tasks import task_records as records
from repoman.tasks.model import RunState
from repoman.tasks.runner import ATTEMPTS_MAX, CLOCK_HOLD_S, KILLED, LEASE_S, SERVER_STOPPED
from tests.clock import wait_until
from tests.unit.core.tasks.runs import DAILY, HOUR, end_of, last_run


def test_the_end_of_the_server_interrupts_runs_and_the_next_one_continues(
    tasks, runner, running, make_runner, work
):
    runner.stop()
    run = tasks.runs(running)[-1]
    assert (run.state, run.result) == (RunState.INTERRUPTED, SERVER_STOPPED)
    work.may_end.set()
    make_runner().look()
    assert end_of(running).state is RunState.OK
    assert work.count == 2


def test_what_a_killed_server_ran_is_taken_over_at_the_start(
    tasks, runner, running, make_runner, work
):
    killed = last_run(running)
    next_one = make_runner()
    next_one.start()  # there is one server at a time: the other one has ended
    next_one.thread.stop()
    run = tasks.get_run(killed.id)
    assert (run.state, run.result) == (RunState.INTERRUPTED, KILLED)
    wait_until(lambda: next_one.look() or work.count == 2, what="the run that takes over")
    assert last_run(running).attempt == 1


def test_what_a_killed_command_ran_can_be_run_again(tasks, make_runner, work):
    killed = make_runner("command")
    work.may_end.clear()
    task = tasks.create("work")
    tasks.run(task)
    killed.look()
    work.begun.acquire()
    with pytest.raises(Conflict, match="running already"):
        tasks.run(task)
    next_one = make_runner("command")
    next_one.recover()  # it holds the blob stores: the other one has ended
    work.may_end.set()
    assert next_one.execute(tasks.run(task)) is RunState.OK
    states = [run.state for run in tasks.runs(task)]
    assert states == [RunState.OK, RunState.INTERRUPTED]


def test_a_lease_that_is_not_renewed_is_taken_over(tasks, make_runner, time_, work):
    other = make_runner("process")
    work.may_end.clear()
    task = tasks.create("work")
    tasks.run(task)
    other.look()
    work.begun.acquire()
    runner = make_runner()
    for _ in range(10):  # it is renewed: nothing is taken over
        time_.pass_(LEASE_S / 2)
        other.look()
        runner.look()
    assert work.count == 1
    time_.pass_(LEASE_S / 2)
    runner.look()
    assert last_run(task).state is RunState.RUNNING
    time_.pass_(LEASE_S / 2)
    runner.look()
    runner.look()
    work.begun.acquire()
    assert work.count == 2
    other.look()  # it is late, notices that, and changes nothing
    work.may_end.set()
    states = [run.state for run in tasks.runs(task)]
    assert states[1:] == [RunState.INTERRUPTED]
    assert end_of(task).state is RunState.OK


def test_a_task_that_kills_its_process_does_not_do_so_forever(tasks, make_runner, time_, work):
    task = tasks.create("work")
    tasks.run(task)
    for number in range(ATTEMPTS_MAX + 2):
        waiting = records.list_open_runs()
        if not waiting:
            break
        assert waiting[0].attempt == number
        with tasks._database.transaction():
            records.claim_run(waiting[0], "server:dead", time_.now, time_.now)
        runner = make_runner()
        runner.recover()
    assert number == ATTEMPTS_MAX
    assert len(tasks.runs(task)) == ATTEMPTS_MAX


# --- Clocks --------------------------------------------------------------------------------------


def test_a_clock_that_jumps_ahead_makes_nothing_due_before_it_has_stayed(
    tasks, runner, time_, work
):
    task = tasks.create("work", schedule=DAILY)
    runner.look()
    time_.now += 400 * 24 * HOUR
    runner.look()
    assert not tasks.runs(task)
    time_.pass_(CLOCK_HOLD_S)
    runner.look()
    end_of(task)
    assert work.count == 1


def test_a_clock_that_is_set_back_delays_no_task(tasks, runner, time_, work):
    task = tasks.create("work", schedule=DAILY)
    time_.now -= 400 * 24 * HOUR  # it was created by a clock that was ahead
    runner.look()
    assert tasks.get(task.id).next_at == time_.now + 3 * HOUR
    time_.pass_(3 * HOUR)
    runner.look()
    end_of(task)
    assert work.count == 1


def test_a_clock_that_jumps_takes_no_lease(tasks, runner, running, make_runner, time_, work):
    other = make_runner()
    other.look()
    time_.now += 400 * 24 * HOUR
    other.look()
    other.look()
    assert [run.state for run in tasks.runs(running)] == [RunState.RUNNING]
