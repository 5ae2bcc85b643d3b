"""Listeners come and go while the server runs."""

import os
import resource
import socket
import threading

import pytest

from repoman.config import ServerSettings
from repoman.errors import Conflict, Invalid, NotFound
from repoman.server.connection import Connection
from repoman.server.server import Server
from tests.clock import LONG_S, WAIT_S
from tests.server.apps import Files, Slow, Uploads, echo_connector, hello
from tests.server.conftest import eventually, finish_calls, open_files


def test_each_request_carries_its_connector(serve, connect):
    service = serve(echo_connector)
    other = service.server.add_listener("docker:repo:http", "127.0.0.1", 0)
    assert connect(service).get("/", headers=["Host: elsewhere"][:0]).body == b"main http"
    assert connect(service, port=other.port).get("/").body == b"docker:repo:http http"


def test_listener_added_before_the_hub_runs(tmp_path):
    server = Server(hello, ServerSettings(), tmp_path)
    listener = server.add_listener("early", "127.0.0.1", 0)
    assert listener.port > 0
    gone = server.remove_listener("early")
    assert gone.is_set()
    server.shutdown()
    server.run()


def test_port_in_use_is_a_conflict_and_leaves_nothing_behind(serve, connect):
    service = serve(hello)
    before = open_files()
    with pytest.raises(Conflict, match=f"Port {service.port} at 127.0.0.1 is in use"):
        service.server.add_listener("other", "127.0.0.1", service.port)
    assert open_files() <= before
    assert connect(service).get("/").status == 200
    service.server.add_listener("other", "127.0.0.1", 0)


def test_connector_in_use_is_a_conflict_and_leaves_nothing_behind(serve):
    service = serve(hello)
    before = open_files()
    with pytest.raises(Conflict, match="main"):
        service.server.add_listener("main", "127.0.0.1", 0)
    assert open_files() <= before


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid", "::ffff:203.0.113.1"])
def test_address_that_is_not_here_is_invalid(serve, host):
    with pytest.raises(Invalid, match="Cannot listen on"):
        serve(hello).server.add_listener("other", host, 0)


def test_name_that_cannot_be_a_host_is_invalid(serve):
    with pytest.raises(Invalid, match="it is not a valid host name"):
        serve(hello).server.add_listener("other", "a" * 70 + ".example.com", 0)


def test_without_descriptors_a_listener_is_refused(serve):
    service = serve(hello)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(Invalid, match=r"Cannot listen on 127\.0\.0\.1:0: Too many open files"):
            service.server.add_listener("other", "127.0.0.1", 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_connection_that_cannot_be_accepted_does_not_close_the_port(serve, connect, monkeypatch):
    service = serve(hello)
    with monkeypatch.context() as patch:
        patch.setattr("repoman.server.listener.PlainTransport", lambda _: 1 // 0)
        assert connect(service).is_closed()
    assert connect(service).get("/").status == 200


def test_unknown_connector(serve):
    with pytest.raises(NotFound):
        serve(hello).server.remove_listener("other")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as six:
            six.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
def test_ipv6(serve, connect):
    service = serve(hello)
    listener = service.server.add_listener("six", "::1", 0)
    assert connect(service, port=listener.port, host="::1").get("/").status == 200


@needs_ipv6
def test_all_addresses_of_both_kinds(serve, connect):
    def application(environ, start_response):
        address = environ["REMOTE_ADDR"].encode()
        start_response("200 OK", [("Content-Length", str(len(address)))])
        return [address]

    service = serve(application)
    listener = service.server.add_listener("all", "::", 0)
    for host in ("127.0.0.1", "::1"):
        assert connect(service, port=listener.port, host=host).get("/").body == host.encode()


def congestion_control(fd):
    with socket.socket(fileno=os.dup(fd)) as connection:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")


@pytest.mark.parametrize("listens_at", ["127.0.0.1", pytest.param("::", marks=needs_ipv6)])
def test_connections_within_the_machine_are_not_slowed_down(serve, connect, listens_at):
    with socket.socket() as other:
        usual = congestion_control(other.fileno())
    service = serve(hello)
    listener = service.server.add_listener("other", listens_at, 0)
    for source, expected in (("127.0.0.1", b"reno"), ("127.0.0.2", usual)):
        client = connect(service, port=listener.port, source=source)
        assert client.get("/").status == 200
        [connection] = listener.connections
        assert congestion_control(connection.fd) == expected
        client.close()
        eventually(lambda: not listener.connections)


def test_port_can_be_taken_again_at_once(serve, connect):
    service = serve(echo_connector)
    for number in range(20):
        client = connect(service)
        assert client.get("/").status == 200
        service.server.remove_listener("main" if number == 0 else f"c{number - 1}")
        service.server.add_listener(f"c{number}", "127.0.0.1", service.port)


def test_removal_closes_idle_connections_at_once(serve, connect):
    service = serve(hello)
    used, unused = connect(service), connect(service)
    assert used.get("/").status == 200
    eventually(lambda: len(service.listener.connections) == 2)
    gone = service.server.remove_listener("main")
    assert used.is_closed()
    assert unused.is_closed()
    assert gone.wait(WAIT_S)


def test_removed_listener_accepts_nothing(serve, connect):
    service = serve(hello)
    service.server.remove_listener("main")
    with pytest.raises(ConnectionRefusedError):
        connect(service)


def test_removal_lets_requests_finish(serve, connect):
    application = Slow()
    service = serve(application)
    client = connect(service)
    client.request("GET", "/slow")
    assert application.entered.wait(WAIT_S)
    gone = service.server.remove_listener("main")
    assert not gone.wait(0.1)
    application.go_on.set()
    response = client.read()
    assert (response.status, response.closes) == (200, True)
    assert client.is_closed()
    assert gone.wait(WAIT_S)


def test_removal_right_after_the_response_closes_the_connection(serve, connect, monkeypatch):
    """The worker has asked whether the connection stays, and has not let go of it yet."""
    service = serve(hello, drain_timeout=LONG_S)
    asked = []
    real = Connection.closes_after

    def closes_after(connection, request):
        asked.append(real(connection, request))
        if len(asked) == 2:  # the first time is for the response's header
            service.server.remove_listener("main")
            done = threading.Event()
            service.server.main.call(done.set)
            assert done.wait(WAIT_S)
        return asked[-1]

    monkeypatch.setattr(Connection, "closes_after", closes_after)
    client = connect(service)
    assert not client.get("/").closes
    assert client.is_closed()


def test_removal_cuts_no_response_of_a_client_that_has_asked_for_more(serve, connect):
    """Bytes that nobody has read make the kernel drop what it still has to send."""
    body = bytes(100_000)
    entered, go_on = threading.Event(), threading.Event()

    def application(environ, start_response):
        entered.set()
        assert go_on.wait(WAIT_S)
        start_response("200 OK", [])
        return [body]

    service = serve(application, drain_timeout=LONG_S)
    client = connect(service, receive_buffer=4096)
    client.request("GET", "/first")
    assert entered.wait(WAIT_S)
    client.request("GET", "/second")
    (connection,) = service.listener.connections
    eventually(connection.transport.has_input)
    gone = service.server.remove_listener("main")
    go_on.set()
    assert gone.wait(WAIT_S)
    response = client.read()
    assert (response.closes, response.body) == (True, body)
    assert client.is_closed()


def test_removal_lets_uploads_and_downloads_finish(serve, connect, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 9_000_000)
    uploads, files = Uploads(), Files(path)

    def application(environ, start_response):
        chosen = uploads if environ["REQUEST_METHOD"] == "PUT" else files
        return chosen(environ, start_response)

    service = serve(application)
    up, down = connect(service), connect(service, receive_buffer=1 << 17)
    up.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
    down.request("GET", "/")
    down.read_exactly(1000)
    eventually(lambda: uploads.sinks)
    gone = service.server.remove_listener("main")
    up.send(b"56789")
    assert up.read().status == 201
    assert len(down.read_rest()) > 8_999_000
    assert gone.wait(WAIT_S)


def test_removal_hurries_clients_that_were_refused(serve, connect):
    service = serve(Uploads(), linger_timeout=LONG_S, drain_timeout=LONG_S)
    client = connect(service)
    client.send(b"PUT /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    assert client.read().status == 401
    assert service.server.remove_listener("main").wait(WAIT_S)


def test_removal_waits_for_a_small_refused_body_and_no_longer(serve, connect):
    service = serve(Uploads(), idle_timeout=LONG_S, drain_timeout=LONG_S)
    client = connect(service)
    client.send(b"PUT /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    assert not client.read().closes
    eventually(lambda: all(each.serving is None for each in service.listener.connections))
    gone = service.server.remove_listener("main")
    client.send(b"hello")
    assert gone.wait(WAIT_S)


def test_removal_cuts_after_the_drain_time(serve, connect):
    uploads = Uploads()
    service = serve(uploads)
    client = connect(service)
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
    eventually(lambda: uploads.sinks)
    gone = service.server.remove_listener("main", drain=0.1)
    assert gone.wait(WAIT_S)
    assert client.is_closed()
    eventually(lambda: uploads.sinks[0].closed == 1)


def test_cut_with_a_worker_at_it_closes_the_connection(serve, connect):
    application = Slow()
    service = serve(application)
    client = connect(service)
    client.request("GET", "/slow")
    assert application.entered.wait(WAIT_S)
    assert service.server.remove_listener("main", drain=0).wait(WAIT_S)
    assert client.is_closed()
    application.go_on.set()


def test_cycles_under_load_leak_nothing(serve):
    service = serve(echo_connector)
    stop = threading.Event()
    answered = [0]
    failures = []

    def load():
        client = service.connect()
        while not stop.is_set():
            if client.get("/").body != b"main http":
                failures.append("wrong answer")
            answered[0] += 1
        client.close()

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    before = None
    for number in range(60):
        listener = service.server.add_listener(f"c{number}", "127.0.0.1", 0)
        client = service.connect(port=listener.port)
        assert client.get("/").body == b"c%d http" % number
        gone = service.server.remove_listener(f"c{number}")
        assert client.is_closed()
        client.close()
        assert gone.wait(WAIT_S)
        if number == 5:
            before = len(open_files())
    assert len(open_files()) <= before
    eventually(lambda: answered[0] > 20)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_shutdown_answers_what_runs_and_ends(serve, connect):
    application = Slow()
    service = serve(application)
    client = connect(service)
    client.request("GET", "/slow")
    assert application.entered.wait(WAIT_S)
    service.server.shutdown(WAIT_S)
    finish_calls(service.server.main, service.server._tick)
    assert service.thread.is_alive()
    application.go_on.set()
    assert client.read().body == b"hello"
    service.thread.join(WAIT_S)
    assert not service.thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port))


def test_shutdown_cuts_after_the_drain_time_and_closes_sinks(serve, connect):
    uploads = Uploads()
    service = serve(uploads)
    client = connect(service)
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
    eventually(lambda: uploads.sinks)
    service.server.shutdown(0.05)
    service.thread.join(WAIT_S)
    assert not service.thread.is_alive()
    assert uploads.sinks[0].closed == 1


def test_shutdown_during_admission_closes_the_sink(serve, connect):
    uploads = Uploads()
    entered, go_on = threading.Event(), threading.Event()
    opened = uploads.open

    def slow_open():
        entered.set()
        go_on.wait(LONG_S)
        return opened()

    uploads.open = slow_open
    service = serve(uploads)
    client = connect(service)
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
    assert entered.wait(WAIT_S)
    service.server.shutdown(0)
    assert client.is_closed()
    go_on.set()
    service.thread.join(WAIT_S)
    assert uploads.sinks[0].closed == 1


def test_nothing_is_added_during_shutdown(serve, connect):
    application = Slow()
    service = serve(application)
    client = connect(service)
    client.request("GET", "/slow")
    assert application.entered.wait(WAIT_S)
    service.server.shutdown(WAIT_S)
    eventually(lambda: service.server._is_stopping)
    with pytest.raises(Exception, match="shutting down"):
        service.server.add_listener("late", "127.0.0.1", 0)
    application.go_on.set()
