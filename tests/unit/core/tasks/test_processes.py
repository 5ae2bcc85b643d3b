"""Runs in processes of their own."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from repoman.db.cache import ReadCache
from repoman.tasks.model import RunState, TaskType
from tests.clock import wait_until
from tests.unit.core.tasks.runs import end_of, last_run


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
