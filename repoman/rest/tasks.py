"""Tasks over REST, in the words of Sonatype Nexus Repository 3."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any

from pydantic import Field, SecretStr

from repoman.errors import Invalid, NotFound
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.frequencies import (
    CULPRITS,
    MANUAL_FREQUENCY,
    FrequencyView,
    frequency_of,
    schedule_of,
)
from repoman.rest.resources import AnyCase, Page, Query, Resource, Timestamp
from repoman.rest.wording import renamed
from repoman.sections import MASK, Text
from repoman.tasks.model import Run, RunState, Task, TaskType
from repoman.tasks.service import Tasks, TaskState

PROPERTIES_MAX = 100  # Properties that a client may set of a task.
EMAIL_MAX_CHARS = 1_000  # The longest mail address that is kept.
SETTINGS = "settings."  # How the service begins the name of a setting.
# What a run that has ended is called; the name of a state that is not listed is its own.
RESULTS = {
    RunState.OK: "OK",
    RunState.FAILED: "FAILED",
    RunState.STOPPED: "CANCELED",
    RunState.INTERRUPTED: "INTERRUPTED",
}
# Errors whose body is empty: there is no such task, it is disabled, it does not run.
BARE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.CONFLICT)

tasks = Area("Tasks", "Work that runs on a schedule or on request.")


class NotificationCondition(AnyCase):
    """When a mail would be sent."""

    FAILURE = "FAILURE"
    SUCCESS_FAILURE = "SUCCESS_FAILURE"


class TaskChange(Resource):
    """A task as a client describes it; what it leaves out becomes the default, but for the type."""

    type: str | None = Field(None, description="The type of the task, which cannot be changed.")
    name: str = Field("", description="The name. Default: that of the type.")
    enabled: bool = Field(True, description="Whether it runs.")
    alert_email: str | None = Field(
        None, max_length=EMAIL_MAX_CHARS, description="Kept; no mail is sent to it."
    )
    notification_condition: NotificationCondition = Field(
        NotificationCondition.FAILURE, description="Kept; no mail is sent."
    )
    frequency: FrequencyView = Field(MANUAL_FREQUENCY, description="When it runs.")
    properties: dict[str, str] = Field(
        default_factory=dict,
        max_length=PROPERTIES_MAX,
        description="The settings of the type, as texts. Others are kept and have no effect.",
    )


class TaskTemplate(TaskChange):
    """A task as a client describes it."""

    type: str = Field(description="The type of the task; `GET /v1/tasks/templates` lists them.")


class TaskView(Resource):
    """A task and what it does at the moment."""

    id: str
    name: str
    type: str
    message: str = Field(description="The progress of the run, or what the type is called.")
    current_state: str = Field(
        description=(
            "`WAITING`, `RUNNING`, `RUNNING_STARTING` (requested, but not begun) or "
            "`RUNNING_CANCELED` (asked to stop)."
        )
    )
    last_run_result: str | None = Field(
        description="How the last run ended: `OK`, `FAILED`, `CANCELED` or `INTERRUPTED`."
    )
    next_run: Timestamp | None
    last_run: Timestamp | None = Field(description="When the last run began.")
    enabled: bool
    alert_email: str | None
    notification_condition: NotificationCondition
    properties: dict[str, str]
    schedule: str
    start_date: Timestamp | None
    time_zone_offset: str | None
    recurring_days: list[int] | None
    cron_expression: str | None


class TaskQuery(Query):
    """Selects tasks."""

    type: str | None = Field(None, description="Only tasks of this type.")


@tasks.get("/v1/tasks", Permission("tasks", "read"))
def list_tasks(call: Call, query: TaskQuery) -> Page[TaskView]:
    """List the tasks by name, all on one page."""
    service = call.repoman.tasks
    items = [_view(service, state) for state in service.states()]
    return Page[TaskView](items=[each for each in items if query.type in (None, each.type)])


@tasks.post("/v1/tasks", Permission("tasks", "create"), status=HTTPStatus.CREATED)
def create_task(call: Call, body: TaskTemplate) -> TaskView:
    """Create a task."""
    service = call.repoman.tasks
    type_ = _type_of(service, body.type)
    with _in_words_of(body):
        task = service.create(
            type_.id,
            body.name,
            _settings_of(type_, body.properties),
            schedule_of(body.frequency),
            is_enabled=body.enabled,
            kept=_kept(type_, body),
        )
    return _view(service, service.state_of(task))


@tasks.get("/v1/tasks/templates", Permission("tasks", "read"))
def list_task_templates(call: Call) -> list[TaskTemplate]:
    """List what a client can create tasks from: a template for each type."""
    return [_template_of(each, each.id) for each in call.repoman.tasks.types()]


@tasks.get("/v1/tasks/templates/{type}", Permission("tasks", "read"), bare=BARE)
def show_task_template(call: Call, type: str) -> TaskTemplate:
    """Show the template of a type."""
    found = call.repoman.tasks.find_type(type)
    if found is None or not found.is_visible:
        raise NotFound(f"There is no task type {type!r}.")
    return _template_of(found, type)


@tasks.get("/v1/tasks/{id}", Permission("tasks", "read"), bare=BARE)
def show_task(call: Call, id: str) -> TaskView:
    """Show a task."""
    service = call.repoman.tasks
    return _view(service, service.state_of(service.get_by_uid(id)))


@tasks.put("/v1/tasks/{id}", Permission("tasks", "update"), bare=(HTTPStatus.NOT_FOUND,))
def update_task(call: Call, id: str, body: TaskChange) -> None:
    """Change a task; its type stays. A run that has begun keeps its settings."""
    service = call.repoman.tasks
    task = service.get_by_uid(id)
    type_ = _type_of(service, body.type or task.type)
    if type_.id != task.type:
        raise Invalid(f"type: the type of a task cannot be changed: {task.type}.", field="type")
    with _in_words_of(body):
        service.update(
            task,
            name=body.name.strip() or type_.title,
            settings={**_defaults_of(type_), **_settings_of(type_, body.properties)},
            schedule=schedule_of(body.frequency),
            is_enabled=body.enabled,
            kept={**_kept(type_, body), "type": body.type or task.kept.get("type", task.type)},
        )


@tasks.delete("/v1/tasks/{id}", Permission("tasks", "delete"), bare=(HTTPStatus.NOT_FOUND,))
def delete_task(call: Call, id: str) -> None:
    """Delete a task with its runs; one that is running has to be stopped before."""
    service = call.repoman.tasks
    service.delete(service.get_by_uid(id))


@tasks.post("/v1/tasks/{id}/run", Permission("tasks", "start"), bare=BARE)
def run_task(call: Call, id: str) -> None:
    """Run a task now; the answer does not wait for its end."""
    service = call.repoman.tasks
    service.run(service.get_by_uid(id))


@tasks.post("/v1/tasks/{id}/stop", Permission("tasks", "stop"), bare=BARE)
def stop_task(call: Call, id: str) -> None:
    """Ask a running task to stop."""
    service = call.repoman.tasks
    service.stop(service.get_by_uid(id))


def _type_of(service: Tasks, type_id: str) -> TaskType:
    found = service.find_type(type_id)
    if found is None or not found.is_visible:
        raise Invalid(f"type: there is no task type {type_id!r}.", field="type")
    return found


def _in_words_of(body: TaskChange) -> AbstractContextManager[None]:
    """Have errors name fields as a client does: settings by their names alone."""
    fields = {"schedule": CULPRITS.get(body.frequency.schedule, "schedule")}
    return renamed(lambda field: fields.get(field, field.removeprefix(SETTINGS)))


def _settings_of(type_: TaskType, properties: Mapping[str, str]) -> dict[str, Any]:
    fields = type_.settings.model_fields
    return {key: Text(value) for key, value in properties.items() if key in fields}


def _defaults_of(type_: TaskType) -> dict[str, Any]:
    """Return what settings are that a client does not set; secrets stay as they are."""
    return {
        key: each.get_default(call_default_factory=True)
        for key, each in type_.settings.model_fields.items()
        if not each.is_required() and each.annotation is not SecretStr
    }


def _kept(type_: TaskType, body: TaskChange) -> dict[str, Any]:
    """Return what is stored of a template for who asks for it, without secrets."""
    names = {"type", "alert_email", "notification_condition"}
    fields = type_.settings.model_fields
    secret = {key for key, each in fields.items() if each.annotation is SecretStr}
    properties = {key: MASK if key in secret else text for key, text in body.properties.items()}
    kept = body.model_dump(mode="json", include=names, by_alias=False)
    return {**kept, "properties": properties}


def _properties_of(service: Tasks, task: Task) -> dict[str, str]:
    """Return the settings as texts: of a client's task what it set, with its present value."""
    settings = {key: _text(value) for key, value in service.settings_of(task).items()}
    kept = task.kept.get("properties")
    if kept is None:
        return settings
    return {key: settings.get(key, value) for key, value in kept.items()}


def _text(value: Any) -> str:
    """Return a plain value as clients write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _template_of(type_: TaskType, type_id: str) -> TaskTemplate:
    values = {key: _text(value) for key, value in _defaults_of(type_).items()}
    return TaskTemplate(type=type_id, name=type_.title, properties=values)


def _view(service: Tasks, state: TaskState) -> TaskView:
    task, last = state.task, state.last
    frequency = frequency_of(task.schedule)
    return TaskView(
        id=task.uid,
        name=task.name,
        type=task.kept.get("type", task.type),
        message=_message_of(state) or service.title_of(task),
        current_state=_word_of(state.current),
        last_run_result=None if last is None else RESULTS[last.state],
        next_run=service.next_run(task),
        last_run=None if last is None else last.started_at,
        enabled=task.is_enabled,
        alert_email=task.kept.get("alert_email"),
        notification_condition=task.kept.get("notification_condition", "FAILURE"),
        properties=_properties_of(service, task),
        schedule=frequency.schedule,
        start_date=task.schedule.start,
        time_zone_offset=frequency.time_zone_offset,
        recurring_days=frequency.recurring_days,
        cron_expression=frequency.cron_expression,
    )


def _word_of(run: Run | None) -> str:
    if run is None:
        return "WAITING"
    if run.is_stop_requested:
        return "RUNNING_CANCELED"
    return "RUNNING" if run.state is RunState.RUNNING else "RUNNING_STARTING"


def _message_of(state: TaskState) -> str:
    run = state.current
    if run is None or not (run.done or run.total or run.message):
        return ""
    steps = f"{run.done} of {run.total}" if run.total else str(run.done)
    return f"{steps} {run.message}".rstrip()
