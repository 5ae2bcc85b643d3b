"""The tasks of a server, for its command line, REST and pages.

Rights are those of the domain ``tasks``: each method says which action it takes. Whoever calls a
method checks it, as for all administration (``Authorizer.may_administer``).
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from repoman.db.database import Database
from repoman.errors import Conflict, Invalid, NotFound, Unsupported
from repoman.sections import Section, merge
from repoman.tasks import task_records as records
from repoman.tasks.model import Line, Run, RunState, Task, TaskType
from repoman.tasks.runner import TASKS
from repoman.tasks.schedule import MANUAL, Frequency, Schedule, parse_schedule

NAME_MAX_CHARS = 200  # The longest name of a task.
RUNS_LISTED = 30  # Runs that are listed of a task.
LINES_LISTED = 1_000  # Lines of a log that are listed at once.


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task with its queued or running run, if any, and the last run that ended."""

    task: Task
    current: Run | None = None
    last: Run | None = None


class Tasks:
    """All tasks of one database; thread safe.

    Args:
        types: the types of tasks, by their ids.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        types: Mapping[str, TaskType],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._types = types
        self._clock = clock
        self._wake: Callable[[], object] = _wake_nobody

    def on_request(self, wake: Callable[[], object]) -> None:
        """Have ``wake`` called after each requested run, so that it begins at once."""
        self._wake = wake

    # Reading: the action "read" -----------------------------------------------------------------

    def types(self) -> list[TaskType]:
        """Return the types that tasks can be created of, by title."""
        visible = [each for each in self._types.values() if each.is_visible]
        return sorted(visible, key=lambda each: each.title)

    def find_type(self, type_id: str) -> TaskType | None:
        """Return the type with an id, which may be one of its other ids, or None."""
        found = self._types.get(type_id)
        if found is not None:
            return found
        return next((each for each in self._types.values() if type_id in each.aliases), None)

    def get_type(self, type_id: str) -> TaskType:
        """Return the type with an id, which may be one of its other ids.

        Raises:
            Invalid: there is none.
        """
        type_ = self.find_type(type_id)
        if type_ is None:
            known = ", ".join(each.id for each in self.types())
            raise Invalid(
                f"type: there is no task type {type_id!r}; choose one of: {known}.", field="type"
            )
        return type_

    def title_of(self, task: Task) -> str:
        """Return the title of the type of a task, or its id if no plugin provides the type."""
        type_ = self._types.get(task.type)
        return task.type if type_ is None else type_.title

    def settings_of(self, task: Task) -> dict[str, Any]:
        """Return the settings of a task as plain values; secrets are masked."""
        settings = self.read_settings(task)
        return {} if settings is None else settings.model_dump(mode="json")

    def read_settings(self, task: Task) -> Section | None:
        """Return the settings of a task, with its secrets; None if no plugin provides its type."""
        type_ = self._types.get(task.type)
        if type_ is None:
            return None
        return type_.parse(self._database.keyring.unseal(task.settings))

    def all(self) -> list[Task]:
        """Return the tasks that people see, by name."""
        hidden = {each.id for each in self._types.values() if not each.is_visible}
        tasks = [task for task in records.list_tasks() if task.type not in hidden]
        return sorted(tasks, key=lambda task: (task.name.lower(), task.id))

    def states(self) -> list[TaskState]:
        """Return the tasks that people see with their runs, by name."""
        open_runs: dict[int, Run] = {}
        for run in records.list_open_runs():
            if run.task_id not in open_runs or run.state is RunState.RUNNING:
                open_runs[run.task_id] = run
        ended = records.list_last_runs()
        return [TaskState(each, open_runs.get(each.id), ended.get(each.id)) for each in self.all()]

    def get(self, task_id: int) -> Task:
        """Return a task.

        Raises:
            NotFound: there is none with this id.
        """
        task = records.find_task(task_id)
        if task is None:
            raise NotFound(f"There is no task with the id {task_id}.")
        return task

    def get_by_uid(self, uid: str) -> Task:
        """Return the task with this id for clients of the REST API.

        Raises:
            NotFound: there is none, or people do not see it.
        """
        task = records.find_task_by_uid(uid)
        type_ = None if task is None else self._types.get(task.type)
        if task is None or (type_ is not None and not type_.is_visible):
            raise NotFound(f"There is no task with the id {uid}.")
        return task

    def state_of(self, task: Task) -> TaskState:
        """Return a task with its runs."""
        runs = records.list_runs(task.id, 3)  # One may wait, one may run, and one has ended.
        open_runs = [each for each in runs if not each.is_over]
        running = [each for each in open_runs if each.state is RunState.RUNNING]
        ended = next((each for each in runs if each.is_over), None)
        return TaskState(task, next(iter([*running, *open_runs]), None), ended)

    def runs(self, task: Task, limit: int = RUNS_LISTED) -> list[Run]:
        """Return the runs of a task, the newest first."""
        return records.list_runs(task.id, limit)

    def get_run(self, run_id: int) -> Run:
        """Return a run.

        Raises:
            NotFound: there is none with this id; runs are removed with their task or by newer ones.
        """
        run = records.find_run(run_id)
        if run is None:
            raise NotFound(f"There is no run with the id {run_id}.")
        return run

    def next_run(self, task: Task) -> float | None:
        """Return when a task runs next by its schedule, in seconds since the epoch."""
        now = self._clock()
        if task.next_at is None or task.next_at > now:
            return task.next_at
        return task.schedule.next_after(now) or task.next_at

    def next_runs(self, task: Task, count: int) -> list[float]:
        """Return at most ``count`` times when a task runs next by its schedule."""
        first = self.next_run(task)
        return [] if first is None else [first, *task.schedule.list_next(first, count - 1)]

    def fire_times(self, schedule: Schedule, count: int) -> list[float]:
        """Return at most ``count`` times of a schedule from now on, in seconds since the epoch."""
        return schedule.list_next(self._clock(), count)

    def lines(self, run: Run, after: int = 0, limit: int = LINES_LISTED) -> list[Line]:
        """Return lines of the log of a run whose numbers are above ``after``, in order."""
        return records.list_lines(run.id, after, limit)

    # Changing -----------------------------------------------------------------------------------

    def create(
        self,
        type_id: str,
        name: str = "",
        settings: Mapping[str, Any] | None = None,
        schedule: Schedule = MANUAL,
        *,
        is_enabled: bool = True,
        kept: Mapping[str, Any] | None = None,
    ) -> Task:
        """Create a task and return it; the action "create".

        Without a name it gets the title of its type. ``kept`` is stored with it, for who asks.

        Raises:
            Invalid: the type, the name or a setting is wrong, or the schedule is in the past.
        """
        type_ = self.get_type(type_id)
        parsed = type_.parse(settings or {})
        name = _checked_name(name.strip() or type_.title)
        with self._database.transaction():
            values = parsed.sealed(self._database.keyring.seal)
            task = self._insert(Task(0, type_.id, name, values, schedule, is_enabled), kept)
            self._note("create", task, type=type_.id, schedule=str(schedule))
        return task

    def update(
        self,
        task: Task,
        *,
        name: str | None = None,
        settings: Mapping[str, Any] | None = None,
        schedule: Schedule | None = None,
        is_enabled: bool | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> Task:
        """Change the given values of a task and return it; the action "update".

        A run that has begun keeps the settings with which it began.

        Raises:
            NotFound: the task was deleted.
            Invalid: a value is wrong, the schedule of an enabled task is in the past, or no plugin
                provides the type.
        """
        type_ = self.get_type(task.type)
        with self._database.transaction():
            old = self.get(task.id)
            new = old if name is None else replace(old, name=_checked_name(name.strip()))
            if settings is not None:
                opened = self._database.keyring.unseal(old.settings)
                parsed = type_.parse(merge(type_.settings, opened, settings))
                new = replace(new, settings=parsed.sealed(self._database.keyring.seal))
            if schedule is not None:
                new = replace(new, schedule=schedule)
            if kept is not None:
                new = replace(new, kept=kept)
            if is_enabled is not None:
                new = replace(new, is_enabled=is_enabled)
            if (new.schedule, new.is_enabled) != (old.schedule, old.is_enabled):
                new = replace(new, next_at=self._due(new))
            records.update_task(new)
            self._note("change", new, keys=" ".join(_changes(old, new, settings or {})))
        return new

    def delete(self, task: Task) -> None:
        """Remove a task with its runs; the action "delete".

        Raises:
            NotFound: the task was deleted already.
            Conflict: it is running.
        """
        with self._database.transaction():
            self.get(task.id)
            runs = records.list_runs(task.id, RUNS_LISTED)
            if any(run.state is RunState.RUNNING for run in runs):
                raise Conflict(f"The task {task.name!r} is running. Stop it first.")
            # No run begins from here on; the runs are removed one by one, with their logs.
            records.update_task(replace(task, is_enabled=False, next_at=None))
            for run in runs:
                records.cancel_queued(run.id, "The task was deleted.", self._clock())
        for run_id in records.list_run_ids(task.id):
            with self._database.transaction():
                records.delete_run(run_id)
        with self._database.transaction():
            records.delete_task(task.id)
            self._note("delete", task, type=task.type)

    def run(self, task: Task) -> Run:
        """Queue a run of a task and return it; the action "start".

        The process that runs tasks begins it within seconds. A task has at most one queued run.

        Raises:
            NotFound: the task was deleted.
            Invalid: no plugin provides its type.
            Unsupported: it is disabled.
            Conflict: it is running.
            Frozen: it pauses, because the server is in read-only mode.
        """
        if self.get_type(task.type).writes:
            self._database.read_only.check()
        with self._database.transaction():
            if not self.get(task.id).is_enabled:
                raise Unsupported(f"The task {task.name!r} is disabled. Enable it first.")
            latest = records.list_runs(task.id, 1)
            if latest and latest[0].state is RunState.RUNNING:
                raise Conflict(f"The task {task.name!r} is running already.")
            run_id = records.queue_run(task, self._clock())
            self._note("run", task)
        self._wake()
        return self.get_run(run_id)

    def stop(self, task: Task) -> None:
        """Ask the run of a task to stop, or cancel it before it begins; the action "stop".

        Raises:
            Conflict: it is neither running nor queued.
        """
        with self._database.transaction():
            runs = [run for run in records.list_runs(task.id, 2) if not run.is_over]
            if not runs:
                raise Conflict(f"The task {task.name!r} is not running.")
            for run in runs:
                if not records.cancel_queued(run.id, "The task was stopped.", self._clock()):
                    records.request_stop(run.id)
            self._note("stop", task)

    def start(self, type_id: str, name: str, settings: Mapping[str, Any]) -> Task:
        """Run a task with exactly these settings, which is created if there is none; return it.

        ``name`` is that of a new one, which runs only on request.

        Raises:
            Invalid: the type or a setting is wrong.
            Conflict: it is running already.
        """
        wanted = self.get_type(type_id).parse(settings).model_dump(mode="json")
        found = next(
            (
                each
                for each in self.all()
                if each.type == type_id and each.is_enabled and self.settings_of(each) == wanted
            ),
            None,
        )
        task = found or self.create(type_id, name, settings)
        self.run(task)
        return task

    def request(self, type_id: str) -> None:
        """Queue runs of the enabled tasks of a type for the program itself; joins a transaction."""
        with self._database.transaction():
            for task in records.list_tasks():
                if task.type == type_id and task.is_enabled:
                    records.queue_run(task, self._clock())

    def create_first(self) -> None:
        """Create the first task of each type that has one, unless that was done before."""
        created = records.list_first_types()
        wanted = [each for each in self._types.values() if each.first is not None]
        missing = [each for each in wanted if each.id not in created]
        if not missing or self._database.read_only.state is not None:
            return
        with self._database.transaction():
            created = records.list_first_types()
            for type_ in missing:
                if type_.id not in created and type_.first is not None:
                    records.insert_first_type(type_.id)
                    first = type_.first
                    task = Task(
                        0,
                        type_.id,
                        first.name or type_.title,
                        type_.parse(first.settings).sealed(self._database.keyring.seal),
                        parse_schedule(first.schedule),
                        first.is_enabled,
                    )
                    self._insert(task)
            self._database.bump(TASKS)

    # Inside -------------------------------------------------------------------------------------

    def _insert(self, task: Task, kept: Mapping[str, Any] | None = None) -> Task:
        """Store a new task and return it with its ids."""
        task = replace(task, next_at=self._due(task), uid=str(uuid.uuid4()), kept=kept or {})
        return replace(task, id=records.insert_task(task))

    def _due(self, task: Task) -> float | None:
        """Return when a task runs next (Invalid: its schedule is over)."""
        if not task.is_enabled:
            return None
        due = task.schedule.next_after(self._clock())
        if due is None and task.schedule.frequency is not Frequency.MANUAL:
            raise Invalid(f"schedule: {task.schedule} is in the past.", field="schedule")
        return due

    def _note(self, what: str, task: Task, **attributes: str) -> None:
        self._database.bump(TASKS)
        self._database.note_change(f"task.{what}", task.name, id=str(task.id), **attributes)


def _wake_nobody() -> None:
    """In a process that runs no tasks."""


def _checked_name(name: str) -> str:
    if not name or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise Invalid(
            f"name: a task needs a name of at most {NAME_MAX_CHARS} printable characters.",
            field="name",
        )
    return name


def _changes(old: Task, new: Task, settings: Mapping[str, Any]) -> list[str]:
    changed = [key for key in ("name", "schedule") if getattr(old, key) != getattr(new, key)]
    if old.is_enabled != new.is_enabled:
        changed.append("enabled")
    return [*changed, *(f"settings.{key}" for key in settings)]
