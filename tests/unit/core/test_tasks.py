"""Tasks: when they run, that they never run twice, what is seen of them, and how they end."""

import os
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from pydantic import Field, SecretStr

from repoman.db.cache import ReadCache
from repoman.errors import Conflict, Invalid, NotFound, Unavailable
from repoman.sections import Section
from repoman.security.actors import Actor, Limit
from repoman.tasks import runner as runner_module
from repoman.tasks import task_records as records
from repoman.tasks.model import FirstTask, RunState, TaskType
from repoman.tasks.runner import (
    ATTEMPTS_MAX,
    CLOCK_HOLD_S,
    KILLED,
    LEASE_S,
    SERVER_STOPPED,
    Runner,
)
from repoman.tasks.schedule import MANUAL, parse_schedule
from repoman.tasks.service import Tasks
from tests.clock import wait_until

HOUR = 3600.0
DAILY = parse_schedule("daily 03:00")
# A midnight, UTC.
MIDNIGHT = 1_790_035_200.0


class Time:
    """A clock, and the ticks of a machine, that a test moves."""

    def __init__(self):
        self.now, self.ticks = MIDNIGHT, 1000.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds
        self.ticks += seconds


class Settings(Section):
    hours: int = Field(24, ge=1)
    password: SecretStr = SecretStr("")


class Work:
    """What a task does in a test: it is counted, and waits for the test if it is to."""

    def __init__(self):
        self.count = 0
        self.begun, self.may_end = threading.Semaphore(0), threading.Event()
        self.may_end.set()
        self.result, self.error = "Done.", None
        self.settings = []

    def __call__(self, context):
        self.count += 1
        self.settings.append(context.settings(Settings))
        context.log("begun")
        context.progress(1, 2, "half")
        self.begun.release()
        while not self.may_end.wait(0.01):
            context.check_stop()
        if self.error is not None:
            raise self.error
        return self.result


@pytest.fixture
def time_():
    return Time()


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def types(work):
    made = [
        TaskType("work", "Work", work, Settings),
        TaskType("other", "Other work", lambda _: "", first=FirstTask("daily 01:00")),
    ]
    return {each.id: each for each in made}


@pytest.fixture
def tasks(database, types, time_):
    return Tasks(database, types, time_)


@pytest.fixture
def make_runner(database, types, time_):
    """Make the runner of a process; all are stopped at the end."""
    made = []

    def make(kind="server", **options):
        options = {"most": 2, "clock": time_, "ticks": lambda: time_.ticks, **options}
        runner = Runner(database, types, kind=kind, **options)
        made.append(runner)
        return runner

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def runner(make_runner):
    return make_runner()


def last_run(task):
    return records.list_runs(task.id, 1)[0]


def end_of(task):
    """The last run of a task, once it has ended."""
    return wait_until(lambda: last_run(task).is_over and last_run(task), what="the end of the run")


# --- Runs ----------------------------------------------------------------------------------------


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


@pytest.fixture
def running(tasks, runner, work):
    """A task that runs until the test lets it end."""
    work.may_end.clear()
    task = tasks.create("work", schedule=DAILY)
    tasks.run(task)
    runner.look()
    work.begun.acquire()
    return task


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


# --- Processes -----------------------------------------------------------------------------------


class Child:
    """A process that a test ends."""

    def __init__(self, run):
        self.run, self.status, self.is_terminated = run, None, False

    def poll(self):
        return self.status

    def terminate(self):
        self.is_terminated, self.status = True, -15


@pytest.fixture
def children():
    return []


@pytest.fixture
def process_runner(types, make_runner, children):
    types["work"] = replace(types["work"], place="process")
    return make_runner(launch=lambda run: children.append(Child(run)) or children[-1])


def test_a_process_takes_its_run_over(tasks, process_runner, make_runner, children, work):
    task = tasks.create("work")
    tasks.run(task)
    process_runner.look()
    [child] = wait_until(lambda: children, what="the process")
    assert child.run.state is RunState.RUNNING
    assert make_runner("process").adopt(child.run) is RunState.OK
    child.status = 0
    wait_until(lambda: not process_runner._threads, what="the end of the process")
    assert (last_run(task).state, last_run(task).result, work.count) == ("ok", "Done.", 1)


def test_a_process_notices_what_others_change_while_it_works(tasks, types, database, make_runner):
    found = ReadCache(database)

    def read():
        return found.get("x", lambda: database.revision("x"))

    def work(_context):
        assert read() == 0
        with closing(sqlite3.connect(database._path)) as other, other:
            other.execute("INSERT INTO revision (name, value) VALUES ('x', 1)")
        wait_until(lambda: read() == 1, what="the change by another process")
        return "Seen."

    types["work"] = TaskType("work", "Work", work)
    runner = make_runner("process", notice=database.notice_writes)
    run = tasks.run(tasks.create("work"))
    assert runner.execute(run) is RunState.OK
    assert tasks.get_run(run.id).result == "Seen."


def test_a_process_that_fails_fails_the_run(tasks, process_runner, children):
    task = tasks.create("work")
    tasks.run(task)
    process_runner.look()
    [child] = wait_until(lambda: children, what="the process")
    child.status = 3
    run = end_of(task)
    assert (run.state, "status 3" in run.result) == (RunState.FAILED, True)


def test_a_process_that_cannot_be_started_fails_the_run(tasks, types, make_runner):
    def launch(_):
        raise OSError(12, os.strerror(12))

    types["work"] = replace(types["work"], place="process")
    task = tasks.create("work")
    tasks.run(task)
    make_runner(launch=launch).look()
    assert "Cannot allocate memory" in end_of(task).result


def test_the_end_of_the_server_ends_its_processes(tasks, process_runner, children):
    task = tasks.create("work")
    tasks.run(task)
    process_runner.look()
    [child] = wait_until(lambda: children, what="the process")
    process_runner.stop()
    assert child.is_terminated
    states = [run.state for run in tasks.runs(task)]
    assert states == [RunState.QUEUED, RunState.INTERRUPTED]


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


# --- The service ---------------------------------------------------------------------------------


def test_a_task_is_created_changed_and_deleted(tasks, database):
    told = []
    database.on_change = lambda kind, target, attributes: told.append((kind, target, attributes))
    task = tasks.create("work", "Nightly", {"hours": 2, "password": "hidden"}, DAILY)
    assert tasks.get(task.id) == task
    assert task.next_at == MIDNIGHT + 3 * HOUR
    assert "hidden" not in str(task)
    assert tasks.settings_of(task) == {"hours": 2, "password": "**********"}
    changed = tasks.update(task, name="Daily", settings={"hours": 3, "password": "**********"})
    assert tasks.settings_of(changed)["hours"] == 3
    assert changed.settings["password"] != ""
    off = tasks.update(changed, is_enabled=False)
    assert off.next_at is None
    assert tasks.update(off, is_enabled=True, schedule=MANUAL).next_at is None
    tasks.run(task)
    tasks.delete(task)
    assert tasks.all() == []
    with pytest.raises(NotFound):
        tasks.get(task.id)
    assert [kind for kind, *_ in told] == [
        "task.create", "task.change", "task.change", "task.change", "task.run", "task.delete"
    ]  # fmt: skip
    assert told[1][2]["keys"] == "name settings.hours settings.password"


def test_what_is_wrong_is_refused(tasks):
    with pytest.raises(Invalid, match=r"no task type 'unknown'; choose one of: other, work\."):
        tasks.create("unknown")
    with pytest.raises(Invalid, match=r"settings\.hours: must be at least 1"):
        tasks.create("work", settings={"hours": 0})
    with pytest.raises(Invalid, match="name"):
        tasks.create("work", "a\nb")
    task = tasks.create("work", is_enabled=False)
    with pytest.raises(Conflict, match="disabled"):
        tasks.run(task)


def test_a_schedule_in_the_past_is_refused(tasks, time_):
    once = parse_schedule("once 2026-09-22T02:00")  # two hours after midnight
    task = tasks.create("work", schedule=once)
    assert task.next_at == MIDNIGHT + 2 * HOUR
    time_.pass_(3 * HOUR)
    with pytest.raises(Invalid, match=r"schedule: once 2026-09-22T02:00 is in the past\."):
        tasks.create("work", schedule=once)
    disabled = tasks.update(task, name="It ran.", is_enabled=False)
    with pytest.raises(Invalid, match="in the past"):
        tasks.update(disabled, is_enabled=True)
    assert tasks.create("work", schedule=once, is_enabled=False).next_at is None


def test_a_disabled_task_does_not_run(tasks, runner, time_, work):
    task = tasks.create("work", schedule=DAILY)
    runner.look()
    tasks.update(task, is_enabled=False)
    time_.pass_(24 * HOUR)
    runner.look()
    assert tasks.runs(task) == []


def test_a_change_by_another_process_counts_at_the_next_look(tasks, runner, time_, work):
    task = tasks.create("work", schedule=DAILY)
    runner.look()
    tasks.update(task, schedule=parse_schedule("hourly"))
    time_.pass_(HOUR)
    runner.look()
    end_of(task)
    assert work.count == 1


def test_first_tasks_are_created_once(tasks, time_):
    tasks.create_first()
    [task] = tasks.all()
    assert (task.type, task.name, str(task.schedule)) == ("other", "Other work", "daily 01:00")
    assert task.next_at == MIDNIGHT + HOUR
    tasks.create_first()
    assert tasks.all() == [task]
    tasks.delete(task)
    tasks.create_first()
    assert tasks.all() == []


def test_without_its_plugin_a_task_stays_and_does_not_run(
    database, tasks, make_runner, types, time_
):
    task = tasks.create("work", schedule=DAILY)
    del types["work"]
    time_.pass_(24 * HOUR)
    make_runner().look()
    assert tasks.all()[0].id == task.id
    assert tasks.title_of(task) == "work"
    assert tasks.settings_of(task) == {}
    assert tasks.runs(task) == []
    with pytest.raises(Invalid, match="no task type 'work'"):
        tasks.run(task)


# --- Types of the core ---------------------------------------------------------------------------


def test_expired_sessions_and_tokens_are_removed(repoman, monkeypatch):
    security, now = repoman.security, time.time()
    security.user_tokens.create("admin", "old", Limit(), days=1)
    security.sessions.begin(Actor("admin"), "", "")
    [task] = [each for each in repoman.tasks.all() if each.type == "security.purge-expired"]

    def run():
        run = repoman.tasks.run(task)
        assert repoman.make_runner().execute(run) == "ok"
        return repoman.tasks.get_run(run.id).result

    assert run() == ""
    for part in (security.sessions, security.user_tokens):
        monkeypatch.setattr(part, "_clock", lambda: now + 40 * 24 * HOUR)
    assert run() == "", "the clock has jumped"
    for part in (security.sessions, security.user_tokens):
        monkeypatch.setattr(part, "_confirmed", lambda: now + 40 * 24 * HOUR)
    assert run() == "Removed 1 expired sessions and 1 expired user tokens."
    assert run() == ""


def test_the_oldest_session_ends_where_there_are_too_many(repoman_factory):
    repoman = repoman_factory(sessions={"per_user": 2})
    sessions = repoman.security.sessions
    secrets = [sessions.begin(Actor("admin"), "", "") for _ in range(4)]
    assert [bool(sessions.find(each)) for each in secrets] == [False, False, True, True]


def test_the_caches_of_proxies_are_trimmed(repoman, monkeypatch):
    [task] = [each for each in repoman.tasks.all() if each.type == "repository.trim-caches"]
    monkeypatch.setattr(repoman.proxies, "trim_caches", lambda: 3)
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
    assert repoman.tasks.get_run(run.id).result == "Removed 3 files from caches."
