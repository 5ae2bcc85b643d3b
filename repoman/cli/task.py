"""Commands about tasks. A running server does what they request within seconds."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from repoman.cli.common import (
    AS_JSON,
    LOWEST_PRIORITY,
    parse_assignments,
    render_time,
    with_repoman,
)
from repoman.config import Settings
from repoman.core import Repoman
from repoman.errors import Conflict, Invalid, NotFound
from repoman.server.lock import is_served
from repoman.tasks.model import Run, RunState, Task
from repoman.tasks.runner import LEASE_S
from repoman.tasks.schedule import Schedule, make_schedule, parse_schedule
from repoman.tasks.service import TaskState

FOLLOW_S = 0.5  # Seconds between two looks at a run that is followed.
NEXT_SHOWN = 3  # Fire times that are shown of a task.

SCHEDULE = click.option(
    "--schedule",
    metavar="WORDS",
    help=(
        "When it runs: manual, 'once 2027-03-01T02:00', 'hourly 17', 'daily 03:00', 'weekly "
        "mon,thu 03:00', 'monthly 1,last 03:00' or 'cron 0 3 * * mon-fri'."
    ),
)
TIME_ZONE = click.option("--time-zone", help="Time zone of the schedule. Default: UTC.")
SET = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting. Can be repeated."
)
FOLLOW = click.option(
    "--follow", is_flag=True, help="Print log and progress until the run has ended."
)


@click.group()
def task() -> None:
    """List, create, change, delete, run and stop tasks; TASK is an id or a name."""


@task.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the tasks with their state, schedule, next run and last result."""
    for state in repoman.tasks.states():
        if as_json:
            click.echo(json.dumps(_as_json(repoman, state)))
            continue
        each = state.task
        next_run = repoman.tasks.next_run(each)
        due = "-" if next_run is None else render_time(next_run)
        click.echo(f"{each.id:>3}  {each.name}")
        click.echo(f"     {_word_of(state)}; {each.schedule}; next {due}; last {_last(state)}")


@task.command()
@AS_JSON
@with_repoman
def types(repoman: Repoman, as_json: bool) -> None:
    """List the types that tasks can be created of, with their settings."""
    if as_json:
        found = [
            {"id": each.id, "title": each.title, "settings": each.settings.model_json_schema()}
            for each in repoman.tasks.types()
        ]
        click.echo(json.dumps(found, indent=2))
        return
    for each in repoman.tasks.types():
        click.echo(f"{each.id:<40} {each.title}")
        for key, field in each.settings.model_fields.items():
            default = json.dumps(field.get_default(call_default_factory=True), default=str)
            click.echo(f"    {key} = {default}  {field.description or ''}".rstrip())


@task.command()
@click.argument("name", metavar="TASK")
@FOLLOW
@click.option("--json", "as_json", is_flag=True, help="Print all details but the log as JSON.")
@with_repoman
def show(repoman: Repoman, name: str, follow: bool, as_json: bool) -> None:
    """Show TASK with its settings, its runs and the log of the last run."""
    found = _find(repoman, name)
    state = next((each for each in repoman.tasks.states() if each.task.id == found.id), None)
    if as_json and state is not None:
        told = {"runs": [asdict(each) for each in repoman.tasks.runs(found)]}
        click.echo(json.dumps(_as_json(repoman, state) | told, indent=2))
        return
    _tell_task(repoman, found, state)
    runs = repoman.tasks.runs(found)
    for run in reversed(runs):
        click.echo(_line_of(run))
    if runs:
        _tell_run(repoman, runs[0], follow=follow)


def _tell_task(repoman: Repoman, found: Task, state: TaskState | None) -> None:
    click.echo(f"id: {found.id}\nname: {found.name}\ntype: {found.type}")
    click.echo(f"enabled: {'yes' if found.is_enabled else 'no'}")
    click.echo(f"schedule: {found.schedule} ({found.schedule.time_zone})")
    if found.schedule.start is not None:
        click.echo(f"start: {render_time(found.schedule.start)}")
    if next_runs := repoman.tasks.next_runs(found, NEXT_SHOWN):
        click.echo(f"next: {', '.join(map(render_time, next_runs))}")
    if state is not None:
        click.echo(f"state: {_word_of(state)}")
    for key, value in repoman.tasks.settings_of(found).items():
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")


@task.command()
@click.argument("name", metavar="TASK")
@FOLLOW
@with_repoman
def run(repoman: Repoman, name: str, follow: bool) -> None:
    """Run TASK now: in the server if there is one, or else here, with the lowest priority.

    The exit status is 1 if the run that was followed, or took place here, failed.
    """
    found = _find(repoman, name)
    if is_served(repoman.data):
        requested = repoman.tasks.run(found)
        click.echo(f"The server runs the task {found.name}.")
        if follow:
            _tell_run(repoman, requested, follow=True)
        return
    os.nice(LOWEST_PRIORITY)
    with repoman.blob_stores.locked_exclusively():
        runner = repoman.make_runner("command")
        runner.recover()
        requested = repoman.tasks.run(found)
        if runner.execute(requested) is None:
            raise Conflict(f"Another task of the type {found.type} is running; this one is queued.")
    _tell_run(repoman, requested, follow=True)


def run_in_server(repoman: Repoman, type_id: str, name: str, settings: Mapping[str, Any]) -> bool:
    """Have the server run a task with these settings, print its log, and wait for its end.

    Only the server knows what its clients do at the moment. A task that has to be created is called
    ``name``. The command exits with 1 if the run fails.

    Returns:
        Whether a server runs; without one nothing was done.

    Raises:
        Invalid, Conflict, Frozen: see :meth:`repoman.tasks.service.Tasks.start`.
    """
    if not is_served(repoman.data):
        return False
    started = repoman.tasks.start(type_id, name, settings)
    click.echo(f"The server runs the task {started.name}.")
    _tell_run(repoman, repoman.tasks.runs(started, 1)[0], follow=True)
    return True


@task.command()
@click.argument("name", metavar="TASK")
@with_repoman
def stop(repoman: Repoman, name: str) -> None:
    """Ask TASK, which runs or waits, to stop."""
    found = _find(repoman, name)
    repoman.tasks.stop(found)
    click.echo(f"Requested the task {found.name} to stop.")


@task.command()
@click.argument("type_id", metavar="TYPE")
@click.option("--name", default="", help="Name of the task. Default: that of its type.")
@SCHEDULE
@TIME_ZONE
@SET
@click.option("--disabled", is_flag=True, help="Do not run it until it is enabled.")
@with_repoman
def create(
    repoman: Repoman,
    type_id: str,
    name: str,
    schedule: str | None,
    time_zone: str | None,
    assignments: tuple[str, ...],
    disabled: bool,
) -> None:
    """Create a task of TYPE; 'repoman task types' lists the types."""
    when = parse_schedule(schedule or "manual", time_zone or "UTC")
    settings = parse_assignments(assignments)
    made = repoman.tasks.create(type_id, name, settings, when, is_enabled=not disabled)
    click.echo(f"Created the task {made.name} with the id {made.id}.")


@task.command("set")
@click.argument("name", metavar="TASK")
@click.option("--name", "new_name", help="Another name.")
@SCHEDULE
@TIME_ZONE
@SET
@click.option("--enabled/--disabled", default=None, help="Whether it runs.")
@with_repoman
def set_(
    repoman: Repoman,
    name: str,
    new_name: str | None,
    schedule: str | None,
    time_zone: str | None,
    assignments: tuple[str, ...],
    enabled: bool | None,
) -> None:
    """Change TASK; what is not given stays as it is."""
    found = _find(repoman, name)
    when: Schedule | None = None
    if schedule is not None or time_zone is not None:
        zone = time_zone or found.schedule.time_zone
        if schedule is not None:
            when = parse_schedule(schedule, zone)
        else:
            when = make_schedule({**found.schedule.model_dump(mode="json"), "time_zone": zone})
    settings = parse_assignments(assignments) or None
    if (new_name, when, settings, enabled) == (None, None, None, None):
        raise Invalid("There is nothing to change: give --schedule, --set or another option.")
    changed = repoman.tasks.update(
        found, name=new_name, settings=settings, schedule=when, is_enabled=enabled
    )
    click.echo(f"Updated the task {changed.name}.")


@task.command()
@click.argument("name", metavar="TASK")
@with_repoman
def delete(repoman: Repoman, name: str) -> None:
    """Delete TASK with its runs."""
    found = _find(repoman, name)
    repoman.tasks.delete(found)
    click.echo(f"Deleted the task {found.name}.")


@task.command(hidden=True)
@click.argument("run_id", type=int)
def execute(run_id: int) -> None:
    """Execute a run for the server, which sends its settings to standard input."""
    os.nice(LOWEST_PRIORITY)
    values = json.load(sys.stdin)
    # The environment would override the data directory that the server was given with --data.
    settings = Settings(**values).model_copy(update={"data": Path(values["data"])})
    logging.basicConfig(level=settings.log.level)
    with Repoman(settings) as repoman:
        state = repoman.make_runner("process").adopt(repoman.tasks.get_run(run_id))
    sys.exit(0 if state is RunState.OK else 1)


def _find(repoman: Repoman, name: str) -> Task:
    """Return the task with this id or name (NotFound, Invalid)."""
    tasks = repoman.tasks.all()
    found = [each for each in tasks if name in (str(each.id), each.uid)]
    found = found or [each for each in tasks if each.name.lower() == name.lower()]
    if not found:
        raise NotFound(f"There is no task {name!r}; 'repoman task list' lists the tasks.")
    if len(found) > 1:
        ids = ", ".join(str(each.id) for each in found)
        raise Invalid(f"There are several tasks named {name!r}; give one of the ids {ids}.")
    return found[0]


def _tell_run(repoman: Repoman, begun: Run, *, follow: bool) -> None:
    """Print the log of a run; with ``follow`` until it has ended, and exit by how it did.

    Raises:
        Conflict: as of :func:`_watch`.
    """
    number, shown = 0, ""
    for run in _watch(repoman, begun) if follow else [begun]:
        while lines := repoman.tasks.lines(run, number):
            for line in lines:
                click.echo(f"{render_time(line.at)}  {line.text}")
            number = lines[-1].number
        progress = _progress_of(run)
        if follow and progress and progress != shown and not run.is_over:
            click.echo(progress, err=True)
            shown = progress
    if follow:
        click.echo(f"{run.state}: {run.result or 'nothing to do'}")
        if run.state is not RunState.OK:
            click.get_current_context().exit(1)


def _watch(repoman: Repoman, run: Run) -> Iterator[Run]:
    """Yield a run as it is now, again and again until it has ended.

    Raises:
        Conflict: nobody works on it any more.
    """
    since = time.monotonic()
    while True:
        before, run = run, repoman.tasks.get_run(run.id)
        yield run
        if run.is_over:
            return
        if run != before or is_served(repoman.data):
            since = time.monotonic()
        elif time.monotonic() - since > LEASE_S:
            raise Conflict("No server runs the task any more; the next one that starts will.")
        time.sleep(FOLLOW_S)


def _progress_of(run: Run) -> str:
    if not (run.done or run.total or run.message):
        return ""
    steps = f"{run.done} of {run.total}" if run.total else str(run.done)
    return f"{steps}  {run.message}".rstrip()


def _word_of(state: TaskState) -> str:
    if state.current is not None:
        progress = _progress_of(state.current)
        return f"{state.current.state} {progress}".rstrip()
    return "waiting" if state.task.is_enabled else "disabled"


def _last(state: TaskState) -> str:
    last = state.last
    if last is None or last.ended_at is None:
        return "-"
    return f"{last.state} at {render_time(last.ended_at)}"


def _line_of(run: Run) -> str:
    begun = "not yet" if run.started_at is None else render_time(run.started_at)
    took = ""
    if run.started_at is not None and run.ended_at is not None:
        took = f" after {run.ended_at - run.started_at:.0f} s"
    return f"run {run.id}: {begun} {run.state}{took} {run.result}".rstrip()


def _as_json(repoman: Repoman, state: TaskState) -> dict[str, Any]:
    each = state.task
    return {
        "id": each.id,
        "uid": each.uid,
        "name": each.name,
        "type": each.type,
        "type_name": repoman.tasks.title_of(each),
        "enabled": each.is_enabled,
        "settings": repoman.tasks.settings_of(each),
        "schedule": str(each.schedule),
        "time_zone": each.schedule.time_zone,
        "state": _word_of(state),
        "next_run": repoman.tasks.next_run(each),
        "last_run": None if state.last is None else state.last.ended_at,
        "last_result": None if state.last is None else state.last.state,
    }
