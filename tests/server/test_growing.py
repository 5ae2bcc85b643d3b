"""Files that are sent while they are still being written."""

import os
import threading

import pytest

from repoman.errors import Unavailable
from tests.clock import WAIT_S
from tests.server.apps import hello
from tests.server.certificates import Certificate
from tests.server.conftest import eventually, finish_calls

CONTENT = bytes(range(256)) * 8_000  # 2 MB


class Growing:
    """A file that a test writes to."""

    def __init__(self, path):
        self.file = path.open("w+b", buffering=0)
        self.available = 0
        self.in_memory_from = len(CONTENT)
        self.error = None
        self.callbacks = []
        self.closed_by = []

    def fileno(self):
        return self.file.fileno()

    def ready(self, position):
        if self.error is not None:
            raise self.error
        if position < self.in_memory_from:
            return max(0, min(self.available, self.in_memory_from) - position)
        return CONTENT[position : self.available]

    def subscribe(self, callback):
        self.callbacks.append(callback)

    def close(self):
        self.closed_by.append(threading.current_thread().name)

    def grow(self, end):
        part = CONTENT[self.available : min(end, self.in_memory_from)]
        os.pwrite(self.fileno(), part, self.available)
        self.available = end
        self.tell()

    def tell(self):
        for callback in self.callbacks:
            callback()


@pytest.fixture
def growing(tmp_path):
    growing = Growing(tmp_path / "growing")
    yield growing
    growing.file.close()


@pytest.fixture
def application(growing):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/small":
            return hello(environ, start_response)
        start, length = map(int, environ["QUERY_STRING"].split(","))
        start_response("200 OK", [("Content-Length", str(length))])
        return environ["repoman.send_growing"](growing, start, length)

    return application


@pytest.fixture(params=["plain", "tls"])
def start(request, serve, connect, application, tmp_path):
    """Return a function that starts a service, and gives back a way to connect."""

    def start(**options):
        if request.param == "plain":
            service = serve(application, **options)
            return service, lambda: connect(service)
        certificate = Certificate(tmp_path, "localhost")
        service = serve(application, tls=certificate.for_server(), **options)
        return service, lambda: connect(service, tls=certificate.for_client())

    return start


def test_bytes_leave_as_they_come(start, growing):
    _, connect = start()
    client = connect()
    client.request("GET", f"/?0,{len(CONTENT)}")
    assert "Content-Length: 2048000" in client.read_until(b"\r\n\r\n").decode()
    position = 0
    for end in (1, 1000, 70_000, 70_001, 1_500_000, len(CONTENT)):
        growing.grow(end)
        assert client.read_exactly(end - position) == CONTENT[position:end]
        position = end
    assert client.get("/small").body == b"hello"
    eventually(lambda: growing.closed_by)
    assert len(growing.closed_by) == 1
    assert growing.closed_by[0].startswith("worker")


def test_an_empty_file_is_a_whole_response(start, growing):
    _, connect = start()
    client = connect()
    answer = client.get("/?0,0")
    assert (answer.status, answer.body) == (200, b"")
    assert client.get("/small").body == b"hello"
    assert len(growing.closed_by) == 1


def test_the_rest_may_come_from_memory(start, growing):
    growing.in_memory_from = 700_000
    _, connect = start(threads=1)
    clients = [connect() for _ in range(3)]
    ends = (1_500_000, 700_001, 700_000)
    for client, end in zip(clients, ends, strict=True):
        client.request("GET", f"/?5,{end - 5}")
        client.read_until(b"\r\n\r\n")
    for end in (600_000, 700_000, 700_001, len(CONTENT)):
        growing.grow(end)
    for client, end in zip(clients, ends, strict=True):
        assert client.read_exactly(end - 5) == CONTENT[5:end]
        assert client.get("/small").body == b"hello"


def test_many_readers_hold_no_worker(start, growing):
    _, connect = start(threads=1)
    clients = [connect() for _ in range(10)]
    for number, client in enumerate(clients):
        client.request("GET", f"/?{number},{1_000_000}")
    assert connect().get("/small").body == b"hello"
    growing.grow(600_000)
    growing.grow(len(CONTENT))
    for number, client in enumerate(clients):
        assert client.read().body == CONTENT[number : number + 1_000_000]


def test_grown_while_the_response_begins(start, growing):
    _, connect = start()

    def write():
        for end in range(0, len(CONTENT) + 1, 16_000):
            growing.grow(end)

    client = connect()
    thread = threading.Thread(target=write)
    thread.start()
    response = client.get(f"/?0,{len(CONTENT)}")
    thread.join()
    assert response.body == CONTENT


def test_failure_breaks_the_connection(start, growing, caplog):
    _, connect = start()
    client = connect()
    client.request("GET", f"/?0,{len(CONTENT)}")
    client.read_until(b"\r\n\r\n")
    growing.grow(1000)
    assert client.read_exactly(1000) == CONTENT[:1000]
    growing.error = Unavailable("The remote is gone.")
    growing.tell()
    assert client.is_closed()
    eventually(lambda: growing.closed_by)
    assert "The rest of the file cannot be sent: The remote is gone." in caplog.text


def test_waiting_for_the_writer_is_no_stall_of_the_reader(start, growing):
    service, connect = start()
    client = connect()
    client.request("GET", "/?0,2000")
    client.read_until(b"\r\n\r\n")
    (connection,) = service.listener.connections
    eventually(lambda: not connection.send_queue.is_sendable)
    service.age()
    growing.grow(2000)
    assert client.read_exactly(2000) == CONTENT[:2000]


def test_readers_time_begins_anew_when_the_file_has_grown(start, growing):
    service, connect = start()
    client = connect()
    client.request("GET", "/?0,2000")
    client.read_until(b"\r\n\r\n")
    (connection,) = service.listener.connections
    connection.progress.since = 0.0
    growing.tell()
    assert connection.progress.since > 0.0


def test_reader_that_leaves_is_forgotten(start, growing):
    service, connect = start()
    client = connect()
    client.request("GET", "/?0,2000")
    client.read_until(b"\r\n\r\n")
    client.reset()
    eventually(lambda: growing.closed_by)
    eventually(lambda: not service.listener.connections)
    growing.grow(2000)


def test_head(start, growing):
    _, connect = start()
    client = connect()
    client.request("HEAD", "/?0,2000")
    assert client.read(head_only=True).headers["content-length"] == "2000"
    assert client.get("/small").body == b"hello"
    eventually(lambda: growing.closed_by)


def test_shutdown_waits_for_the_rest(start, growing):
    service, connect = start()
    client = connect()
    client.request("GET", "/?0,2000")
    client.read_until(b"\r\n\r\n")
    service.server.shutdown(WAIT_S)
    finish_calls(service.server.main)
    growing.grow(2000)
    assert client.read_exactly(2000) == CONTENT[:2000]
    service.thread.join(WAIT_S)
    assert not service.thread.is_alive()
