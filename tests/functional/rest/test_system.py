"""The server over REST: its status, read-only mode, what it runs on, and the support file."""

import io
import json
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from repoman import __version__
from repoman.security.rights_records import Role
from repoman.testing import HttpClient
from repoman_raw import plugin as raw
from tests.live import run_program

ANN = ("ann", "a password")


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw})
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.users.create(*ANN)
    return repoman


def ask(client, method, path, body=None, **options):
    if body is not None:
        options |= {"data": json.dumps(body), "content_type": "application/json"}
    return client.request(method, f"/service/rest{path}", **options)


def allow(repoman, *permissions):
    """Allow ann these permissions."""
    for number, each in enumerate(permissions):
        repoman.security.privileges.create(f"p{number}", "wildcard", {"pattern": each})
    names = tuple(f"p{number}" for number, _ in enumerate(permissions))
    repoman.security.roles.create(Role("tester", "tester", privileges=names))
    repoman.users.change("ann", roles=["tester"])


# --- Status ---------------------------------------------------------------------------------------


def test_the_status_is_open_and_has_no_body(client):
    for path in ("/v1/status", "/v1/status/writable", "/beta/status"):
        answer = ask(client, "GET", path, login=False)
        assert (answer.status_code, answer.data) == (200, b"")
        assert ask(client, "HEAD", path, login=False).status_code == 200


def test_checks_have_names_and_all_keys(client, repoman):
    found = ask(client, "GET", "/v1/status/check").json
    assert found["Available CPUs"]["healthy"] is True
    for each in found.values():
        assert set(each) == {
            "healthy", "message", "error", "details", "time", "duration", "timestamp"
        }  # fmt: skip
    assert {"database", "writing to the database"} <= found.keys()
    repoman.health.add("sun", lambda: "It does not shine.")
    repoman.health._checked_at -= 10
    found = ask(client, "GET", "/v1/status/check").json
    assert found["sun"]["message"] == "It does not shine."
    for path in ("/beta/status/check/cluster", "/v1/status/check/cluster"):
        [node] = ask(client, "GET", path).json
        assert node["nodeId"] == repoman.node_id
        assert list(node["results"]) == ["sun"]
    assert ask(client, "GET", "/v1/status/check", auth=ANN).status_code == 403
    assert ask(client, "GET", "/v1/status/check/cluster", login=False).status_code in (401, 403)


# --- Read-only mode -------------------------------------------------------------------------------


def test_in_read_only_mode_nothing_is_written_and_everything_is_read(client, repoman):
    client.put("/repository/files/a", b"content")
    assert ask(client, "POST", "/v1/read-only/freeze").status_code == 204
    refused = client.put("/repository/files/b", b"content")
    assert refused.status_code == 503
    assert "read-only mode" in refused.text
    assert refused.headers["Retry-After"] == "60"
    assert client.delete("/repository/files/a").status_code == 503
    assert client.get("/repository/files/a").data == b"content"
    task = repoman.tasks.all()[0]
    answer = ask(client, "DELETE", f"/v1/tasks/{task.uid}")
    assert (answer.status_code, answer.mimetype) == (503, "text/plain")
    assert ask(client, "GET", "/v1/status/writable").status_code == 503
    assert ask(client, "GET", "/v1/status").status_code == 200
    checks = ask(client, "GET", "/v1/status/check").json
    failing = [name for name, each in checks.items() if not each["healthy"]]
    assert failing == ["Read-only mode"]
    assert ask(client, "POST", "/v1/read-only/release").status_code == 204
    assert client.put("/repository/files/b", b"content").status_code == 201
    assert ask(client, "GET", "/v1/status/writable").status_code == 200


def test_it_begins_and_ends_once(client):
    def state(**options):
        return ask(client, "GET", "/v1/read-only", **options).json

    nothing = {"frozen": False, "summaryReason": "", "systemInitiated": False}
    assert state(login=False) == nothing
    assert ask(client, "POST", "/v1/read-only/freeze").status_code == 204
    again = ask(client, "POST", "/v1/read-only/freeze")
    assert (again.status_code, again.data) == (404, b"")
    assert re.fullmatch(r"Begun by admin at [-\dT:+]+\.", state()["summaryReason"])
    assert state(login=False) == {**nothing, "frozen": True}
    assert state(auth=ANN) == {**nothing, "frozen": True}
    assert ask(client, "POST", "/v1/read-only/force-release").status_code == 204
    again = ask(client, "POST", "/v1/read-only/release")
    assert (again.status_code, again.data) == (404, b"")
    assert ask(client, "POST", "/v1/read-only/force-release").status_code == 204
    assert state() == nothing


def test_what_another_process_changes_is_told_at_once(client, repoman):
    def told():
        shown = ask(client, "GET", "/v1/read-only").json["frozen"]
        check = ask(client, "GET", "/v1/status/check").json["Read-only mode"]["healthy"]
        return shown, check, ask(client, "GET", "/v1/status/writable").status_code

    data = str(repoman.settings.data)
    assert run_program("freeze", "--data", data).returncode == 0
    assert told() == (True, False, 503)
    assert run_program("release", "--data", data).returncode == 0
    assert told() == (False, True, 200)


def test_it_outlives_a_restart(client, repoman_factory):
    ask(client, "POST", "/v1/read-only/freeze")
    again = HttpClient(repoman_factory({"raw": raw}))
    assert ask(again, "GET", "/v1/read-only").json["frozen"] is True
    assert again.put("/repository/files/b", b"content").status_code == 503
    assert ask(again, "POST", "/v1/read-only/release").status_code == 204


def test_who_began_and_ended_it_is_in_the_audit_log(client, repoman):
    ask(client, "POST", "/v1/read-only/freeze")
    ask(client, "POST", "/v1/read-only/release")
    events = repoman.audit.search({"domain": "server"}, limit=5)
    told = [(each["type"], each["actor"]) for each in events]
    assert told == [("release", "admin"), ("freeze", "admin")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/read-only/freeze"),
        ("POST", "/v1/read-only/release"),
        ("POST", "/v1/read-only/force-release"),
        ("GET", "/v1/system/node"),
    ],
)
def test_only_an_administrator_may(client, repoman, method, path):
    allow(repoman, "nexus:settings:*", "nexus:tasks:*", "nexus:metrics:*")
    assert ask(client, method, path, auth=ANN).status_code == 403
    assert ask(client, method, path, login=False).status_code in (401, 403)
    assert repoman.database.read_only.state is None


# --- What it runs on ------------------------------------------------------------------------------


def test_the_id_of_the_server_stays(client, repoman_factory):
    node = ask(client, "GET", "/v1/system/node").json
    assert list(node) == ["nodeId"]
    again = HttpClient(repoman_factory({"raw": raw}))
    assert ask(again, "GET", "/v1/system/node").json == node


def test_the_version_is_xml_or_json(client):
    json_ = {"headers": {"Accept": "application/json"}, "login": False}
    version = {"version": __version__, "edition": "OSS"}
    assert ask(client, "GET", "/wonderland/status", **json_).json == version
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/xml"}):
        answer = ask(client, "GET", "/wonderland/status", headers=headers, login=False)
        assert answer.mimetype == "application/xml"
        assert f"<version>{__version__}</version><edition>OSS</edition></status>" in answer.text


def test_the_phase_is_the_last_one(client):
    answer = ask(client, "GET", "/v1/lifecycle/phase", login=False)
    assert (answer.text, answer.mimetype) == ("TASKS", "text/plain")


def test_exporters_find_what_they_read(client, repoman):
    found = ask(client, "GET", "/atlas/system-information").json
    assert found["nexus-status"]["edition"] == "OSS"
    assert found["system-runtime"]["availableProcessors"] > 0
    [store] = found["system-filestores"].values()
    assert store["totalSpace"] >= store["usableSpace"] > 0
    assert ask(client, "GET", "/atlas/system-information", auth=ANN).status_code == 403
    allow(repoman, "nexus:atlas:read")
    assert ask(client, "GET", "/atlas/system-information", auth=ANN).status_code == 200
    assert ask(client, "POST", "/v1/support/supportzip", {}, auth=ANN).status_code == 403


# --- The support file -----------------------------------------------------------------------------


def read_zip(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {
            name.removeprefix("repoman-support/"): archive.read(name).decode()
            for name in archive.namelist()
        }


def test_the_support_file_has_what_helps_and_no_secret(client, repoman):
    secret = "hunter2-hunter2"
    repoman.repositories.create(
        "mirror",
        "raw-proxy",
        {
            "proxy": {"remote_url": "http://127.0.0.1:9"},
            "http_client": {"username": "ci", "password": secret},
        },
    )
    answer = ask(client, "POST", "/v1/support/supportzip", {})
    assert answer.mimetype == "application/zip"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="support-')
    parts = read_zip(answer.data)
    assert json.loads(parts["system.json"])["version"] == __version__
    assert json.loads(parts["settings.json"])["data"] == str(repoman.data)
    assert [each["name"] for each in json.loads(parts["repositories.json"])] == ["files", "mirror"]
    assert json.loads(parts["health.json"])["database"] == ""
    assert "Compact blob stores" in parts["tasks.txt"]
    assert "repoman_healthy" in parts["metrics.txt"]
    assert '"MainThread"' in parts["threads.txt"]
    assert "pydantic " in parts["packages.txt"]
    everything = "\n".join(parts.values())
    for each in (secret, repoman.security.sessions.signing_key, *_keys(repoman)):
        assert each not in everything


def _keys(repoman):
    return (repoman.data / "keys/secrets.key").read_text().split()


def test_parts_of_the_support_file_can_be_left_out(client):
    switches = ("systemInformation", "configuration", "threadDump", "metrics", "log", "taskLog")
    body = {**dict.fromkeys(switches, False), "threadDump": True, "limitZipSize": True}
    answer = ask(client, "POST", "/v1/support/supportzip", body)
    assert list(read_zip(answer.data)) == ["threads.txt"]


def test_a_part_that_fails_says_so(client, repoman):
    repoman.metrics.add(lambda: 1 / 0)
    parts = read_zip(ask(client, "POST", "/v1/support/supportzip", {}).data)
    assert parts["metrics.txt"] == "This could not be read: ZeroDivisionError: division by zero\n"
    assert "system.json" in parts


def test_of_two_who_begin_it_at_once_one_does(repoman):
    def freeze(_number):
        try:
            return ask(HttpClient(repoman), "POST", "/v1/read-only/freeze").status_code
        finally:
            repoman.database.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(freeze, range(4))) == [204, 404, 404, 404]
    assert repoman.database.read_only.state.actor == "admin"


@pytest.mark.parametrize("body", [[], "x", {"log": "maybe"}, {"threadDump": [1]}])
def test_a_wrong_request_for_the_support_file_is_refused(client, body):
    assert ask(client, "POST", "/v1/support/supportzip", body).status_code == 400
