"""Tasks over REST: created, changed, run and stopped, and given back as clients set them."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import Field, SecretStr

from repoman.plugin import FirstTask, Section, TaskType, hookimpl
from repoman.security.rights_records import Role
from repoman.tasks.runner import Runner
from repoman.tasks.schedule import parse_schedule
from repoman.testing import HttpClient
from tests.clock import wait_until
from tests.statements import executed_statements

UNKNOWN = "9c1b6ea2-3f5b-4d0e-8a43-9f5f2e8b1c11"
EIGHT_DAYS_MS = 1_900_000_000_000  # in 2030
KEYS = {
    "id", "name", "type", "message", "currentState", "lastRunResult", "nextRun", "lastRun",
    "enabled", "alertEmail", "notificationCondition", "properties", "schedule", "startDate",
    "timeZoneOffset", "recurringDays", "cronExpression",
}  # fmt: skip


class Settings(Section):
    age: int = Field(24, ge=1)
    names: tuple[str, ...] = ()
    deep: bool = False
    password: SecretStr = SecretStr("")


class Plugin:
    """Brings a type of tasks that another product calls differently."""

    @hookimpl
    def repoman_register_tasks(self):
        return [
            TaskType(
                "sweep.all", "Sweep everything", lambda _: "Swept.", settings=Settings,
                aliases=("other.sweep",),
            ),
            TaskType("fail.always", "Fail", fail),
            TaskType("hidden", "Hidden", lambda _: "", is_visible=False,
                     first=FirstTask("hourly 1")),
        ]  # fmt: skip


def fail(_context):
    raise RuntimeError("This was to be expected.")


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"sweep": Plugin()})
    repoman.users.create("ann", "a password")
    return repoman


@pytest.fixture
def runner(repoman):
    runner: Runner = repoman.make_runner()
    yield runner
    runner.stop()


def ask(client, method, path="", body=None, **options):
    if body is not None:
        options |= {"data": json.dumps(body), "content_type": "application/json"}
    return client.request(method, f"/service/rest/v1/tasks{path}", **options)


def template(**values):
    return {"type": "sweep.all", "name": "Sweep", "enabled": True, **values}


def make(client, **values):
    answer = ask(client, "POST", body=template(**values))
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_list_has_all_visible_tasks_on_one_page(client):
    page = ask(client, "GET").json
    assert page["continuationToken"] is None
    assert page["items"]
    for item in page["items"]:
        assert set(item) == KEYS
        assert item["currentState"] == "WAITING"
        assert ask(client, "GET", f"/{item['id']}").json == item
    assert "Hidden" not in {item["name"] for item in page["items"]}
    compact = ask(client, "GET", "?type=blobstore.compact").json["items"]
    assert [item["type"] for item in compact] == ["blobstore.compact"]
    assert ask(client, "GET", "?type=zz").json == {"items": [], "continuationToken": None}


@pytest.mark.parametrize(
    "frequency",
    [
        {"schedule": "manual"},
        {"schedule": "once", "startDate": EIGHT_DAYS_MS, "timeZoneOffset": "+02:00"},
        {"schedule": "hourly", "startDate": EIGHT_DAYS_MS},
        {"schedule": "daily", "startDate": EIGHT_DAYS_MS, "timeZoneOffset": "-09:30"},
        {"schedule": "weekly", "startDate": EIGHT_DAYS_MS, "recurringDays": [1, 3, 7]},
        {"schedule": "monthly", "startDate": EIGHT_DAYS_MS, "recurringDays": [1, 31, 999]},
        {"schedule": "cron", "cronExpression": "0 0 2 * * ?"},
        {"schedule": "cron", "cronExpression": "0 0 22-4 LW * ?"},
        {"schedule": "cron", "cronExpression": "0 0 2 ? * MON", "timeZoneOffset": "+00:00"},
    ],
)
def test_a_frequency_comes_back_as_it_was_set(client, frequency):
    task = make(client, frequency=frequency)
    assert task["schedule"] == frequency["schedule"]
    assert task["timeZoneOffset"] == frequency.get("timeZoneOffset")
    assert task["recurringDays"] == frequency.get("recurringDays")
    assert task["cronExpression"] == frequency.get("cronExpression")
    if "startDate" in frequency:
        assert task["startDate"] == "2030-03-17T17:46:40.000+00:00"
        assert task["nextRun"] >= task["startDate"]
    if frequency["schedule"] == "weekly":  # The start is a Sunday, at 17:46 without the seconds.
        assert task["nextRun"] == "2030-03-19T17:46:00.000+00:00"
    if frequency["schedule"] == "daily":
        assert task["nextRun"] == "2030-03-18T17:46:00.000+00:00"


@pytest.mark.parametrize(
    ("cron", "quartz"),
    [
        ("0 */30 * * * ?", "0 */30 * * * ?"),
        ("0 0/15 8-17 ? * MON-FRI", "0 0/15 8-17 ? * MON-FRI"),
        ("*/30 * * * * *", "*/30 * * * * ?"),
        ("0 0 3 * * MON", "0 0 3 ? * MON"),
        ("0 0 3 1 * * 2080", "0 0 3 1 * ? 2080"),
        ("*/30 * * * *", "0 */30 * * * ?"),
        ("0 3 1 * *", "0 0 3 1 * ?"),
        ("0 3 * * 0", "0 0 3 ? * SUN"),
        ("0 3 * * 1-5", "0 0 3 ? * MON-FRI"),
        ("0 3 * * 5-7", "0 0 3 ? * FRI-SUN"),
        ("0 3 * * 5#2", "0 0 3 ? * FRI#2"),
    ],
)
def test_a_cron_expression_reads_as_quartz_has_it(client, repoman, cron, quartz):
    repoman.tasks.create("sweep.all", "Sweep", schedule=parse_schedule(f"cron {cron}"))
    shown = next(each for each in ask(client, "GET").json["items"] if each["name"] == "Sweep")
    assert shown["cronExpression"] == quartz
    again = make(client, frequency={"schedule": "cron", "cronExpression": quartz})
    assert (again["cronExpression"], again["nextRun"]) == (quartz, shown["nextRun"])


def test_a_change_may_leave_out_the_type(client):
    task = make(client)
    change = {"name": "Other", "enabled": True}
    assert ask(client, "PUT", f"/{task['id']}", body=change).status_code == 204
    after = ask(client, "GET", f"/{task['id']}").json
    assert (after["name"], after["type"]) == ("Other", task["type"])
    assert ask(client, "PUT", "/dummy", body=change).status_code == 404
    assert ask(client, "POST", body=change).status_code == 400


@pytest.mark.parametrize(
    ("frequency", "id_"),
    [
        ({"schedule": "sometimes"}, "PARAMETER schedule"),
        ({}, "PARAMETER schedule"),
        ({"schedule": "once"}, "startDate"),
        ({"schedule": "weekly", "startDate": 0, "recurringDays": [8]}, "recurringDays"),
        ({"schedule": "monthly"}, "recurringDays"),
        ({"schedule": "cron"}, "cronExpression"),
        ({"schedule": "cron", "cronExpression": "0 0 30 2 *"}, "cronExpression"),
        ({"schedule": "cron", "cronExpression": "0 0 2 ? * X"}, "cronExpression"),
        ({"schedule": "daily", "startDate": -1}, "PARAMETER startDate"),
        ({"schedule": "daily", "startDate": 10**30}, "PARAMETER startDate"),
        ({"schedule": "daily", "timeZoneOffset": "Mars"}, "timeZoneOffset"),
        ({"schedule": "once", "startDate": 1000}, "startDate"),
    ],
)
def test_a_frequency_that_never_comes_is_refused(client, frequency, id_):
    answer = ask(client, "POST", body=template(frequency=frequency))
    assert answer.status_code == 400
    assert answer.json[0]["id"] == id_


def test_what_a_client_sets_is_kept_with_what_has_no_effect_here(client, repoman, repoman_factory):
    task = make(
        client,
        type="other.sweep",
        alertEmail="ops@example.com",
        notificationCondition="success_failure",
        properties={"age": "48", "names": "a,b", "deep": "true", "unknown": "x"},
    )
    expected = {
        "type": "other.sweep",
        "alertEmail": "ops@example.com",
        "notificationCondition": "SUCCESS_FAILURE",
        "properties": {"age": "48", "names": "a,b", "deep": "true", "unknown": "x"},
    }
    assert {key: task[key] for key in expected} == expected
    stored = repoman.tasks.get_by_uid(task["id"])
    assert stored.type == "sweep.all"
    assert repoman.tasks.settings_of(stored) == {
        "age": 48, "names": ["a", "b"], "deep": True, "password": ""
    }  # fmt: skip
    repoman.tasks.update(stored, settings={"age": 72})
    restarted = HttpClient(repoman_factory({"sweep": Plugin()}))
    again = ask(restarted, "GET", f"/{task['id']}").json
    assert again == {**task, "properties": {**expected["properties"], "age": "72"}}


def test_a_secret_is_never_given_back_and_stays_where_it_is_not_sent(client, repoman):
    task = make(client, properties={"password": "hunter2-hunter2"})
    stored = repoman.tasks.get_by_uid(task["id"])
    assert "hunter2" not in json.dumps([task, stored.kept, dict(stored.settings)])
    body = template(properties={"age": "5"})
    assert ask(client, "PUT", f"/{task['id']}", body).status_code == 204
    changed = repoman.tasks.get_by_uid(task["id"])
    opened = repoman.database.keyring.unseal(changed.settings)
    assert (opened["password"], opened["age"]) == ("hunter2-hunter2", 5)


def test_a_change_replaces_all_but_the_type(client):
    task = make(client, alertEmail="a@b.c", properties={"age": "5"})
    body = template(name="New", enabled=False, frequency={"schedule": "hourly"})
    assert ask(client, "PUT", f"/{task['id']}", body).status_code == 204
    changed = ask(client, "GET", f"/{task['id']}").json
    assert (changed["name"], changed["enabled"], changed["schedule"]) == ("New", False, "hourly")
    assert (changed["alertEmail"], changed["properties"], changed["nextRun"]) == (None, {}, None)
    other = ask(client, "PUT", f"/{task['id']}", template(type="fail.always"))
    assert (other.status_code, other.json[0]["id"]) == (400, "type")
    assert ask(client, "DELETE", f"/{task['id']}").status_code == 204
    for method, more in (("GET", {}), ("DELETE", {}), ("PUT", {"body": body})):
        gone = ask(client, method, f"/{task['id']}", **more)
        assert (gone.status_code, gone.data) == (404, b"")


@pytest.mark.parametrize(
    ("values", "id_"),
    [
        ({"type": "zz"}, "type"),
        ({"type": "hidden"}, "type"),
        ({"type": None}, "PARAMETER type"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 1000}, "name"),
        ({"properties": {"age": "0"}}, "age"),
        ({"properties": {"age": "many"}}, "age"),
        ({"notificationCondition": "never"}, "PARAMETER notificationCondition"),
        ({"properties": {str(n): "" for n in range(101)}}, "PARAMETER properties"),
        ({"alertEmail": "x" * 2000}, "PARAMETER alertEmail"),
    ],
)
def test_a_wrong_task_is_refused_and_the_field_named(client, values, id_):
    answer = ask(client, "POST", body=template(**values))
    assert answer.status_code == 400
    assert answer.json[0]["id"] == id_


def test_nulls_are_what_is_not_given(client):
    nulls = {"alertEmail": None, "frequency": None, "properties": None}
    task = make(client, **nulls, notificationCondition=None)
    assert (task["schedule"], task["properties"]) == ("manual", {})
    assert task["notificationCondition"] == "FAILURE"


def test_a_run_is_requested_and_its_end_can_be_polled(client, runner):
    task = make(client)
    path = f"/{task['id']}"
    answer = ask(client, "POST", f"{path}/run")
    assert (answer.status_code, answer.data) == (204, b"")
    assert ask(client, "GET", path).json["currentState"] == "RUNNING_STARTING"
    runner.look()

    def ended():
        found = ask(client, "GET", path).json
        return found["currentState"] == "WAITING" and found

    done = wait_until(ended, what="the end of the run")
    assert done["lastRunResult"] == "OK"
    assert done["lastRun"].endswith("+00:00")
    idle = ask(client, "POST", f"{path}/stop")
    assert (idle.status_code, idle.data) == (409, b"")


def test_how_a_run_ended_is_told(client, runner):
    task = make(client, type="fail.always")
    path = f"/{task['id']}"
    ask(client, "POST", f"{path}/run")
    runner.look()
    wait_until(lambda: ask(client, "GET", path).json["lastRunResult"] == "FAILED")
    ask(client, "POST", f"{path}/run")
    assert ask(client, "POST", f"{path}/stop").status_code == 204
    assert ask(client, "GET", path).json["lastRunResult"] == "CANCELED"


def test_what_cannot_run_is_refused_without_a_body(client):
    task = make(client, enabled=False)
    for path, status in ((task["id"], 405), (UNKNOWN, 404), ("zz", 404)):
        answer = ask(client, "POST", f"/{path}/run")
        assert (answer.status_code, answer.data) == (status, b"")


def test_a_template_tells_what_a_type_takes(client):
    found = {each["type"]: each for each in ask(client, "GET", "/templates").json}
    assert "hidden" not in found
    assert found["sweep.all"] == {
        "type": "sweep.all",
        "name": "Sweep everything",
        "enabled": True,
        "alertEmail": None,
        "notificationCondition": "FAILURE",
        "frequency": {
            "schedule": "manual",
            "startDate": None,
            "timeZoneOffset": None,
            "recurringDays": None,
            "cronExpression": None,
        },
        "properties": {"age": "24", "names": "", "deep": "false"},
    }
    other = ask(client, "GET", "/templates/other.sweep").json
    assert other == {**found["sweep.all"], "type": "other.sweep"}
    assert make(client, **{**other, "name": "From a template"})["type"] == "other.sweep"
    for name in ("zz", "hidden"):
        assert ask(client, "GET", f"/templates/{name}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "", "read"),
        ("POST", "", "create"),
        ("GET", "/templates", "read"),
        ("GET", "/{id}", "read"),
        ("PUT", "/{id}", "update"),
        ("DELETE", "/{id}", "delete"),
        ("POST", "/{id}/run", "start"),
        ("POST", "/{id}/stop", "stop"),
    ],
)
def test_each_request_needs_its_own_right(client, repoman, method, path, action):
    task = make(client)
    path = path.replace("{id}", task["id"])
    body = template() if method in ("PUT", "POST") and not path.endswith(("run", "stop")) else None
    assert ask(client, method, path, body, auth=("ann", "a password")).status_code == 403
    assert ask(client, method, path, body, login=False).status_code in (401, 403)
    everything_else = [
        each for each in ("create", "read", "update", "delete", "start", "stop") if each != action
    ]
    allow(repoman, everything_else)
    assert ask(client, method, path, body, auth=("ann", "a password")).status_code == 403
    allow(repoman, [action])
    answer = ask(client, method, path, body, auth=("ann", "a password"))
    assert answer.status_code in (200, 201, 204, 409)


def allow(repoman, actions):
    """Allow ann these actions on tasks, and nothing else."""
    properties = {"domain": "tasks", "actions": actions}
    if any(each.name == "tester" for each in repoman.security.privileges.all()):
        repoman.security.privileges.change("tester", properties)
        return
    repoman.security.privileges.create("tester", "application", properties)
    repoman.security.roles.create(Role("tester", "tester", privileges=("tester",)))
    repoman.users.change("ann", roles=["tester"])


def test_the_audit_log_has_each_change(client, repoman):
    task = make(client, properties={"password": "hunter2-hunter2"})
    ask(client, "PUT", f"/{task['id']}", template(name="New"))
    ask(client, "POST", f"/{task['id']}/run")
    ask(client, "DELETE", f"/{task['id']}")
    repoman.audit.flush()
    events = repoman.audit.search({"domain": "task"}, limit=10)
    assert [each["type"] for each in events] == ["delete", "run", "change", "create"]
    assert {each["actor"] for each in events} == {"admin"}
    assert "hunter2" not in str(events)


def test_a_list_takes_as_many_statements_for_many_tasks_as_for_few(client, repoman):
    def count():
        with executed_statements() as statements:
            repoman.tasks.states()
        return len(statements)

    before = count()
    for number in range(20):
        task = repoman.tasks.create("sweep.all", f"Sweep {number}")
        repoman.tasks.run(task)
    assert count() == before
    assert len(ask(client, "GET").json["items"]) > 20


def test_of_requests_for_a_run_at_once_one_run_is_queued(client, repoman):
    task = make(client)

    def request(_number):
        try:
            return ask(HttpClient(repoman), "POST", f"/{task['id']}/run").status_code
        finally:
            repoman.database.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(request, range(4))) == {204}
    assert len(repoman.tasks.runs(repoman.tasks.get_by_uid(task["id"]))) == 1
