"""The server process: how it starts, how it ends, and what a crash leaves behind."""

import signal
import socket
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.clock import LONG_S
from tests.e2e.registry import Registry, digest_of
from tests.live import LiveServer, free_port, is_open, live_server, wait_until

LARGE = bytes(range(256)) * 125_000  # 32 MB, more than the sockets' buffers hold


@pytest.fixture
def server(tmp_path):
    """A running server; one that waits for what it need not wait for does not end in time."""
    settings = {"server": {"drain_timeout": LONG_S, "idle_timeout": LONG_S}}
    with live_server(tmp_path / "server", settings=settings) as server:
        yield server


@pytest.fixture
def registry(server):
    """The hosted repository of the server, as admin sees it."""
    return Registry(f"http://{server.registry}", server.admin)


@pytest.fixture
def stopped(tmp_path):
    """A server that has not been started."""
    server = LiveServer(tmp_path / "stopped")
    yield server
    server.end()


@pytest.fixture
def other_program():
    """A port of 127.0.0.1 that another program has."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        yield listener.getsockname()[1]


def ended_badly(server: LiveServer) -> str:
    """Start a server that must refuse to run, and return all that it said."""
    server.spawn()
    try:
        assert server.wait() not in (0, None)
    except subprocess.TimeoutExpired:
        pytest.fail(f"The server runs:\n{server.output}\n{server.log}")
    assert "Traceback" not in server.log
    return server.output + server.log


def test_the_ready_message_names_each_listener(server):
    assert server.listeners == {
        "main": f"{server.main_url}/",
        "docker-hosted": f"http://{server.registry}/",
    }


def test_every_request_writes_an_access_line(server, registry):
    registry.request("GET", "/v2/team/app/tags/list?n=7")
    wait_until(lambda: "/v2/team/app/tags/list" in server.log, what="the access line")


def test_the_first_password_is_for_the_owner_only(server):
    assert (server.data / "admin.password").stat().st_mode & 0o777 == 0o600


def test_data_survives_a_restart(server, registry):
    registry.push_image("team/app", "1", b"kept")
    password = server.password
    server.restart()
    assert registry.has_image("team/app", "1", b"kept")
    assert server.password == password


def test_sigterm_ends_at_once_when_nothing_runs(server):
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert not is_open(server.main_port)
    assert not is_open(server.connector_port)


def test_sigint_ends_too(server):
    server.signal(signal.SIGINT)
    assert server.wait() == 0


def test_sigterm_does_not_wait_for_idle_connections(server):
    with socket.create_connection(("127.0.0.1", server.connector_port)):
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_sigterm_lets_a_slow_download_finish(server, registry):
    digest = registry.push_blob("team/app", LARGE)
    with registry.open_request("GET", f"/v2/team/app/blobs/{digest}", window=65536) as slow:
        received = slow.recv(65536)
        server.signal(signal.SIGTERM)
        wait_until(lambda: not is_open(server.connector_port), what="the end of listening")
        assert server.process.poll() is None
        head = received.partition(b"\r\n\r\n")[0]
        wanted = len(head) + 4 + len(LARGE)
        while len(received) < wanted and (data := slow.recv(1 << 20)):
            received += data
        # The client keeps the connection open; the server has to end all the same.
        assert server.wait() == 0
    assert head.startswith(b"HTTP/1.1 200 ")
    assert digest_of(received[len(head) + 4 :]) == digest


def test_sigterm_does_not_wait_for_ever(tmp_path):
    server = LiveServer(tmp_path / "server", settings={"server": {"drain_timeout": 1.0}})
    try:
        server.start()
        registry = Registry(f"http://{server.registry}", server.admin)
        digest = registry.push_blob("team/app", LARGE)
        with registry.open_request("GET", f"/v2/team/app/blobs/{digest}", window=65536) as stuck:
            stuck.recv(1000)
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
    finally:
        server.end()


def test_a_second_server_on_the_same_data_is_refused(server, tmp_path):
    second = LiveServer(tmp_path / "second")
    second.data = server.data
    said = ended_badly(second)
    assert str(server.data) in said
    assert is_open(server.connector_port)


@pytest.mark.parametrize("names", [("default",), ("default", "copies")], ids=["server", "store"])
def test_a_blob_store_is_served_once(server, tmp_path, names):
    path = server.data / "blobs" / "default" if len(names) == 1 else tmp_path / "blobs"
    stores = {f"blob_stores.{name}": {"type": "file", "path": str(path)} for name in names}
    assert f"uses {path}; each would delete" in ended_badly(
        LiveServer(tmp_path / "second", settings=stores)
    )


def test_blobs_that_nothing_names_are_freed_while_it_runs(server):
    server.stop()
    with closing(sqlite3.connect(server.data / "repoman.db")) as database, database:
        row = ("default", "0" * 64, 1, 0.0, 0.0)
        columns = "store, digest, size, created_at, released_at"
        database.execute(f"INSERT INTO blob ({columns}) VALUES (?, ?, ?, ?, ?)", row)
    server.start()
    wait_until(lambda: "Removed 1 unreferenced blob." in server.log, what="compaction")


def test_a_main_port_that_another_program_has_is_an_error(stopped, other_program):
    config = stopped.config.read_text()
    stopped.config.write_text(config.replace(str(stopped.main_port), str(other_program)))
    said = ended_badly(stopped)
    assert str(other_program) in said
    assert "another program" in said.lower()


def test_a_connector_port_that_another_program_has_is_reported_with_its_repository(server):
    server.stop()
    with socket.create_server(("127.0.0.1", server.connector_port)):
        server.start()
        [line] = wait_until(  # the log may lag behind the ready message
            lambda: [line for line in server.log.splitlines() if " ERROR " in line]
        )
        assert "docker-hosted" in line
        assert str(server.connector_port) in line
        assert "docker-hosted" not in server.listeners
    wait_until(lambda: is_open(server.connector_port), what="the connector, once the port is free")


def test_a_mistake_in_the_configuration_is_named(stopped):
    stopped.config.write_text("[server]\nprot = 80\n")
    assert "server.prot" in ended_badly(stopped)


def test_what_was_finished_before_a_crash_is_there_and_the_rest_is_not(server, registry):
    registry.push_image("team/app", "1", b"finished")
    alone = registry.push_blob("team/app", b"a blob without a manifest")
    unfinished = LARGE[:4_000_000]
    location = registry.begin_upload("team/app")
    first = registry.request("PATCH", location, data=unfinished[:2_000_000])
    assert first.status_code == 202, first.text
    location = first.headers["Location"]
    with registry.open_request("PATCH", location, "Content-Length: 2000000") as upload:
        upload.sendall(unfinished[2_000_000:3_000_000])
        server.kill()
    server.start()
    assert registry.has_image("team/app", "1", b"finished")
    assert registry.has_blob("team/app", alone)
    assert not registry.has_blob("team/app", digest_of(unfinished))
    assert not registry.has_blob("team/app", digest_of(unfinished[:2_000_000]))
    assert registry.request("GET", "/v2/team/app/tags/list").json()["tags"] == ["1"]
    registry.push_image("team/app", "2", unfinished)
    assert registry.has_image("team/app", "2", unfinished)


def test_bytes_of_a_request_that_a_crash_cut_off_are_removed_at_the_next_start(server, registry):
    uploads = server.data / "blobs" / "default" / "uploads"
    url = f"/v2/team/app/blobs/uploads/?digest={digest_of(LARGE)}"
    with registry.open_request("POST", url, f"Content-Length: {len(LARGE)}") as upload:
        upload.sendall(LARGE[:1_000_000])
        wait_until(lambda: any(uploads.iterdir()), what="the first bytes on the disk")
        server.kill()
    server.start()
    wait_until(lambda: not any(uploads.iterdir()), what="the removal of the bytes")
