"""What goes on in read-only mode besides reads: logins, sessions, the audit log, chores, tasks."""

import json
from base64 import b64encode

import pytest

from repoman.db.usage_models import SampleRecord
from repoman.security.actors import Limit
from repoman.testing import ADMIN, Clock, HttpClient
from repoman_raw import plugin as raw
from tests.clock import wait_until

API = "/service/rest/v1"
SESSION = "/service/rapture/session"
ANN = ("ann", "a password")
DAY_S = 86_400


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def repoman(repoman_factory, clock):
    repoman = repoman_factory({"raw": raw}, clock)
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.users.create(*ANN, ["nx-developer"])
    return repoman


@pytest.fixture
def client(repoman):
    client = HttpClient(repoman)
    assert client.put("/repository/files/a.txt", data=b"x").status_code < 300
    return client


def log_in(client, login=ANN):
    form = dict(zip(("username", "password"), (encoded(each) for each in login), strict=True))
    return client.request("POST", SESSION, data=form, login=False)


def encoded(text):
    return b64encode(text.encode()).decode()


def is_in(client):
    answer = client.request("GET", "/api/v1/options", login=False)
    return answer.status_code == 200


def test_logins_of_all_kinds_work_and_sessions_end(repoman, client, clock):
    secret = repoman.security.user_tokens.create("ann", "ci", Limit(), None)
    earlier, later = HttpClient(repoman), HttpClient(repoman)
    assert log_in(earlier).status_code == 204
    repoman.database.freeze("admin")
    for login in (ADMIN, ANN, ("ann", secret)):
        answer = client.request("GET", "/repository/files/a.txt", login=False, auth=login)
        assert (answer.status_code, answer.data) == (200, b"x")
    wrong = client.request("GET", f"{API}/tasks", login=False, auth=("ann", "wrong password"))
    assert wrong.status_code == 401
    assert log_in(later).status_code == 204
    assert is_in(earlier)
    assert is_in(later)
    repoman.security.flush()
    clock.jump(2 * DAY_S)
    assert not is_in(earlier)
    assert not is_in(later)


def test_the_server_goes_on_with_its_chores(repoman, client, clock):
    repoman.database.freeze("admin")
    assert client.get("/repository/files/a.txt").status_code == 200
    log_in(HttpClient(repoman))
    before = SampleRecord.select().count()
    clock.jump(2 * DAY_S)
    for chore in repoman._list_chores().values():
        chore()
    repoman.sweep()
    assert SampleRecord.select().count() > before
    repoman.audit.flush()
    kinds = {(each["domain"], each["type"]) for each in repoman.audit.search({})}
    assert {("server", "freeze"), ("login", "success")} <= kinds
    unhealthy = {
        name for name, each in client.get(f"{API}/status/check").json.items() if not each["healthy"]
    }
    assert unhealthy <= {"Read-only mode", "Task scheduler"}, unhealthy


def test_tasks_that_write_wait_and_say_why_and_others_run(repoman, client):
    tasks = {each.type: each for each in repoman.tasks.all()}
    runner = repoman.make_runner("server")
    queued = repoman.tasks.run(tasks["blobstore.compact"])
    verify = repoman.tasks.update(tasks["blobstore.verify"], is_enabled=True)
    repoman.database.freeze("admin")
    refused = client.request("POST", f"{API}/tasks/{tasks['blobstore.compact'].uid}/run")
    assert (refused.status_code, "read-only mode" in refused.text) == (503, True)
    assert refused.headers["Retry-After"]
    read = repoman.tasks.run(verify)
    runner.look()
    wait_until(lambda: repoman.tasks.get_run(read.id).is_over, what="the task that only reads")
    assert repoman.tasks.get_run(read.id).state == "ok"
    assert repoman.tasks.get_run(queued.id).state == "queued"
    repoman.database.release()
    runner.look()
    wait_until(lambda: repoman.tasks.get_run(queued.id).is_over, what="the task that waited")
    assert repoman.tasks.get_run(queued.id).state == "ok"
    runner.stop()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{API}/security/users", {}),
        ("PATCH", "/api/v1/options/http", {"retries": 1}),
        ("PATCH", "/api/v1/repositories/files/settings", {"online": False}),
        ("PUT", f"{API}/security/anonymous", {"enabled": True}),
        ("DELETE", f"{API}/repositories/files", None),
        ("PUT", f"{API}/security/users/ann/change-password", "another password"),
    ],
)
def test_changes_are_refused_with_a_reason_and_a_time(repoman, client, method, path, body):
    repoman.database.freeze("admin")
    if path.endswith("users"):
        body = {
            "userId": "bob",
            "firstName": "B",
            "lastName": "B",
            "emailAddress": "bob@example.org",
            "password": "a password",
            "status": "active",
            "roles": ["nx-admin"],
        }
    kind = "text/plain" if isinstance(body, str) else "application/json"
    data = body if isinstance(body, str) else json.dumps(body)
    answer = client.request(method, path, data=data, content_type=kind)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "read-only mode" in answer.text
    repoman.database.release()
    assert client.request(method, path, data=data, content_type=kind).status_code < 300
