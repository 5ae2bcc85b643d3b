"""Runs: when a task runs, never twice at once, what is seen of it, and how it ends."""

from dataclasses import replace

import pytest

from repoman.catalog.sample_records import Samples
from repoman.errors import Conflict, Unavailable
from repoman.tasks import runner as runner_module
from repoman.tasks import task_records as records
from repoman.tasks.model import RunState
from repoman.tasks.schedule import parse_schedule
from tests.clock import wait_until
from tests.unit.core.tasks.runs import DAILY, HOUR, MIDNIGHT, end_of, last_run


def test_a_task_runs_when_it_is_due(tasks, runner, time_, work):
    task = tasks.create("work", schedule=DAILY)
    runner.look()
    assert tasks.runs(task) == []
    time_.pass_(3 * HOUR)
    runner.look()
    run = end_of(task)
    assert (run.state, run.result, run.attempt) == (RunState.OK, "Done.", 0)
    assert (run.done, run.total) == (1, 2)
    assert [line.text for line in tasks.lines(run)] == ["begun"]
    runner.look()
    assert (work.count, len(tasks.runs(task))) == (1, 1)
    assert tasks.get(task.id).next_at == MIDNIGHT + 27 * HOUR


def test_what_was_missed_runs_once(tasks, make_runner, time_, work):
    task = tasks.create("work", schedule=DAILY)
    time_.pass_(75 * HOUR)
    runner = make_runner()
    for _ in range(3):
        runner.look()
    end_of(task)
    runner.look()
    assert (work.count, len(tasks.runs(task))) == (1, 1)


def test_a_task_runs_on_request(tasks, runner, work):
    task = tasks.create("work", settings={"hours": 5})
    tasks.run(task)
    tasks.run(task)  # it waits already
    runner.look()
    assert end_of(task).state is RunState.OK
    assert (work.count, work.settings[0].hours) == (1, 5)


def test_two_processes_run_it_once(tasks, make_runner, time_, work):
    runners = [make_runner(), make_runner()]
    work.may_end.clear()
    task = tasks.create("work", schedule=parse_schedule("cron */20 * * * * *"))
    for each in runners:
        each.look()
    for _ in range(6):
        time_.pass_(20)
        for each in runners:
            each.look()
        assert len([run for run in records.list_open_runs() if run.state == "running"]) == 1
    work.begun.acquire()
    assert work.count == 1
    work.may_end.set()
    wait_until(lambda: not [run for run in records.list_open_runs() if run.state == "running"])
    for each in runners:
        each.look()
    end_of(task)
    assert work.count == 2  # what was due while it ran, once


def test_of_one_type_one_runs_at_a_time(tasks, runner, work):
    work.may_end.clear()
    first, second = tasks.create("work", "first"), tasks.create("work", "second")
    for each in (first, second):
        tasks.run(each)
    runner.look()
    work.begun.acquire()
    runner.look()
    assert last_run(second).state is RunState.QUEUED
    work.may_end.set()
    end_of(first)
    runner.look()
    end_of(second)


def test_no_more_run_at_a_time_than_the_settings_say(tasks, make_runner, work, types):
    runner = make_runner(most=1)
    work.may_end.clear()
    first, other = tasks.create("work"), tasks.create("other")
    tasks.run(first)
    tasks.run(other)
    runner.look()
    work.begun.acquire()
    runner.look()
    assert last_run(other).state is RunState.QUEUED
    work.may_end.set()
    end_of(first)
    wait_until(lambda: runner.look() or last_run(other).is_over, what="the other run")


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Unavailable("The disk is away."), "The disk is away."),
        (ValueError("secret"), "An unexpected error; see the server log."),
        (SystemExit(), "An unexpected error; see the server log."),
    ],
)
def test_a_failure_is_told(tasks, runner, work, error, result):
    work.error = error
    task = tasks.create("work")
    tasks.run(task)
    runner.look()
    run = end_of(task)
    assert (run.state, run.result) == (RunState.FAILED, result)


def test_settings_that_are_not_valid_any_more_fail_the_run(tasks, runner, database, work):
    task = tasks.create("work")
    with database.transaction():
        records.update_task(replace(task, settings={"hours": 0}))
    tasks.run(task)
    runner.look()
    run = end_of(task)
    assert run.state is RunState.FAILED
    assert "settings.hours" in run.result
    assert work.count == 0


def test_of_runs_without_anything_to_do_one_is_kept(tasks, runner, work):
    task = tasks.create("work")
    for result in ("", "", "", "Done.", "", ""):
        work.result = result
        tasks.run(task)
        runner.look()
        end_of(task)
    assert [run.result for run in tasks.runs(task)] == ["", "Done.", ""]


def test_old_runs_are_removed(tasks, runner, monkeypatch):
    monkeypatch.setattr(records, "RUNS_KEPT", 3)
    task = tasks.create("work")
    ids = []
    for _ in range(6):
        ids.append(tasks.run(task).id)
        runner.look()
        end_of(task)
        wait_until(lambda: len(tasks.runs(task)) <= 3, what="the removal")
    assert [run.id for run in tasks.runs(task)] == ids[:-4:-1]


def test_a_long_log_keeps_its_end(tasks, runner, database, monkeypatch):
    monkeypatch.setattr(records, "LINES_KEPT", 3)
    task = tasks.create("work")
    run = tasks.run(task)
    for first in (0, 2, 4):
        with database.transaction():
            records.append_lines(run.id, [(0.0, str(first)), (0.0, str(first + 1))])
    assert [(each.number, each.text) for each in tasks.lines(run)] == [(4, "3"), (5, "4"), (6, "5")]
    assert [each.number for each in tasks.lines(run, after=4)] == [5, 6]


def test_an_end_that_cannot_be_recorded_at_once_loses_no_line(tasks, runner, work, monkeypatch):
    monkeypatch.setattr(runner_module, "END_RETRY_S", 0.01)
    answers = [Unavailable("The database is busy."), Unavailable("The database is busy.")]
    end_run = records.end_run

    def end(*arguments):
        if answers:
            raise answers.pop()
        return end_run(*arguments)

    monkeypatch.setattr(records, "end_run", end)
    task = tasks.create("work")
    tasks.run(task)
    runner.look()
    assert [line.text for line in tasks.lines(end_of(task))] == ["begun"]
    assert answers == []


def test_a_check_that_fails_keeps_no_other_task_from_its_run(tasks, runner, types, time_, work):
    def fail():
        raise ValueError("of a plugin")

    types["other"] = replace(types["other"], is_needed=fail)
    failing, task = tasks.create("other", schedule=DAILY), tasks.create("work", schedule=DAILY)
    runner.look()
    time_.pass_(3 * HOUR)
    runner.look()
    assert end_of(task).state is RunState.OK
    assert end_of(failing).state is RunState.OK


# --- While it runs -------------------------------------------------------------------------------


def test_progress_and_log_are_seen_while_it_runs(tasks, runner, running):
    runner.look()
    run = last_run(running)
    assert (run.state, run.done, run.total, run.message) == (RunState.RUNNING, 1, 2, "half")
    assert [line.text for line in tasks.lines(run)] == ["begun"]
    assert [state.current.id for state in tasks.states() if state.current] == [run.id]


def test_a_run_is_stopped(tasks, runner, running):
    tasks.stop(running)
    runner.look()
    assert end_of(running).state is RunState.STOPPED
    runner.look()
    assert last_run(running).state is RunState.STOPPED
    with pytest.raises(Conflict, match="is not running"):
        tasks.stop(running)


def test_a_run_that_waits_is_cancelled(tasks, runner, work):
    task = tasks.create("work")
    tasks.run(task)
    tasks.stop(task)
    runner.look()
    assert (last_run(task).state, work.count) == (RunState.STOPPED, 0)


def test_a_running_task_is_neither_run_again_nor_deleted(tasks, running):
    with pytest.raises(Conflict, match="running already"):
        tasks.run(running)
    with pytest.raises(Conflict, match="Stop it first"):
        tasks.delete(running)


def test_what_a_run_frees_adds_up_by_run_and_by_day(tasks, runner, time_, work):
    task = tasks.create("work")
    work.may_end.clear()
    tasks.run(task)
    runner.look()
    work.begun.acquire()
    [execution] = runner._executions.values()
    execution.context.freed(100)
    runner.look()
    assert last_run(task).freed_bytes == 100, "while it runs"
    execution.context.freed(11)
    work.may_end.set()
    assert end_of(task).freed_bytes == 111
    time_.pass_(30 * HOUR)
    tasks.run(task)
    runner.look()
    end_of(task)
    assert last_run(task).freed_bytes == 0
    assert Samples.list("freed work", "day") == [(MIDNIGHT, 111.0)]
    assert sum(n for _, n in Samples.list("freed work", "hour")) == 111.0


def test_freed_bytes_that_could_not_be_written_are_written_later(tasks, runner, running, work):
    [execution] = runner._executions.values()
    execution.context.freed(7)
    lines, freed = execution.context.take_lines(), execution.context.take_freed()
    execution.context.put_back(lines, freed)
    work.may_end.set()
    assert end_of(running).freed_bytes == 7
