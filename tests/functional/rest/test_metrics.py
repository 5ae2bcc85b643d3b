"""Metrics over REST: for Prometheus, and for exporters that know another server."""

import re

import pytest

from repoman.logs import LINES_KEPT
from repoman.tasks.schedule import parse_schedule
from repoman_raw import plugin as raw

ANN = ("ann", "a password")
LINE = re.compile(
    r'[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? [-+.e\d]+'
)
ROOTS = ("/service/metrics", "/service/rest/metrics")


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw})
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.users.create(*ANN)
    return repoman


def numbers(client):
    """The metrics, by their names with their labels."""
    answer = client.get("/service/metrics/prometheus")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            assert LINE.fullmatch(line), line
            name, _, value = line.rpartition(" ")
            assert name not in found
            found[name] = float(value)
    return found


def test_each_metric_is_described_once_before_its_numbers(client):
    named = ""
    seen = set()
    for line in client.get("/service/metrics/prometheus").text.splitlines():
        if line.startswith("# HELP "):
            assert line.endswith(".")
        elif line.startswith("# TYPE "):
            _, _, named, kind = line.split()
            assert kind in ("counter", "gauge", "histogram")
            assert (kind == "counter") is named.endswith("_total")
            assert named not in seen
            seen.add(named)
        else:
            assert line.startswith(named)
    assert {"process_resident_memory_bytes", "repoman_healthy", "repoman_read_only"} <= seen


def test_requests_are_counted_by_method_and_status(client):
    client.put("/repository/files/a", b"x" * 1000)
    client.get("/repository/files/a")
    client.get("/repository/files/b")
    client.head("/repository/files/a")
    client.request("BREW", "/repository/files/a")
    client.get("/healthz")
    found = numbers(client)
    count = "repoman_http_requests_total"
    assert found[f'{count}{{method="PUT",code="201"}}'] == 1
    assert found[f'{count}{{method="GET",code="200"}}'] == 1
    assert found[f'{count}{{method="GET",code="404"}}'] == 1
    assert found[f'{count}{{method="HEAD",code="200"}}'] == 1
    assert [key for key in found if "BREW" in key] == []
    assert sum(value for key, value in found.items() if f'{count}{{method="other"' in key) == 1
    assert found["repoman_http_request_bytes_total"] == 1000
    assert found["repoman_http_response_bytes_total"] >= 1000
    later = numbers(client)
    assert later[f'{count}{{method="GET",code="200"}}'] == 2  # The metrics themselves.


def test_durations_are_a_histogram(client):
    client.get("/repository/files/b")
    found = numbers(client)
    name = "repoman_http_request_duration_seconds"
    buckets = [
        value for key, value in found.items() if key.startswith(f'{name}_bucket{{method="GET')
    ]
    assert buckets == sorted(buckets)
    assert found[f'{name}_bucket{{method="GET",le="+Inf"}}'] == 1
    assert found[f'{name}_count{{method="GET"}}'] == 1
    assert 0 < found[f'{name}_sum{{method="GET"}}'] < 60


def test_read_only_mode_and_failing_checks_are_told(client, repoman):
    assert numbers(client)["repoman_read_only"] == 0
    repoman.database.freeze("ann")
    assert numbers(client)["repoman_read_only"] == 1
    repoman.health.add('a "quoted"\nname', lambda: "It fails.")
    repoman.health._checked_at -= 10
    found = numbers(client)
    assert found['repoman_healthy{check="a \\"quoted\\"\\nname"}'] == 0
    assert found['repoman_healthy{check="database"}'] == 1


@pytest.mark.parametrize("root", ROOTS)
def test_exporters_find_the_names_that_they_know(client, root):
    client.get("/repository/files/b")
    found = client.get(f"{root}/data").json
    assert set(found) == {"version", "gauges", "counters", "histograms", "meters", "timers"}
    for part in ("heap", "non-heap", "total"):
        for each in ("committed", "init", "max", "used"):
            assert isinstance(found["gauges"][f"jvm.memory.{part}.{each}"]["value"], int)
    assert found["gauges"]["jvm.memory.heap.used"]["value"] > 1_000_000
    assert found["gauges"]["jvm.vm.uptime"]["value"] > 0
    assert found["gauges"]["jvm.thread-states.count"]["value"] > 0
    web = "org.eclipse.jetty.webapp.WebAppContext"
    assert found["meters"][f"{web}.4xx-responses"]["count"] == 1
    assert found["meters"][f"{web}.5xx-responses"]["count"] == 0
    assert found["meters"]["metrics.error"] == {"count": 0}
    assert found["timers"][f"{web}.get-requests"]["count"] == 1


@pytest.mark.parametrize("root", ROOTS)
def test_the_other_addresses_answer(client, root):
    assert client.get(f"{root}/ping").text == "pong\n"
    assert client.get(f"{root}/healthcheck").json["database"]["healthy"] is True
    threads = client.get(f"{root}/threads")
    assert threads.mimetype == "text/plain"
    assert '"MainThread" id=' in threads.text
    assert client.get(f"{root}/nothing").status_code == 404


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("name", ["ping", "data", "healthcheck", "threads", "prometheus"])
def test_each_needs_the_right(client, root, name):
    for answer in (
        client.get(f"{root}/{name}", auth=ANN),
        client.get(f"{root}/{name}", login=False),
    ):
        assert answer.status_code in (401, 403)
        assert answer.data == b""


def test_records_of_the_log_are_counted_and_the_last_ones_kept(repoman):
    import logging

    log = repoman.metrics.log
    for number in range(LINES_KEPT + 1_000):
        log.emit(logging.makeLogRecord({"msg": "line %d", "args": (number,), "levelname": "INFO"}))
    log.emit(logging.makeLogRecord({"msg": "%d", "args": ("no number",), "levelname": "ERROR"}))
    assert log.counts == {"info": LINES_KEPT + 1_000, "error": 1}
    assert len(log.lines()) == LINES_KEPT
    assert str(log.lines()[-1]).endswith(f"line {LINES_KEPT + 999}")


def test_blob_stores_and_tasks_are_told(client, repoman):
    client.put("/repository/files/a", b"x" * 1000)
    found = numbers(client)
    assert found['repoman_blob_store_bytes{store="default"}'] == 1000
    assert found['repoman_blob_store_blobs{store="default"}'] == 1
    assert found['repoman_blob_store_free_bytes{store="default"}'] > 0
    name = "Admin - Verify blob stores"
    assert found[f'repoman_task_failed{{task="{name}"}}'] == 0
    [task] = [each for each in repoman.tasks.all() if each.name == name]
    run = repoman.tasks.run(repoman.tasks.update(task, is_enabled=True))
    [path] = (repoman.data / "blobs/default/sha256").glob("*/*")
    path.write_bytes(b"damaged")
    repoman.make_runner().execute(run)
    found = numbers(client)
    assert found[f'repoman_task_failed{{task="{name}"}}'] == 1
    assert found[f'repoman_task_running{{task="{name}"}}'] == 0


def test_a_task_that_failed_is_told_of_whatever_its_namesake_did(client, repoman):
    failing, other = (
        repoman.tasks.create(type_id, "look", {}, parse_schedule("manual"))
        for type_id in ("blobstore.verify", "usage.check")
    )
    client.put("/repository/files/a", b"x" * 1000)
    [path] = (repoman.data / "blobs/default/sha256").glob("*/*")
    path.write_bytes(b"damaged")
    for each in (failing, other):
        repoman.make_runner().execute(repoman.tasks.run(each))
    assert numbers(client)['repoman_task_failed{task="look"}'] == 1
