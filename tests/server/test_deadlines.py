"""What takes too long is cut, and nothing else."""

import threading
import time

import pytest

from tests.server.apps import Files, Slow, Uploads, hello
from tests.server.conftest import eventually


def seconds_until_closed(client):
    started = time.monotonic()
    assert client.is_closed()
    return time.monotonic() - started


def test_silent_connection(serve, connect):
    client = connect(serve(hello, idle_timeout=0.2))
    assert 0.15 < seconds_until_closed(client) < 2


def test_idle_connection(serve, connect):
    client = connect(serve(hello, idle_timeout=0.2))
    assert client.get("/").status == 200
    assert 0.15 < seconds_until_closed(client) < 2


def check_dripping_is_cut(client):
    """Send a byte now and then; the server ends that after some 0.3 seconds."""

    def drip():
        for _ in range(100):
            client.send(b"x")
            time.sleep(0.02)

    started = time.monotonic()
    with pytest.raises(ConnectionError):
        drip()
    assert 0.2 < time.monotonic() - started < 1.5


def test_header_that_drips(serve, connect):
    client = connect(serve(hello, header_timeout=0.3, idle_timeout=60))
    client.send(b"GET / HTTP/1.1\r\nX: ")
    check_dripping_is_cut(client)


def test_header_deadline_counts_from_its_own_first_byte(serve, connect):
    client = connect(serve(hello, header_timeout=0.3))
    for _ in range(3):
        time.sleep(0.2)
        assert client.get("/").status == 200


def test_upload_that_stalls(serve, connect):
    uploads = Uploads()
    client = connect(serve(uploads, stall_timeout=0.2))
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
    assert seconds_until_closed(client) < 2
    eventually(lambda: uploads.sinks[0].closed == 1)
    assert uploads.sinks[0].size == 5


def test_buffered_body_that_stalls(serve, connect):
    uploads = Uploads()
    client = connect(serve(uploads, stall_timeout=0.2))
    client.send(b"PUT /buffered HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
    assert seconds_until_closed(client) < 2
    assert uploads.calls == []


def test_upload_that_goes_on_slowly(serve, connect):
    client = connect(serve(Uploads(), stall_timeout=0.3, header_timeout=0.3))
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n")
    for byte in b"0123456789":
        time.sleep(0.06)
        client.send(bytes([byte]) * 5000)
    assert client.read().status == 201


def test_upload_that_drips(serve, connect):
    uploads = Uploads()
    client = connect(serve(uploads, stall_timeout=0.3, header_timeout=60))
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
    eventually(lambda: len(service.listener.channels) == 1)
    eventually(lambda: len(service.listener.channels) == 0)
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
    client = connect(serve(application, idle_timeout=0.1, header_timeout=0.1, stall_timeout=0.1))
    client.request("GET", "/slow")
    time.sleep(0.4)
    application.go_on.set()
    assert client.read().body == b"hello"


def test_admission_may_take_its_time(serve, connect):
    uploads = Uploads()
    entered, go_on = threading.Event(), threading.Event()
    opened = uploads.open

    def open_slowly():
        entered.set()
        assert go_on.wait(10)
        return opened()

    uploads.open = open_slowly
    service = serve(uploads, stall_timeout=1.0)
    client = connect(service)
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
    assert entered.wait(5)
    (channel,) = service.listener.channels
    channel.pace.since -= 100.0
    go_on.set()
    eventually(lambda: channel.serving is None)
    client.send(b"0123456789")
    assert client.read().status == 201


def test_connection_that_cannot_be_judged_is_cut_and_the_others_are_looked_at(
    serve, connect, caplog
):
    service = serve(hello, idle_timeout=0.2)
    clients = [connect(service) for _ in range(3)]
    assert all(client.get("/").status == 200 for client in clients)
    channels = list(service.listener.channels)
    eventually(lambda: all(channel.serving is None for channel in channels))
    channels[0].pace.since = None
    for client in clients:
        assert seconds_until_closed(client) < 2
    assert "TypeError" in caplog.text
