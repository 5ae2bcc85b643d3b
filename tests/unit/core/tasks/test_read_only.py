"""In read-only mode tasks that write pause, and continue after it."""

import pytest

from repoman.errors import Frozen
from repoman.tasks.model import RunState, TaskType
from tests.clock import wait_until
from tests.unit.core.tasks.runs import DAILY, HOUR, end_of


def test_a_due_task_waits_for_the_end_of_the_mode(tasks, runner, database, time_, work):
    task = tasks.create("work", schedule=DAILY)
    runner.look()
    database.freeze("ann")
    time_.pass_(24 * HOUR)
    runner.look()
    assert tasks.runs(task) == []
    database.release()
    runner.look()
    assert end_of(task).state is RunState.OK
    assert work.count == 1


def test_a_requested_run_is_refused_and_a_queued_one_waits(tasks, runner, database, work):
    task = tasks.create("work")
    run = tasks.run(task)
    database.freeze("ann")
    with pytest.raises(Frozen):
        tasks.run(task)
    runner.look()
    assert tasks.get_run(run.id).state is RunState.QUEUED
    database.release()
    runner.look()
    assert end_of(task).state is RunState.OK


def test_a_running_task_ends_between_two_steps_and_begins_again(
    tasks, runner, database, running, work
):
    database.freeze("ann")
    runner.look()
    wait_until(lambda: len(tasks.runs(running)) == 2, what="the run was queued again")
    queued, ended = tasks.runs(running)
    assert (queued.state, ended.state) == (RunState.QUEUED, RunState.INTERRUPTED)
    assert "read-only mode" in ended.result
    assert queued.attempt == 0
    runner.look()
    assert work.count == 1
    work.may_end.set()
    database.release()
    runner.look()
    wait_until(lambda: tasks.get_run(queued.id).state is RunState.OK, what="the second run")
    assert work.count == 2


def test_a_run_that_meets_the_mode_while_it_writes_is_not_a_failure(
    tasks, runner, database, running, work
):
    work.error = Frozen("The server is in read-only mode.")
    work.may_end.set()
    wait_until(lambda: len(tasks.runs(running)) == 2, what="the run was queued again")
    assert tasks.runs(running)[1].state is RunState.INTERRUPTED
    assert runner.problem == ""


def test_a_task_that_only_reads_runs(tasks, runner, database, types, work):
    types["reads"] = TaskType("reads", "Reads", work, types["work"].settings, writes=False)
    task = tasks.create("reads")
    database.freeze("ann")
    tasks.run(task)
    runner.look()
    assert end_of(task).state is RunState.OK


def test_first_tasks_come_with_the_next_start(tasks, database):
    database.freeze("ann")
    tasks.create_first()
    assert tasks.all() == []
    database.release()
    tasks.create_first()
    assert [each.type for each in tasks.all()] == ["other"]
