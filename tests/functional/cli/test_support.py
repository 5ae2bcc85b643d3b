"""The file for support by the command line, and the metrics of a running server."""

import json
import stat
import zipfile

import requests


def test_the_command_writes_the_file_for_its_owner_alone(server, tmp_path):
    path = tmp_path / "support.zip"
    path.touch(0o644)  # Of another program; what it was is not kept.
    assert server.cli("support-zip", str(path)).stdout == f"Wrote {path}.\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        system = json.loads(archive.read("repoman-support/system.json"))
        assert system["data"] == str(server.data)
        everything = b"".join(map(archive.read, archive.namelist()))
    assert server.password.encode() not in everything
    refused = server.cli("support-zip", str(tmp_path / "missing/file.zip"), check=False)
    assert refused.returncode == 1
    assert "cannot be written: No such file or directory" in refused.stderr


def metrics_of(server):
    answer = requests.get(
        f"{server.main_url}/service/metrics/prometheus", auth=server.admin, timeout=60
    )
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (each.rpartition(" ") for each in lines)}


def test_a_running_server_tells_its_metrics(server):
    before = metrics_of(server)
    requests.get(f"{server.main_url}/nothing", auth=server.admin, timeout=60)
    after = metrics_of(server)
    name = 'repoman_http_requests_total{method="GET",code="404"}'
    assert after[name] == before.get(name, 0) + 1
    assert 0 < after["repoman_connections"] <= after["repoman_connections_limit"]
    assert after["repoman_waiting_requests"] == 0
    assert after['repoman_database_bytes{file="database"}'] > 0
    assert after["process_resident_memory_bytes"] > 10_000_000
    assert after['repoman_healthy{check="tasks"}'] == 1
