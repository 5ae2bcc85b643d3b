"""The doctor over REST and on the command line, and what requests tell it of proxies in front."""

import json

import pytest
import requests
from click.testing import CliRunner

from repoman.cli import cli
from repoman.doctor.probe import proof_of
from repoman.doctor.service import Doctor
from repoman.security.rights_records import Role
from repoman.testing import HttpClient
from repoman_raw import plugin as raw
from tests.clock import WAIT_S
from tests.live import LiveServer

ANN = ("ann", "a password")


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw}, server={"trusted_proxies": ["10.0.0.1"]})
    repoman.users.create(*ANN)
    return repoman


def allow(repoman, pattern):
    repoman.security.privileges.create("p", "wildcard", {"pattern": pattern})
    repoman.security.roles.create(Role("tester", "tester", privileges=("p",)))
    repoman.users.change("ann", roles=["tester"])


def test_the_doctor_over_rest(client, repoman):
    assert client.get("/api/v1/doctor").json == {"state": "good", "problems": 0, "checks": []}
    found = client.request("POST", "/api/v1/doctor/run").json
    assert {each["id"] for each in found["checks"]} >= {"disk", "tasks", "proxies", "backup"}
    assert client.get("/api/v1/doctor").json == found
    (disk,) = (each for each in found["checks"] if each["id"] == "disk")
    assert disk["findings"][0]["title"] == disk["title"] == "Disk space"
    (repoman.data / "admin.password").write_text("x")
    found = client.request("POST", "/api/v1/doctor/run?check=first-password").json
    assert (found["state"], found["problems"]) == ("bad", 1)
    assert found["checks"][0]["findings"][0]["fixes"][0]["code"] == "repoman user password admin"
    answer = client.request("POST", "/api/v1/doctor/run?check=moon")
    assert answer.status_code == 404
    assert "first-password" in answer.json["detail"]
    text = client.get("/service/metrics/prometheus").text
    assert 'repoman_doctor_findings{state="bad"} 1\n' in text


def test_the_doctor_is_for_those_who_may(client, repoman):
    for method, path in (("GET", ""), ("POST", "/run")):
        assert client.request(method, f"/api/v1/doctor{path}", login=False).status_code == 401
        assert client.request(method, f"/api/v1/doctor{path}", auth=ANN).status_code == 403
    allow(repoman, "nexus:metrics:read")
    assert client.get("/api/v1/doctor", auth=ANN).status_code == 200
    assert client.request("POST", "/api/v1/doctor/run", auth=ANN).status_code == 403


def test_a_probe_is_answered_without_its_body_and_by_anybody(client, repoman):
    length = {"Content-Length": str(1 << 40)}
    path = "/api/v1/doctor/probe"
    answer = client.request("POST", f"{path}?nonce=x", login=False, headers=length)
    assert answer.text == proof_of(repoman.probe_key(), "x")
    assert client.request("POST", f"{path}?nonce=y", login=False).text != answer.text
    assert client.request("POST", path, login=False).status_code == 400
    assert client.request("POST", f"{path}?nonce={'x' * 99}", login=False).status_code == 400


def test_requests_tell_of_proxies(repoman):
    client = HttpClient(repoman)
    client._environ["REMOTE_ADDR"] = "10.9.9.9"
    client.get("/healthz", headers={"X-Forwarded-For": "1.2.3.4"})
    client._environ["REMOTE_ADDR"] = "10.0.0.1"
    client.get("/healthz")
    (result,) = (each for each in repoman.doctor.examine("proxies") if each.check == "proxies")
    titles = [each.title for each in result.findings]
    assert any("10.9.9.9" in each for each in titles)
    assert any("does not tell the scheme" in each for each in titles)
    client.get("/healthz", headers={"X-Forwarded-Proto": "https"})
    (result,) = (each for each in repoman.doctor.examine("proxies") if each.check == "proxies")
    assert [each.state for each in result.findings] == ["warn", "good"]


def run(data, *arguments):
    result = CliRunner().invoke(cli, ["doctor", *arguments, "--data", str(data)])
    return result.exit_code, result.output


def test_the_command_exits_by_what_it_finds(repoman_factory, repoman, monkeypatch):
    repoman_factory.stop()
    status, text = run(repoman.data, "first-password")
    assert (status, text.count("First password")) == (0, 1)
    assert "No server runs on this data" in text
    (repoman.data / "admin.password").write_text("x")
    status, text = run(repoman.data, "first-password")
    assert status == 2
    assert "            repoman user password admin\n" in text
    status, text = run(repoman.data, "first-password", "--json")
    (result,) = json.loads(text)["checks"]
    assert (status, result["state"]) == (2, "bad")
    status, text = run(repoman.data, "--url", "http://127.0.0.1:9")
    assert status == 1
    assert "does not answer" in text
    assert run(repoman.data, "--url", "ftp://x")[0] == 1
    monkeypatch.setattr(Doctor, "examine", lambda *_, **__: [])
    assert run(repoman.data)[0] == 0


def test_a_server_reaches_itself_while_all_its_workers_run_the_doctor(tmp_path):
    server = LiveServer(tmp_path, settings={"server": {"threads": 1}})
    server.environment["REPOMAN_SERVER__EXTERNAL_URL"] = server.main_url
    server.start()
    try:
        url = f"{server.main_url}/api/v1/doctor/run"
        ran = requests.post(url, params={"check": "body-size"}, auth=server.admin, timeout=WAIT_S)
        [result] = [each for each in ran.json()["checks"] if each["id"] == "body-size"]
        assert result["state"] == "good", result
    finally:
        server.end()
