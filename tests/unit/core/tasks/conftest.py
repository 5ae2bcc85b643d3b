"""Tasks of two types, and the runners of processes that a test lets look."""

import threading

import pytest
from pydantic import Field, SecretStr

from repoman.sections import Section
from repoman.tasks.model import FirstTask, TaskType
from repoman.tasks.runner import Runner
from repoman.tasks.service import Tasks
from tests.unit.core.tasks.runs import DAILY, MIDNIGHT


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


@pytest.fixture
def running(tasks, runner, work):
    """A task that runs until the test lets it end."""
    work.may_end.clear()
    task = tasks.create("work", schedule=DAILY)
    tasks.run(task)
    runner.look()
    work.begun.acquire()
    return task
