"""Too many connections, too few descriptors, many requests that wait."""

import errno
import os
import resource
import threading

import pytest

from repoman.waiting import waiting
from tests.clock import LONG_S
from tests.server.apps import Slow, hello
from tests.server.certificates import Certificate
from tests.server.conftest import eventually, finish_calls


def test_at_the_limit_the_longest_idle_connection_makes_room(serve, connect):
    service = serve(hello, connection_limit=5)
    clients = [connect(service) for _ in range(5)]
    for client in clients:
        assert client.get("/").status == 200
        eventually(lambda: all(connection.is_idle for connection in service.listener.connections))
    assert clients[0].get("/").status == 200
    eventually(lambda: all(connection.is_idle for connection in service.listener.connections))
    assert connect(service).get("/").status == 200
    assert clients[1].is_closed()
    assert clients[0].get("/").status == 200


def test_at_the_limit_busy_connections_are_left_alone(serve, connect, caplog):
    application = Slow()
    service = serve(application, connection_limit=3)
    clients = []
    for number in range(6):
        clients.append(connect(service))
        clients[-1].request("GET", "/slow")
        if number < 4:
            eventually(lambda count=number + 1: len(service.listener.connections) == count)
    eventually(lambda: "can be accepted for now: all 3 are busy" in caplog.text)
    for _ in range(5):
        finish_calls(service.server.main, service.server._tick)
    assert len(service.listener.connections) == 4
    application.go_on.set()
    for client in clients:
        assert client.read().status == 200
        client.close()
    assert caplog.text.count("are busy") == 1  # it is tried again with each that closes


HELLO = b"\x16\x03\x01"  # of a TLS handshake that does not go on


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\nHost: ", HELLO], ids=["header", "handshake"])
def test_at_the_limit_the_slowest_to_ask_make_room(serve, connect, tmp_path, begin):
    certificate = Certificate(tmp_path, "localhost")
    is_secure = begin == HELLO
    tls = certificate.for_server() if is_secure else None
    service = serve(hello, connection_limit=3, tls=tls)
    slow = []
    for _ in range(3):
        slow.append(connect(service))
        slow[-1].send(begin)
        # each has begun before the next one
        eventually(lambda: len(service.listener.connections) == len(slow))
        eventually(lambda: all(map(has_begun, service.listener.connections)))
    client = connect(service, tls=certificate.for_client() if is_secure else None)
    assert client.get("/").status == 200
    assert slow[0].is_closed()
    assert len(service.listener.connections) == 3


def has_begun(connection):
    return connection.reader.request is not None or not connection.transport.is_ready


def test_more_connections_than_select_could_watch(serve, connect):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4000:
        pytest.skip("this machine allows fewer than 4,000 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    service = serve(hello)
    clients = [connect(service) for _ in range(1100)]
    eventually(lambda: len(service.listener.connections) == 1100)
    assert clients[0].get("/").status == 200
    assert clients[-1].get("/").status == 200


def test_without_descriptors_accepting_pauses_and_goes_on(serve, connect, caplog):
    service = serve(hello)
    assert connect(service).get("/").status == 200
    waiting = connect(service)  # its descriptor on our side
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = [connect(service) for _ in range(3)]
    eventually(lambda: len(service.listener.connections) == 5)
    try:
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))
        late = service.connect()  # takes the last one
        late.request("GET", "/")
        eventually(lambda: "No more connections can be accepted" in caplog.text)
        assert waiting.get("/").status == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert late.read().status == 200
    late.close()
    assert all(client.get("/").status == 200 for client in spare)


def test_connection_that_cannot_be_watched_is_closed_and_not_counted(serve, connect, monkeypatch):
    service = serve(hello)

    def fail(member):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(service.server.main, "register", fail)
    assert connect(service).is_closed()
    assert not service.listener.connections
    monkeypatch.undo()
    assert connect(service).get("/").status == 200


def test_limit_of_open_files_is_raised(serve):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3000:
        pytest.skip("this machine allows fewer than 3,000 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, hard))
    try:
        serve(hello, connection_limit=900)
        eventually(lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 2800)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_hundred_clients_may_wait_for_remotes(serve, connect):
    go_on, entered = threading.Event(), threading.Semaphore(0)

    def application(environ, start_response):
        with waiting():
            entered.release()
            assert go_on.wait(LONG_S)
        return hello(environ, start_response)

    service = serve(application)
    clients = [connect(service) for _ in range(100)]
    for client in clients:
        client.request("GET", "/")
    try:
        for _ in clients:
            assert entered.acquire(timeout=LONG_S)
    finally:
        go_on.set()
    assert {client.read().status for client in clients} == {200}
