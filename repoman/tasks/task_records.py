"""The rows of tasks, their runs and logs; values in, values out.

What several processes may attempt at once is a conditional UPDATE: only the one that changes the
row succeeds.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from peewee import fn

from repoman.catalog.sample_records import add_to_samples
from repoman.db.models import FirstTaskRecord, TaskLineRecord, TaskRecord, TaskRunRecord
from repoman.errors import Invalid
from repoman.tasks.model import Line, Run, RunState, Task
from repoman.tasks.schedule import MANUAL, Schedule, make_schedule

RUNS_KEPT = 30  # Runs of a task that are kept, with their logs.
FREED = "freed "  # How the names of samples begin of what the tasks of a type freed, in bytes.
LINES_KEPT = 900  # Lines of the log of a run that are kept, the latest ones.

_log = logging.getLogger(__name__)

# Tasks --------------------------------------------------------------------------------------------


def list_tasks() -> list[Task]:
    """Return all tasks in the order of their creation."""
    return [_task(record) for record in TaskRecord.select().order_by(TaskRecord.id)]


def find_task(task_id: int) -> Task | None:
    """Return the task with this id, or None."""
    record = TaskRecord.get_or_none(TaskRecord.id == task_id)
    return None if record is None else _task(record)


def find_task_by_uid(uid: str) -> Task | None:
    """Return the task with this id for clients of the REST API, or None."""
    record = TaskRecord.get_or_none(TaskRecord.uid == uid)
    return None if record is None else _task(record)


def insert_task(task: Task) -> int:
    """Store a new task and return its id."""
    return int(TaskRecord.insert(**_values(task)).execute())


def update_task(task: Task) -> None:
    """Store a changed task."""
    TaskRecord.update(**_values(task)).where(TaskRecord.id == task.id).execute()


def delete_task(task_id: int) -> None:
    """Remove a task; its runs have to be removed before, since they may be many."""
    TaskRecord.delete().where(TaskRecord.id == task_id).execute()


def set_due(task_id: int, next_at: float) -> None:
    """Set when a task is due."""
    TaskRecord.update(next_at=next_at).where(TaskRecord.id == task_id).execute()


def move_due(task_id: int, now: float, next_at: float | None) -> bool:
    """Set when a due task is due next; return False if another process was faster."""
    query = TaskRecord.update(next_at=next_at).where(
        (TaskRecord.id == task_id) & (TaskRecord.next_at <= now)
    )
    return bool(query.execute())


def list_first_types() -> set[str]:
    """Return the types whose first task was created, even if it was deleted since."""
    return {type_ for (type_,) in FirstTaskRecord.select(FirstTaskRecord.type).tuples()}


def insert_first_type(type_: str) -> None:
    """Remember that the first task of a type was created."""
    FirstTaskRecord.insert(type=type_).execute()


# Runs ---------------------------------------------------------------------------------------------


def find_run(run_id: int) -> Run | None:
    """Return the run with this id, or None."""
    record = TaskRunRecord.get_or_none(TaskRunRecord.id == run_id)
    return None if record is None else _run(record)


def list_runs(task_id: int, limit: int) -> list[Run]:
    """Return the runs of a task, the newest first."""
    query = TaskRunRecord.select().where(TaskRunRecord.task == task_id)
    return [_run(record) for record in query.order_by(TaskRunRecord.id.desc()).limit(limit)]


def list_open_runs() -> list[Run]:
    """Return the runs of all tasks that wait or run, the oldest first."""
    # Two ranges of the partial indexes, which one IN would not use.
    queued = TaskRunRecord.select().where(TaskRunRecord.state == RunState.QUEUED)
    running = TaskRunRecord.select().where(TaskRunRecord.state == RunState.RUNNING)
    return sorted((_run(record) for record in (*queued, *running)), key=lambda run: run.id)


def states_of(run_ids: Iterable[int]) -> dict[int, tuple[bool, bool]]:
    """Return by id whether each run is still running, and whether it is to stop."""
    query = TaskRunRecord.select(
        TaskRunRecord.id, TaskRunRecord.state, TaskRunRecord.is_stop_requested
    ).where(TaskRunRecord.id.in_(list(run_ids)))
    return {id_: (state == RunState.RUNNING, bool(stop)) for id_, state, stop in query.tuples()}


def list_last_runs() -> dict[int, Run]:
    """Return the newest run of each task that has ended, by the id of the task."""
    ended = TaskRunRecord.state.not_in([RunState.QUEUED, RunState.RUNNING])
    newest = TaskRunRecord.select(fn.max(TaskRunRecord.id)).where(ended)
    query = TaskRunRecord.select().where(TaskRunRecord.id.in_(newest.group_by(TaskRunRecord.task)))
    return {run.task_id: run for run in map(_run, query)}


def queue_run(task: Task, now: float, attempt: int = 0) -> int:
    """Queue a run of a task, unless one is queued already; return the id of the queued run."""
    waiting = TaskRunRecord.select(TaskRunRecord.id).where(
        (TaskRunRecord.task == task.id) & (TaskRunRecord.state == RunState.QUEUED)
    )
    found = waiting.scalar()
    if found is not None:
        return int(found)
    return int(
        TaskRunRecord.insert(
            task=task.id, type=task.type, state=RunState.QUEUED, attempt=attempt, queued_at=now
        ).execute()
    )


def claim_run(run: Run, owner: str, now: float, lease_until: float) -> bool:
    """Claim a queued run for an owner, unless one of its type runs; return whether it did."""
    running = TaskRunRecord.select(TaskRunRecord.id).where(
        (TaskRunRecord.type == run.type) & (TaskRunRecord.state == RunState.RUNNING)
    )
    if running.exists():
        return False
    query = TaskRunRecord.update(
        state=RunState.RUNNING, owner=owner, started_at=now, lease_until=lease_until
    ).where((TaskRunRecord.id == run.id) & (TaskRunRecord.state == RunState.QUEUED))
    return bool(query.execute())


def renew_run(
    run_id: int, owner: str, position: tuple[int, int | None, str], lease_until: float
) -> bool:
    """Store the progress of a run and renew its lease; return whether ``owner`` still has it."""
    done, total, message = position
    query = TaskRunRecord.update(
        done=done, total=total, message=message, lease_until=lease_until
    ).where(_mine(run_id, owner))
    return bool(query.execute())


def end_run(run_id: int, owner: str, state: RunState, result: str, now: float) -> bool:
    """End a run; return whether ``owner`` still had it."""
    query = TaskRunRecord.update(
        state=state, result=result, message="", ended_at=now, lease_until=None
    ).where(_mine(run_id, owner))
    return bool(query.execute())


def add_freed(run: Run, freed: int, now: float) -> None:
    """Add freed bytes to a run, and to what tasks of its type freed in this hour and this day."""
    TaskRunRecord.update(freed_bytes=TaskRunRecord.freed_bytes + freed).where(
        TaskRunRecord.id == run.id
    ).execute()
    add_to_samples({FREED + run.type: freed}, now)


def request_stop(run_id: int) -> None:
    """Ask the owner of a running run to stop it."""
    TaskRunRecord.update(is_stop_requested=True).where(
        (TaskRunRecord.id == run_id) & (TaskRunRecord.state == RunState.RUNNING)
    ).execute()


def cancel_queued(run_id: int, result: str, now: float) -> bool:
    """End a run that is still queued; return whether it was."""
    query = TaskRunRecord.update(state=RunState.STOPPED, result=result, ended_at=now).where(
        (TaskRunRecord.id == run_id) & (TaskRunRecord.state == RunState.QUEUED)
    )
    return bool(query.execute())


def list_stale_runs(task_id: int) -> list[int]:
    """Return the ids of the runs of a task beyond those that are kept, the oldest first."""
    query = TaskRunRecord.select(TaskRunRecord.id).where(TaskRunRecord.task == task_id)
    newest = query.order_by(TaskRunRecord.id.desc())
    return sorted(run_id for (run_id,) in newest.offset(RUNS_KEPT).limit(RUNS_KEPT).tuples())


def delete_idle_before(run: Run) -> None:
    """Remove the run before this one if it had nothing to do either: only the last one is kept."""
    before = (
        TaskRunRecord.select(TaskRunRecord.id)
        .where((TaskRunRecord.task == run.task_id) & (TaskRunRecord.id < run.id))
        .order_by(TaskRunRecord.id.desc())
        .limit(1)
    )
    TaskRunRecord.delete().where(
        TaskRunRecord.id.in_(before)
        & (TaskRunRecord.state == RunState.OK)
        & (TaskRunRecord.result == "")
    ).execute()


def delete_run(run_id: int) -> None:
    """Remove a run with its log."""
    TaskRunRecord.delete().where(TaskRunRecord.id == run_id).execute()


def list_run_ids(task_id: int) -> list[int]:
    """Return the ids of all runs of a task."""
    query = TaskRunRecord.select(TaskRunRecord.id).where(TaskRunRecord.task == task_id)
    return [run_id for (run_id,) in query.tuples()]


# Logs ---------------------------------------------------------------------------------------------


def append_lines(run_id: int, lines: Sequence[tuple[float, str]]) -> None:
    """Add lines to the log of a run; the oldest lines are dropped beyond the limit."""
    lines = lines[-LINES_KEPT:]
    last = TaskLineRecord.select(fn.max(TaskLineRecord.number))
    first = int(last.where(TaskLineRecord.run == run_id).scalar() or 0) + 1
    for number, (at, text) in enumerate(lines, first):
        TaskLineRecord.insert(run=run_id, number=number, at=at, text=text).execute()
    dropped = first + len(lines) - 1 - LINES_KEPT
    if dropped > 0:
        TaskLineRecord.delete().where(
            (TaskLineRecord.run == run_id) & (TaskLineRecord.number <= dropped)
        ).execute()


def list_lines(run_id: int, after: int, limit: int) -> list[Line]:
    """Return lines of the log of a run with numbers above ``after``, in order."""
    query = TaskLineRecord.select(
        TaskLineRecord.number, TaskLineRecord.at, TaskLineRecord.text
    ).where((TaskLineRecord.run == run_id) & (TaskLineRecord.number > after))
    return [Line(*row) for row in query.order_by(TaskLineRecord.number).limit(limit).tuples()]


# Inside -------------------------------------------------------------------------------------------


def _mine(run_id: int, owner: str) -> Any:
    return (
        (TaskRunRecord.id == run_id)
        & (TaskRunRecord.owner == owner)
        & (TaskRunRecord.state == RunState.RUNNING)
    )


def _values(task: Task) -> dict[str, Any]:
    return {
        "type": task.type,
        "name": task.name,
        "settings": dict(task.settings),
        "schedule": task.schedule.model_dump(mode="json"),
        "is_enabled": task.is_enabled,
        "next_at": task.next_at,
        "uid": task.uid,
        "kept": dict(task.kept),
    }


def _task(record: Any) -> Task:
    return Task(
        record.id,
        record.type,
        record.name,
        record.settings,
        _schedule(record),
        record.is_enabled,
        record.next_at,
        record.uid,
        record.kept,
    )


def _schedule(record: Any) -> Schedule:
    """Return the schedule of a task; a manual one if it is no longer valid, as without its zone."""
    try:
        return make_schedule(record.schedule)
    except Invalid as error:
        _log.warning("The task %s does not run on its schedule: %s", record.name, error)
        return MANUAL


def _run(record: Any) -> Run:
    return Run(
        id=record.id,
        task_id=record.task_id,
        type=record.type,
        state=RunState(record.state),
        done=record.done,
        total=record.total,
        message=record.message,
        owner=record.owner,
        lease_until=record.lease_until,
        is_stop_requested=record.is_stop_requested,
        attempt=record.attempt,
        queued_at=record.queued_at,
        started_at=record.started_at,
        ended_at=record.ended_at,
        result=record.result,
        freed_bytes=record.freed_bytes,
    )
