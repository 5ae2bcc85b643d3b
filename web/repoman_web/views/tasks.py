"""Tasks: what runs, what ran and what will, started and stopped; for users who may."""

import time
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    Conflict,
    ListQuery,
    Run,
    RunState,
    SectionForm,
    Task,
    Tasks,
    TaskState,
    Unsupported,
    current_repoman,
    done,
    may_administer,
    permission_needed,
    read_list,
    row_key,
)
from repoman_web.views.rendering import number, span
from repoman_web.views.schedules import tell_schedule, tell_time

NEXT_RUNS = 3  # Times that are shown of a schedule.
ETA_AFTER_S = 5.0  # How long a run lasts before the page says how long it will.
FILTERS = ("running", "failed")  # What a list can be limited to.
TONES = {
    RunState.QUEUED: "busy",
    RunState.RUNNING: "busy",
    RunState.OK: "good",
    RunState.FAILED: "bad",
    RunState.STOPPED: "plain",
    RunState.INTERRUPTED: "warn",
}

tasks = Blueprint("tasks", "repoman_web", url_prefix="/admin/tasks")


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as a list shows it."""

    task: Task
    kind: str
    state: str
    tone: str
    schedule: str
    next_at: float | None
    current: Run | None
    last: Run | None

    @property
    def is_failed(self) -> bool:
        """Return whether the last run did not do its work."""
        return self.last is not None and self.last.state is RunState.FAILED

    def fits(self, wanted: str, words: list[str]) -> bool:
        """Return whether a list that is limited to something has this row."""
        is_wanted = {"running": self.current is not None, "failed": self.is_failed}
        text = f"{self.task.name} {self.kind} {self.task.type}".lower()
        return is_wanted.get(wanted, True) and all(word in text for word in words)


@tasks.get("")
@permission_needed("tasks", "read")
def show() -> str:
    """Return the list of tasks by name."""
    query, wanted = read_list(), request.args.get("state", "")
    every = [_row(service(), each) for each in service().states()]
    found = [each for each in every if each.fits(wanted, query.filter.lower().split())]
    rows, older = _page(found, query)
    counts = {each: sum(row.fits(each, []) for row in every) for each in FILTERS}
    return render_template(
        "repoman/tasks.html",
        rows=rows,
        query=query,
        older=older,
        wanted=wanted,
        total=len(every),
        found=len(found),
        counts=counts,
    )


def _page(rows: list[TaskRow], query: ListQuery) -> tuple[list[TaskRow], str]:
    """Return the rows of a page, and the address of the next one."""
    after = query.key(str, int)
    left = [each for each in rows if after is None or _place(each) > after]
    shown = left[: query.rows]
    return shown, query.older(row_key(*_place(shown[-1]))) if len(left) > query.rows else ""


def _place(row: TaskRow) -> tuple[str, int]:
    return row.task.name.lower(), row.task.id


@tasks.get("/<uid>")
@permission_needed("tasks", "read")
def show_one(uid: str) -> str:
    """Return the page of a task, with the log of one of its runs."""
    task = service().get_by_uid(uid)
    runs = service().runs(task)
    shown = _chosen_run(runs, request.args.get("run", ""))
    state = _row(service(), service().state_of(task))
    return render_template(
        "repoman/task.html",
        row=state,
        task=task,
        type=service().find_type(task.type),
        settings=_settings(task),
        next_runs=[
            (each, tell_time(each, task.schedule)) for each in service().next_runs(task, NEXT_RUNS)
        ],
        runs=runs,
        shown=shown,
        lines=[] if shown is None else service().lines(shown),
        tones=TONES,
        percent=percent_of(state.current),
        left=left_of(state.current),
    )


def _chosen_run(runs: list[Run], wanted: str) -> Run | None:
    """Return the run whose log is shown: the one of the address, the present or the last one."""
    if wanted:
        return next((each for each in runs if str(each.id) == wanted), None) or abort(404)
    running = [each for each in runs if each.state is RunState.RUNNING]
    return next(iter([*running, *runs]), None)


def _settings(task: Task) -> list[tuple[str, str]]:
    """Return the settings of a task as a form names them."""
    type_ = service().find_type(task.type)
    if type_ is None:
        return []
    form = SectionForm({"": type_.settings}, {"": service().settings_of(task)})
    found = form.section("").fields
    return [
        (each.label, "Set" if each.is_set else f"{', '.join(each.texts)} {each.unit}".strip())
        for each in found
    ]


@tasks.post("/<uid>/run")
@permission_needed("tasks", "start")
def run(uid: str) -> Response:
    """Request a run of a task."""
    task = service().get_by_uid(uid)
    return _tried(task, lambda: service().run(task), f"{task.name} was started.")


@tasks.post("/<uid>/stop")
@permission_needed("tasks", "stop")
def stop(uid: str) -> Response:
    """Ask the run of a task to stop."""
    task = service().get_by_uid(uid)
    text = f"{task.name} stops after its present step."
    return _tried(task, lambda: service().stop(task), text)


def _tried(task: Task, change: Any, text: str) -> Response:
    """Change something, and say on the page of the task what was done or why it was not."""
    try:
        change()
    except (Conflict, Unsupported) as error:
        return done(str(error), url_of(task), tone="warn")
    return done(text, url_of(task))


@tasks.post("/<uid>/enabled")
@permission_needed("tasks", "update")
def enable(uid: str) -> Response:
    """Enable or disable a task."""
    task = service().get_by_uid(uid)
    is_enabled = request.form.get("enabled") == "true"
    service().update(task, is_enabled=is_enabled)
    text = f"{task.name} is {'enabled' if is_enabled else 'disabled'}."
    return done(text, url_for("tasks.show") if request.form.get("to") == "list" else url_of(task))


@tasks.route("/<uid>/delete", methods=["GET", "POST"])
@permission_needed("tasks", "delete")
def delete(uid: str) -> Response | str:
    """Return the page that says what goes with a task, or delete it."""
    task = service().get_by_uid(uid)
    if request.method == "POST":
        try:
            service().delete(task)
        except Conflict as error:
            return done(str(error), url_for("tasks.delete", uid=uid), tone="warn")
        back = url_for("tasks.show") if may_administer("tasks", "read") else url_for("pages.start")
        return done(f"{task.name} was deleted.", back)
    state, runs = service().state_of(task), service().runs(task)
    type_ = service().find_type(task.type)
    return render_template(
        "repoman/task_delete.html", row=_row(service(), state), task=task, type=type_, runs=runs
    )


def service() -> Tasks:
    """Return the tasks of the server."""
    return current_repoman().tasks


def url_of(task: Task) -> str:
    """Return the page of a task; the start page for a visitor who may not see tasks."""
    is_seen = may_administer("tasks", "read")
    return url_for("tasks.show_one", uid=task.uid) if is_seen else url_for("pages.start")


def _row(tasks_: Tasks, state: TaskState) -> TaskRow:
    task, current = state.task, state.current
    word, tone = ("waiting", "plain") if task.is_enabled else ("disabled", "plain")
    if current is not None:
        word, tone = tell_progress(current), "busy"
    return TaskRow(
        task=task,
        kind=tasks_.title_of(task),
        state=word,
        tone=tone,
        schedule=tell_schedule(task.schedule),
        next_at=tasks_.next_run(task),
        current=current,
        last=state.last,
    )


def tell_progress(run: Run) -> str:
    """Return what a run that has not ended does at the moment, in a few words."""
    if run.is_stop_requested:
        return "stopping"
    if run.state is RunState.QUEUED:
        return "starting"
    percent = percent_of(run)
    if percent is not None:
        return f"running, {percent} %"
    return f"running, {number(run.done)}" if run.done else "running"


def percent_of(run: Run | None) -> int | None:
    """Return how much of a run is done; None: it does not know how much there is."""
    if run is None or not run.total:
        return None
    return min(100, max(0, run.done * 100 // run.total))


def left_of(run: Run | None) -> str:
    """Return about how long a run goes on; nothing if that cannot be told yet."""
    if run is None or not run.total or not run.done or run.started_at is None:
        return ""
    passed = max(0.0, time.time() - run.started_at)
    if passed < ETA_AFTER_S:
        return ""
    return span(passed * (run.total - run.done) / run.done)
