"""Answers from the main loop."""

import pytest

from repoman.http.current import RAW_REQUEST
from repoman.server.request_reader import REQUESTS_PER_TURN
from tests.clock import WAIT_S
from tests.live import wait_until
from tests.server.apps import Slow, hello


class Table:
    """Answers ``/fast`` and remembers the requests."""

    def __init__(self, body=b"quick"):
        self.requests = []
        self.response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def __call__(self, *request):
        self.requests.append(request)
        return self.response if request[1].startswith(b"GET /fast ") else None


@pytest.fixture
def table():
    return Table()


@pytest.fixture
def service(serve, table):
    service = serve(hello)
    service.server.fast = table
    return service


def test_answer_without_a_worker(serve, connect, table):
    service = serve(Slow(), threads=1)
    service.server.fast = table
    busy = connect(service)
    busy.request("GET", "/slow")
    client = connect(service)
    for _ in range(3):
        assert client.get("/fast").body == b"quick"
    service.server.application.go_on.set()
    assert busy.read().body == b"hello"


def test_request_as_the_table_sees_it(service, connect, table):
    raw = b"GET /fast HTTP/1.1\r\nHost: x\r\nAuthorization: Basic abc\r\n\r\n"
    client = connect(service)
    client.send(b"\r\n" + raw)  # some clients send an empty line after the body before
    assert client.read().body == b"quick"
    assert table.requests == [("main", raw, "127.0.0.1")]


def test_request_as_the_application_sees_it(serve, connect):
    """The same bytes, if there is no body: only then one request is like another."""
    seen = []

    def application(environ, start_response):
        seen.append(environ.get(RAW_REQUEST))
        environ["wsgi.input"].read()
        return hello(environ, start_response)

    client = connect(serve(application))
    raw = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"
    client.send(raw)
    client.read()
    for part in (raw[:7], raw[7:]):
        client.send(part)
    client.read()
    client.request("GET", "/a", body=b"x")
    client.read()
    assert seen == [raw, raw, None]


def test_everything_else_goes_to_a_worker(service, connect):
    client = connect(service)
    assert client.get("/other").body == b"hello"
    assert client.get("/fast").body == b"quick"


def test_request_in_pieces_goes_to_a_worker(service, connect):
    client = connect(service)
    client.send(b"GET /fast HT")
    (connection,) = wait_until(lambda: service.listener.connections)
    wait_until(lambda: connection.reader.request is not None)
    client.send(b"TP/1.1\r\nHost: x\r\n\r\n")
    assert client.read().body == b"hello"
    assert client.get("/fast").body == b"quick"


def test_pipelined(service, connect):
    client = connect(service)
    paths = ["/fast", "/other", "/fast", "/fast", "/other"] * 5
    client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in paths))
    for path in paths:
        assert client.read().body == (b"quick" if path == "/fast" else b"hello")


def test_one_pipeline_takes_but_a_part_of_a_turn(service, connect, table):
    """What the loop is asked to do while it serves the first request comes before the last."""
    served_before = []

    def answer(*request):
        if not table.requests:
            service.server.main.call(lambda: served_before.append(len(table.requests)))
        return table(*request)

    service.server.fast = answer
    client = connect(service)
    client.send(b"GET /fast HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
    for _ in range(1000):
        assert client.read().body == b"quick"
    assert 0 < served_before[0] <= REQUESTS_PER_TURN


def test_pipeline_of_both_kinds_longer_than_a_turn(service, connect):
    paths = ([b"/fast"] * (2 * REQUESTS_PER_TURN) + [b"/other"]) * 10
    client = connect(service)
    client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths))
    for path in paths:
        assert client.read().body == (b"quick" if path == b"/fast" else b"hello")


def test_answers_larger_than_the_socket_takes(serve, connect):
    service = serve(hello)
    service.server.fast = Table(b"x" * 3_000_000)
    client = connect(service, receive_buffer=1 << 17)
    client.send(b"GET /fast HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    for _ in range(5):
        assert client.read().body == b"x" * 3_000_000
    assert client.get("/other").body == b"hello"


def test_failing_table_leaves_it_to_a_worker(service, connect, caplog):
    def fail(*_):
        raise ZeroDivisionError

    service.server.fast = fail
    assert connect(service).get("/fast").body == b"hello"
    assert "ZeroDivisionError" in caplog.text


def test_draining_connections_are_closed_by_a_worker(serve, connect, table):
    application = Slow()
    service = serve(application)
    service.server.fast = table
    client = connect(service)
    client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /fast HTTP/1.1\r\nHost: x\r\n\r\n")
    assert application.entered.wait(WAIT_S)
    service.server.remove_listener("main")
    application.go_on.set()
    assert client.read().closes
    assert client.is_closed()
    assert len(table.requests) == 1
