"""The service: tasks are created, changed and deleted."""

import pytest

from repoman.errors import Invalid, NotFound, Unsupported
from repoman.tasks.schedule import MANUAL, parse_schedule
from tests.unit.core.tasks.runs import DAILY, HOUR, MIDNIGHT, end_of


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
    with pytest.raises(Unsupported, match="disabled"):
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
