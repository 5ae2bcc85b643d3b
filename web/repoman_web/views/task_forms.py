"""Tasks are created and changed: the form of a kind of tasks, with its schedule."""

from typing import Any

from flask import Blueprint, abort, render_template, request, url_for
from pydantic import Field
from werkzeug.wrappers import Response

from repoman.plugin import (
    Invalid,
    Section,
    SectionForm,
    Task,
    TaskType,
    done,
    may_administer,
    permission_needed,
)
from repoman_web.views.schedules import (
    FREQUENCIES,
    WEEKDAYS,
    ScheduleFields,
    fields_of,
    schedule_of,
    tell_time,
    told_of,
)
from repoman_web.views.tasks import NEXT_RUNS, service, url_of

PREVIEW = "preview"  # The button that shows the next runs and saves nothing.
PREFIX = "schedule."  # How the names of the fields of a schedule begin.

task_forms = Blueprint("task_forms", "repoman_web", url_prefix="/admin/tasks")


class TaskFields(Section):
    """What every task has."""

    name: str = Field("", max_length=200, description="Without a name it is called as its kind.")
    is_enabled: bool = Field(
        True, title="Enabled", description="A disabled task does not run, not even by hand."
    )


@task_forms.get("/new")
@permission_needed("tasks", "create")
def choose() -> str:
    """Return the kinds of tasks to choose from."""
    groups: dict[str, list[TaskType]] = {}
    for each in service().types():
        groups.setdefault(each.title.partition(" - ")[0], []).append(each)
    return render_template("repoman/task_new.html", groups=groups)


@task_forms.route("/new/<type_id>", methods=["GET", "POST"])
@permission_needed("tasks", "create")
def create(type_id: str) -> Response | tuple[str, int]:
    """Return the form of a new task, or create it."""
    type_ = service().find_type(type_id)
    if type_ is None or not type_.is_visible:
        abort(404)
    form = _form(type_)
    if request.method == "POST":
        form.read(request.form)
        if PREVIEW not in request.form:
            with form.saving():
                return _create(type_, form)
    return _render(form, type_, url_for("task_forms.create", type_id=type_.id))


def _create(type_: TaskType, form: SectionForm) -> Response:
    values = form.values()
    schedule, general = schedule_of(values["schedule"]), values[""]
    with told_of(schedule):
        task = service().create(
            type_.id,
            general["name"],
            values["settings"],
            schedule,
            is_enabled=general["is_enabled"],
        )
    if "run" in request.form and task.is_enabled and may_administer("tasks", "start"):
        service().run(task)
        return done(f"{task.name} was created and started.", url_of(task))
    return done(f"{task.name} was created.", url_of(task))


@task_forms.route("/<uid>/edit", methods=["GET", "POST"])
@permission_needed("tasks", "update")
def edit(uid: str) -> Response | tuple[str, int]:
    """Return the form of a task, or change the task."""
    task = service().get_by_uid(uid)
    type_ = service().get_type(task.type)
    stored = {
        "": {"name": task.name, "is_enabled": task.is_enabled},
        "settings": service().settings_of(task),
        "schedule": fields_of(task.schedule),
    }
    form = _form(type_, stored)
    if request.method == "POST":
        form.read(request.form)
        if PREVIEW not in request.form:
            with form.saving():
                _change(task, type_, form)
                return done("The task was changed.", url_of(task))
    return _render(form, type_, url_for("task_forms.edit", uid=uid), task=task)


def _change(task: Task, type_: TaskType, form: SectionForm) -> None:
    values = form.values()
    schedule, general = schedule_of(values["schedule"]), values[""]
    is_same = fields_of(schedule) == fields_of(task.schedule)  # What a client set beside it stays.
    with told_of(schedule):
        service().update(
            task,
            name=general["name"] or type_.title,
            settings=values["settings"],
            schedule=None if is_same else schedule,
            is_enabled=general["is_enabled"],
        )


@task_forms.get("/next-runs")
@permission_needed("tasks", "read")
def preview() -> str:
    """Return when a schedule that is being filled in runs next, as a piece of a page."""
    values: dict[str, Any] = {
        name.removeprefix(PREFIX): texts if name == f"{PREFIX}weekdays" else texts[0].strip()
        for name, texts in request.args.lists()
    }
    return render_template("repoman/next_runs.html", **_next_runs(values))


def _form(type_: TaskType, stored: Any = None) -> SectionForm:
    return SectionForm(
        {"": TaskFields, "settings": type_.settings, "schedule": ScheduleFields},
        stored,
        choices={
            "schedule.weekdays": WEEKDAYS.items(),
            "schedule.frequency": FREQUENCIES.items(),
        },
    )


def _render(form: SectionForm, type_: TaskType, url: str, **values: Any) -> tuple[str, int]:
    shown = {name: form.field(f"{PREFIX}{name}") for name in ScheduleFields.model_fields}
    schedule = {name: each.text.strip() for name, each in shown.items()}
    return form.render(
        "repoman/task_form.html",
        type=type_,
        url=url,
        schedule=shown,
        **_next_runs({**schedule, "weekdays": list(shown["weekdays"].texts)}),
        **values,
    )


def _next_runs(values: dict[str, Any]) -> dict[str, Any]:
    """Return when a schedule runs next, or what is wrong with it."""
    try:
        schedule = schedule_of(values)
    except (Invalid, ValueError) as error:
        return {"next_runs": [], "problem": str(error)}
    times = service().fire_times(schedule, NEXT_RUNS)
    return {
        "next_runs": [(each, tell_time(each, schedule)) for each in times],
        "zone": schedule.time_zone,
        "frequency": schedule.frequency,
    }
