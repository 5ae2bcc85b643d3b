"""What goes on while something is in the way: a locked database, a silent remote, a full disk."""

import errno
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
import requests

from tests.e2e.registry import MANIFEST, Registry, digest_of
from tests.fakes.registry import fake_registry
from tests.live import LiveServer, free_port, live_server, wait_until
from tests.server.certificates import Certificate

BUSY_S = 3.0  # how long a writer waits
PROMPT_S = 2.5  # seconds within which what must not wait is answered, on a busy machine too
DATA = b"d" * 200_000
WRITERS = 20  # more than there are worker threads


@pytest.fixture
def server(tmp_path):
    settings = {"database": {"busy_timeout": BUSY_S}, "audit": {"file": "log/audit.jsonl"}}
    with live_server(tmp_path / "server", settings=settings) as server:
        yield server


@pytest.fixture
def registry(server):
    registry = Registry(f"http://{server.registry}", server.admin)
    registry.push_image("team/app", "1", DATA)
    return registry


@contextmanager
def locked(server):
    """Another process holds the lock of writers."""
    with closing(sqlite3.connect(server.data / "repoman.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")


def timed(call):
    begin = time.monotonic()
    return call(), time.monotonic() - begin


def health(server, path, **options):
    return requests.get(f"{server.main_url}{path}", timeout=30, **options)


# A database that another process locks ---------------------------------------------------------


def test_writers_in_a_queue_hold_up_no_reader(server, registry):
    def write(_):
        return timed(lambda: registry.request("POST", "/v2/team/app/blobs/uploads/").status_code)

    with ThreadPoolExecutor(WRITERS) as pool, locked(server):
        writers = [pool.submit(write, n) for n in range(WRITERS)]
        wait_until(lambda: _waits_at(server) >= WRITERS, what="the queue of writers")
        for _ in range(5):
            is_there, took = timed(lambda: registry.has_image("team/app", "1", DATA))
            assert is_there
            assert took < PROMPT_S
        assert not any(each.done() for each in writers), "the readers were to be quicker"
        answers = [each.result() for each in writers]
    assert {status for status, _ in answers} == {503}
    # One deadline for the queue and for SQLite; what is over it is the machine's.
    assert max(took for _, took in answers) < 2 * BUSY_S
    assert registry.begin_upload("team/app")


def _waits_at(server):
    """Count the connections of clients to the connector that wait for an answer."""
    command = ["ss", "-Htn", "state", "established", f"sport = :{server.connector_port}"]
    return len(subprocess.run(command, capture_output=True, check=True).stdout.splitlines())


def test_a_writer_that_waits_long_enough_writes(server, registry):
    with ThreadPoolExecutor(1) as pool:
        with locked(server):
            writer = pool.submit(registry.begin_upload, "team/app")
            wait_until(lambda: _waits_at(server), what="the writer")
        assert writer.result()


def test_events_of_a_locked_time_are_in_the_audit_log(server, registry):
    stranger = Registry(registry.url, ("victim", "wrong"))
    with locked(server):
        for _ in range(3):
            assert stranger.request("GET", "/v2/").status_code == 401
        wait_until(
            lambda: "its events are held in memory" in server.log, what="a look at the audit log"
        )
    wait_until(lambda: _failed_logins(server) == 3, what="the events")


def _failed_logins(server):
    listed = server.cli("audit", "list", "--actor", "victim").stdout
    return listed.count("login.failed")


def test_health_can_be_asked_while_the_database_is_locked(server, registry):
    with locked(server):
        for path in ("/healthz", "/readyz", "/service/rest/v1/status"):
            answer, took = timed(lambda path=path: health(server, path))
            assert answer.status_code == 200
            assert took < PROMPT_S
        assert health(server, "/service/rest/v1/status/writable").status_code == 503
    wait_until(lambda: health(server, "/service/rest/v1/status/writable").status_code == 200)


def test_pulls_by_a_proxy_wait_for_no_other_writer(server):
    with fake_registry() as upstream:
        port = free_port()
        settings = {"proxy.remote_url": upstream.url, "docker.http_port": port}
        given = [f"--set={key}={value}" for key, value in settings.items()]
        server.cli(
            "repo", "create", "docker-proxy", "cache", *given, "--set=proxy.metadata_max_age=0"
        )
        body = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": _blob(), "layers": []}
        )
        upstream.put_manifest("team/app", "1", body.encode())
        upstream.put_manifest("team/app", "2", body.encode())
        proxy = Registry(f"http://127.0.0.1:{port}", server.admin)
        wait_until(lambda: _listens(port), what="the connector")
        assert proxy.request("GET", "/v2/team/app/manifests/1").status_code == 200
        with locked(server):
            for tag in ("1", "2", "1", "2"):  # asked again each time, and noted
                path = f"/v2/team/app/manifests/{tag}"
                answer, took = timed(lambda path=path: proxy.request("GET", path))
                assert answer.status_code == 200, answer.text
                assert took < PROMPT_S


def _blob():
    kind = "application/vnd.oci.empty.v1+json"
    return {"mediaType": kind, "digest": digest_of(b"{}"), "size": 2}


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


# Health ----------------------------------------------------------------------------------------


def test_strangers_learn_that_something_fails_and_administrators_what(server, registry):
    assert health(server, "/healthz").text == "ok\n"
    assert health(server, "/readyz").text == "ready\n"
    (server.data / "blobs").rename(server.data / "blobs.away")
    wait_until(lambda: health(server, "/readyz").status_code == 503)
    assert health(server, "/readyz").text == "not ready\n"
    assert health(server, "/service/rest/v1/status").status_code == 503
    assert health(server, "/healthz").status_code == 200
    told = health(server, "/readyz", auth=server.admin)
    assert told.status_code == 503
    assert "blob store default" in told.json()["problems"]
    (server.data / "blobs.away").rename(server.data / "blobs")
    wait_until(lambda: health(server, "/readyz").status_code == 200)
    assert health(server, "/readyz", auth=server.admin).json() == {"ready": True, "problems": {}}


def test_a_connector_that_cannot_open_is_not_ready(tmp_path):
    settings = {"server": {"https_port": free_port()}}
    with live_server(tmp_path / "server", settings=settings) as server:
        assert health(server, "/readyz").status_code == 503
        problems = health(server, "/readyz", auth=server.admin).json()["problems"]
        assert "there is no TLS certificate" in problems["connectors"]
        assert health(server, "/service/rest/v1/status").status_code == 200
        server.cli("cert", "create")
        wait_until(lambda: health(server, "/readyz").status_code == 200)


def test_health_checks_are_in_no_log(server, registry):
    for path in ("/healthz", "/readyz", "/service/rest/v1/status"):
        health(server, path)
        health(
            server, path, auth=("nobody", "wrong")
        )  # a wrong login makes no difference, or is 401
    health(server, "/service/rest/v1/status/check", auth=server.admin)
    wait_until(lambda: "status/check" in server.log, what="the last line of the access log")
    assert "healthz" not in server.log
    assert "readyz" not in server.log


def test_all_checks_are_for_whoever_may_read_metrics(server):
    path = "/service/rest/v1/status/check"
    assert health(server, path).status_code == 401
    checks = health(server, path, auth=server.admin).json()
    assert checks["database"]["healthy"] is True
    assert checks["writing to the database"]["error"] is None
    server.cli(
        "user", "create", "dev", "--role", "nx-developer", "--password-stdin", given="a long word"
    )
    assert health(server, path, auth=("dev", "a long word")).status_code == 403
    assert health(server, "/readyz", auth=("dev", "a long word")).text == "ready\n"


def test_a_check_without_a_host_is_answered(server):
    with socket.create_connection(("127.0.0.1", server.main_port), timeout=10) as client:
        client.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200 OK\r\n")


# The end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["proxy", "group"])
def test_a_silent_remote_does_not_hold_up_the_end(server, registry, kind):
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(4) as pool:
        ports = {"proxy": free_port(), "group": free_port()}
        remote = f"--set=proxy.remote_url=http://127.0.0.1:{silent.getsockname()[1]}"
        port = f"--set=docker.http_port={ports['proxy']}"
        server.cli("repo", "create", "docker-proxy", "silent", remote, port)
        members = '--set=group.members=["docker-hosted","silent"]'
        port = f"--set=docker.http_port={ports['group']}"
        server.cli("repo", "create", "docker-group", "all", members, port)
        wait_until(lambda: all(map(_listens, ports.values())), what="the connectors")
        client = Registry(f"http://127.0.0.1:{ports[kind]}", server.admin)
        paths = ("/v2/team/app/tags/list", "/v2/team/other/manifests/1")
        waiting = [pool.submit(client.request, "GET", path) for path in paths]
        silent.settimeout(10)
        connections = [silent.accept() for _ in paths]  # both are asked, and get no answer
        server.signal(signal.SIGTERM)
        status, took = timed(server.wait)
        for connection, _ in connections:
            connection.close()
    assert status == 0
    assert took < 8
    assert {each.result().status_code for each in waiting} == {503}
    assert {each.result().headers["Connection"] for each in waiting} == {"close"}
    assert "Traceback" not in server.log


def test_a_second_signal_ends_at_once(server, registry):
    blob = registry.push_blob("team/app", b"x" * 50_000_000)
    with registry.open_request("GET", f"/v2/team/app/blobs/{blob}", window=4096) as slow:
        assert slow.recv(100)
        server.signal(signal.SIGTERM)
        wait_until(lambda: "SIGTERM: finishing" in server.log)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(0.5)  # it waits for the client
        server.signal(signal.SIGTERM)
        status, took = timed(server.wait)
    assert status == 0
    assert took < 10  # and not server.drain_timeout


def test_the_end_does_not_wait_long_for_a_locked_database(server, registry):
    stranger = Registry(registry.url, ("victim", "wrong"))
    with locked(server):
        assert stranger.request("GET", "/v2/").status_code == 401
        server.signal(signal.SIGTERM)
        status, took = timed(server.wait)
    assert status == 0
    assert took < 15
    assert "events of the audit log were lost" in server.log


# SIGHUP ----------------------------------------------------------------------------------------


def test_sighup_loads_certificates_and_reopens_files(server, registry, tmp_path):
    log = server.data / "log" / "audit.jsonl"
    wait_until(log.exists, what="the audit log")
    log.rename(log.with_suffix(".old"))
    server.signal(signal.SIGHUP)
    wait_until(lambda: "SIGHUP: reloading" in server.log, what="a word about the signal")
    assert Registry(registry.url, ("victim", "wrong")).request("GET", "/v2/").status_code == 401
    wait_until(lambda: log.exists() and '"victim"' in log.read_text(), what="the new file")
    assert registry.has_image("team/app", "1", DATA)
    assert "TLS certificate" not in server.log  # none is in use


def test_sighup_during_the_start_ends_nothing(server):
    server.stop()
    lock = server.data / "repoman.lock"
    lock.unlink()
    with ThreadPoolExecutor() as pool:
        started = pool.submit(server.start)
        wait_until(lambda: lock.exists(), what="the beginning of the start")
        server.signal(signal.SIGHUP)
        started.result()


def test_sighup_takes_over_a_certificate_whose_time_is_the_same(server, tmp_path):
    files = server.data / "tls"
    files.mkdir()
    first, second = (Certificate(_made(tmp_path / name), "localhost") for name in ("one", "two"))
    _install(first, files)
    port = free_port()
    server.cli("repo", "create", "docker-hosted", "safe", f"--set=docker.https_port={port}")
    wait_until(lambda: _listens(port), what="the connector")
    assert _is_trusted(port, first)
    _install(second, files)
    server.signal(signal.SIGHUP)
    wait_until(lambda: _is_trusted(port, second), what="the other certificate")


def _made(directory):
    directory.mkdir()
    return directory


def _install(certificate, directory):
    for source, name in ((certificate.path, "server.crt"), (certificate.key_path, "server.key")):
        shutil.copy(source, directory / name)
        os.utime(directory / name, (1e9, 1e9))


def _is_trusted(port, certificate):
    try:
        requests.get(f"https://localhost:{port}/v2/", verify=str(certificate.path), timeout=5)
    except requests.exceptions.SSLError:
        return False
    return True


# A full disk -----------------------------------------------------------------------------------

DISK_SIZE = 48_000_000
RESERVE_SIZE = 16_000_000
NAMESPACE = () if os.geteuid() == 0 else ("--user", "--map-root-user")
MOUNT = f'mkdir -p "$0" && mount -t tmpfs -o size={DISK_SIZE} none "$0" && exec "$@"'


class Small:
    """A server whose whole data directory is a small file system of its own namespace."""

    def __init__(self, server):
        self.server = server

    @property
    def data(self):
        """The data directory as the server sees it."""
        return self._inside(self.server.data)

    def _inside(self, path):
        return type(path)(f"/proc/{self.server.process.pid}/root{path}")

    def fill(self):
        """Write files until nothing more fits."""
        for size in (1 << 20, 1 << 12):
            with suppress_full(), (self.data / f"filler-{size}").open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * size)

    def free(self):
        for each in self.data.glob("filler-*"):
            each.unlink()

    @property
    def reserve(self):
        path = self.data / "repoman.reserve"
        return path.stat().st_size if path.exists() else None


@contextmanager
def suppress_full():
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@pytest.fixture
def small(tmp_path):
    directory = tmp_path / "small"
    wrapper = ("unshare", *NAMESPACE, "--mount", "sh", "-c", MOUNT, str(directory / "data"))
    settings = {"database": {"reserve_size": RESERVE_SIZE}}
    server = LiveServer(directory, wrapper=wrapper, settings=settings)
    try:
        server.start()
        small = Small(server)
        wait_until(lambda: small.reserve == RESERVE_SIZE, what="the reserve")
        yield small
    finally:
        server.end()


def test_what_is_on_a_full_disk_can_be_deleted(small):
    server = small.server
    admin = ("admin", (small.data / "admin.password").read_text().strip())
    registry = Registry(f"http://{server.registry}", admin)
    registry.push_image("team/app", "1", DATA)
    registry.push_image("team/app", "2", DATA)
    small.fill()
    answers = [registry.request("POST", "/v2/team/app/blobs/uploads/") for _ in range(5)]
    assert {each.status_code for each in answers} == {507}
    for tag in ("1", "2"):
        answer = registry.request("DELETE", f"/v2/team/app/manifests/{tag}")
        assert answer.status_code == 202, answer.text
    assert small.reserve == 0
    # It is for deletions alone: nothing else takes the room.
    assert registry.request("POST", "/v2/team/app/blobs/uploads/").status_code == 507
    assert (
        len(re.findall("WARNING.*was refused because there is not enough space", server.log)) == 1
    )
    assert "The reserve of 16000000 bytes was released" in server.log
    assert health(server, "/service/rest/v1/status/writable").status_code == 503
    assert health(server, "/readyz").status_code == 200
    small.free()
    wait_until(lambda: small.reserve == RESERVE_SIZE, what="the reserve")
    wait_until(lambda: registry.request("POST", "/v2/a/blobs/uploads/").status_code == 202)


def test_users_and_repositories_on_a_full_disk_can_be_deleted_by_commands(small):
    server = small.server
    enter = ("nsenter", "--target", str(server.process.pid), *_as_user(), "--mount")

    def cli(*words, given=None):
        command = [*enter, *server.command(*words)]
        done = subprocess.run(command, capture_output=True, text=True, input=given, timeout=60)
        assert done.returncode == 0, done.stderr
        return done

    cli("user", "create", "gone", "--password-stdin", given="a long word")
    small.fill()
    cli("user", "delete", "gone", "--yes")
    cli("repo", "delete", "docker-hosted", "--yes")
    assert small.reserve == 0
    assert "gone" not in cli("user", "list").stdout


def _as_user():
    return ("--user", "--preserve-credentials") if NAMESPACE else ()
