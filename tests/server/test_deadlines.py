"""What takes too long is cut, and nothing else."""

import threading
import time

import pytest

from tests.clock import LONG_S, WAIT_S
from tests.server.apps import Files, Slow, Uploads, hello
from tests.server.conftest import eventually


def test_silent_connection(serve, connect):
    assert connect(serve(hello, idle_timeout=0.2)).is_closed()


def test_idle_connection(serve, connect):
    service = serve(hello, idle_timeout=LONG_S)
    client = connect(service)
    assert client.get("/").status == 200
    wait_until_idle(service)
    service.age(LONG_S / 2)
    assert client.get("/").status == 200
    wait_until_idle(service)
    service.age(LONG_S)
    assert client.is_closed()


def wait_until_idle(service):
    eventually(
        lambda: [connection.is_idle for connection in service.listener.connections] == [True]
    )


def check_dripping_is_cut(client):
    """Send a byte now and then until the server ends that."""

    def drip():
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            client.send(b"x")
            time.sleep(0.02)

    with pytest.raises(ConnectionError):
        drip()


def test_header_that_drips(serve, connect):
    client = connect(serve(hello, header_timeout=0.3, idle_timeout=LONG_S))
    client.send(b"GET / HTTP/1.1\r\nX: ")
    check_dripping_is_cut(client)


def test_header_deadline_counts_from_its_own_first_byte(serve, connect):
    service = serve(hello, header_timeout=LONG_S, idle_timeout=10 * LONG_S)
    client = connect(service)
    for _ in range(3):
        assert client.get("/").status == 200
        wait_until_idle(service)
        service.age(2 * LONG_S)
        client.send(b"GET / HTTP/1.1\r\nHost:")
        eventually(
            lambda: not any(connection.is_idle for connection in service.listener.connections)
        )
        service.age(LONG_S / 2)
        client.send(b"x\r\n\r\n")
        assert client.read().status == 200


def test_header_that_waits_for_the_response_before_it_has_its_own_time(serve, connect):
    application = Slow()
    service = serve(application, header_timeout=LONG_S)
    client = connect(service)
    client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost:")
    assert application.entered.wait(WAIT_S)
    service.age(2 * LONG_S)
    application.go_on.set()
    assert client.read().status == 200
    eventually(lambda: all(each.reader.request for each in service.listener.connections))
    service.age(LONG_S / 2)
    client.send(b"x\r\n\r\n")
    assert client.read().status == 200


def test_upload_that_stalls(serve, connect):
    uploads = Uploads()
    client = connect(serve(uploads, stall_timeout=0.2))
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
    assert client.is_closed()
    eventually(lambda: uploads.sinks[0].closed == 1)
    assert uploads.sinks[0].size == 5


def test_buffered_body_that_stalls(serve, connect):
    uploads = Uploads()
    client = connect(serve(uploads, stall_timeout=0.2))
    client.send(b"PUT /buffered HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
    assert client.is_closed()
    assert uploads.calls == []


def test_upload_that_goes_on_slowly(serve, connect):
    uploads = Uploads()
    service = serve(uploads, stall_timeout=LONG_S, header_timeout=LONG_S)
    client = connect(service)
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n")
    eventually(lambda: uploads.sinks)
    (connection,) = service.listener.connections
    eventually(lambda: connection.serving is None)
    for count in range(5_000, 50_000, 5_000):
        service.age(0.9 * LONG_S)
        client.send(b"x" * 5_000)
        eventually(lambda count=count: uploads.sinks[0].size == count)
    client.send(b"x" * 5_000)
    assert client.read().status == 201


def test_upload_that_drips(serve, connect):
    uploads = Uploads()
    client = connect(serve(uploads, stall_timeout=0.3, header_timeout=LONG_S))
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n")
    check_dripping_is_cut(client)
    eventually(lambda: uploads.sinks[0].closed == 1)


def test_download_that_stalls(serve, connect, tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as sparse:
        sparse.truncate(50_000_000)
    service = serve(Files(path), stall_timeout=0.2)
    client = connect(service, receive_buffer=1 << 17)
    client.request("GET", "/")
    client.read_until(b"\r\n\r\n")
    eventually(lambda: len(service.listener.connections) == 0)
    with pytest.raises(AssertionError, match="too early"):
        client.read_exactly(50_000_000)


def test_generator_whose_reader_stalls_gives_its_worker_back(serve, connect):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/small":
            return hello(environ, start_response)
        start_response("200 OK", [])
        return iter(lambda: b"x" * 100_000, None)

    service = serve(application, stall_timeout=0.2, threads=1)
    client = connect(service, receive_buffer=1 << 17)
    client.request("GET", "/")
    assert connect(service).get("/small").body == b"hello"


def test_application_may_take_its_time(serve, connect):
    application = Slow()
    service = serve(application)
    client = connect(service)
    client.request("GET", "/slow")
    assert application.entered.wait(WAIT_S)
    service.age()
    application.go_on.set()
    assert client.read().body == b"hello"


def test_admission_may_take_its_time(serve, connect):
    uploads = Uploads()
    entered, go_on = threading.Event(), threading.Event()
    opened = uploads.open

    def open_slowly():
        entered.set()
        assert go_on.wait(LONG_S)
        return opened()

    uploads.open = open_slowly
    service = serve(uploads)
    client = connect(service)
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
    assert entered.wait(WAIT_S)
    (connection,) = service.listener.connections
    service.age()
    go_on.set()
    eventually(lambda: connection.serving is None)
    client.send(b"0123456789")
    assert client.read().status == 201


def test_connection_that_cannot_be_judged_is_cut_and_the_others_are_looked_at(
    serve, connect, caplog
):
    service = serve(hello)
    clients = [connect(service) for _ in range(3)]
    assert all(client.get("/").status == 200 for client in clients)
    connections = list(service.listener.connections)
    eventually(lambda: all(connection.serving is None for connection in connections))
    connections[0].progress.since = None
    service.age(connections=connections[1:])
    assert all(client.is_closed() for client in clients)
    assert "TypeError" in caplog.text
