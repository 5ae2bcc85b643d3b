"""The application decides before the body is read, and the body goes where it wants it."""

import hashlib
import threading

import pytest

from repoman.errors import StorageFull
from repoman.http.body import ADMISSION, BODY_ERROR, RECEIVED, BodyWanted, receive_body
from repoman.server.request_reader import Request
from tests.clock import LONG_S, WAIT_S
from tests.disk import room_for
from tests.server.apps import Sink, Slow, Uploads, hello
from tests.server.conftest import eventually

BIG = bytes(range(256)) * 16_000  # 4 MB


def digest(body):
    return hashlib.sha256(body).hexdigest().encode()


def head(method, path, *headers):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@pytest.fixture
def uploads():
    return Uploads()


@pytest.mark.parametrize("size", [1, 100, 60_000, 70_000, 300_000, 4_096_000])
@pytest.mark.parametrize("chunk", [None, 1_000_000, 32_768])
def test_body_reaches_the_sink(serve, connect, uploads, size, chunk):
    client = connect(serve(uploads))
    body = BIG[:size]
    sent = [body[at : at + chunk] for at in range(0, size, chunk)] if chunk else body
    for _ in range(2):
        response = client.put("/up", sent)
        assert (response.status, response.body) == (201, digest(body))
        assert not response.closes
    assert uploads.admissions == 2
    assert [sink.closed for sink in uploads.sinks] == [0, 0]


@pytest.mark.parametrize("chunked", [False, True])
def test_second_call_knows_the_body(serve, connect, uploads, chunked):
    client = connect(serve(uploads))
    if chunked:
        client.put("/up", [BIG[:1000]])
    else:
        put_later(client, uploads, BIG[:1000])
    (environ,) = uploads.calls
    assert ADMISSION not in environ
    assert RECEIVED not in environ  # taken by receive_body
    assert environ["CONTENT_LENGTH"] == "1000"
    assert environ["wsgi.input"].read() == b""


def put_later(client, uploads, body):
    """Send a body when the application has asked for it, and return the response."""
    client.send(head("PUT", "/up", f"Content-Length: {len(body)}"))
    eventually(lambda: uploads.sinks)
    client.send(body)
    return client.read()


@pytest.mark.parametrize("path", ["/up", "/buffered"])
def test_body_that_came_with_the_header_takes_one_call(serve, connect, uploads, path):
    client = connect(serve(uploads))
    one, other = b"first" * 100, b"second" * 100
    heads = [head("PUT", path, f"Content-Length: {len(body)}") for body in (one, other)]
    client.send(heads[0] + one + heads[1] + other + head("GET", "/after"))
    for body in (one, other):
        assert client.read().body == (digest(body) if path == "/up" else body)
    assert client.read().body == b"got /after"
    assert uploads.admissions == 2
    assert [environ["PATH_INFO"] for environ in uploads.calls] == ["/after"]
    assert [sink.closed for sink in uploads.sinks] == [0] * len(uploads.sinks)


def test_request_without_body_is_called_once_and_without_admission(serve, connect, uploads):
    client = connect(serve(uploads))
    assert client.put("/up", b"").body == digest(b"")
    client.request("POST", "/up")
    assert client.read().body == digest(b"")
    assert uploads.admissions == 0


def test_empty_chunked_body_is_a_body(serve, connect, uploads):
    assert connect(serve(uploads)).put("/up", []).body == digest(b"")
    assert uploads.admissions == 1


def test_sink_is_written_by_bulk_loops_or_workers_only(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/up", "Content-Length: 10") + b"01234")
    eventually(lambda: uploads.sinks and uploads.sinks[0].size == 5)
    client.send(b"56789")
    assert client.read().body == digest(b"0123456789")
    assert all(name.startswith(("bulk", "worker")) for name in uploads.sinks[0].writers)


def test_early_refusal_gets_no_100_and_no_body_byte_is_read(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/refused", "Content-Length: 1073741824", "Expect: 100-continue"))
    response = client.read()
    assert (response.status, response.body) == (401, b"who are you?")
    assert response.closes
    assert client.is_closed()
    assert uploads.calls == []


def test_100_continue_comes_after_admission(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/up", "Content-Length: 5", "Expect: 100-continue"))
    assert client.read().status == 100
    assert uploads.admissions == 1
    client.send(b"hello")
    assert client.read().body == digest(b"hello")
    assert client.get("/x").status == 200


def test_100_continue_for_a_chunked_body(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/up", "Transfer-Encoding: chunked", "Expect: 100-continue"))
    assert client.read().status == 100
    client.send(b"5\r\nhello\r\n0\r\n\r\n")
    assert client.read().body == digest(b"hello")


def test_no_100_for_http_1_0(serve, connect, uploads):
    client = connect(serve(uploads))
    client.request("PUT", "/up", b"hello", version="1.0", headers=["Expect: 100-continue"])
    assert client.read().status == 201


def test_small_refused_body_is_read_away_and_the_connection_kept(serve, connect, uploads):
    client = connect(serve(uploads))
    for _ in range(3):
        response = client.put("/refused", BIG[:60_000])
        assert response.status == 401
        assert not response.closes
    assert client.get("/after").body == b"got /after"


def test_small_refused_body_may_come_late(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/refused", "Content-Length: 6") + b"abc")
    assert client.read().status == 401
    client.send(b"def" + head("GET", "/after"))
    assert client.read().body == b"got /after"


@pytest.mark.parametrize(
    "framing", [["Content-Length: 40000000"], ["Transfer-Encoding: chunked"]], ids=str
)
def test_client_that_pushes_a_refused_body_still_reads_the_refusal(
    serve, connect, uploads, framing
):
    client = connect(serve(uploads))
    client.send(head("PUT", "/refused", *framing))
    for _ in range(8):
        client.send(b"\0" * 1_000_000)
    response = client.read()
    assert (response.status, response.closes) == (401, True)


def test_lingering_ends_at_its_limit(serve, connect, uploads):
    client = connect(serve(uploads, linger_limit=1_000_000, linger_timeout=LONG_S))
    client.send(head("PUT", "/refused", "Content-Length: 4000000000"))

    def push():
        for _ in range(200):
            client.send(b"\0" * 1_000_000)

    with pytest.raises(ConnectionError):
        push()


def test_lingering_ends_after_its_time(serve, connect, uploads):
    client = connect(serve(uploads, linger_timeout=0.1))
    client.send(head("PUT", "/refused", "Content-Length: 4000000000"))
    assert client.read().status == 401
    assert client.is_closed()


def test_cut_upload_closes_the_sink_once_and_in_a_worker(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/up", "Content-Length: 5000000") + BIG[:1_500_000])
    eventually(lambda: uploads.sinks and uploads.sinks[0].size == 1_500_000)
    client.close()
    sink = uploads.sinks[0]
    eventually(lambda: sink.closed)
    assert (sink.closed, sink.size) == (1, 1_500_000)
    assert sink.closed_by.startswith("worker")
    assert uploads.calls == []


def test_reset_upload_closes_the_sink_once(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/up", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
    eventually(lambda: uploads.sinks and uploads.sinks[0].size == 5)
    client.reset()
    eventually(lambda: uploads.sinks[0].closed)
    assert uploads.sinks[0].closed == 1
    assert uploads.calls == []


def test_body_that_ends_early_is_a_400(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/up", "Content-Length: 50") + b"short")
    client.socket.shutdown(1)
    assert client.read().status == 400
    assert uploads.sinks[0].closed == 1
    assert uploads.calls == []


def test_client_that_leaves_during_admission_leaves_no_sink_open(serve, connect):
    sinks = []
    entered, go_on = threading.Event(), threading.Event()

    def application(environ, start_response):
        def open_sink():
            entered.set()
            assert go_on.wait(WAIT_S)
            sinks.append(Sink())
            return sinks[0]

        receive_body(environ, open_sink)
        raise AssertionError("the body never came")

    service = serve(application)
    client = connect(service)
    client.send(head("PUT", "/up", "Content-Length: 50"))
    assert entered.wait(WAIT_S)
    client.reset()
    eventually(lambda: not service.listener.connections)
    go_on.set()
    eventually(lambda: sinks and sinks[0].closed)
    assert sinks[0].closed == 1


@pytest.mark.parametrize("end", ["by the client", "by the server"])
def test_connection_that_ends_while_its_request_is_queued(serve, connect, end):
    application, uploads = Slow(), Uploads()

    def both(environ, start_response):
        chosen = application if environ["PATH_INFO"] == "/slow" else uploads
        return chosen(environ, start_response)

    service = serve(both, threads=1)
    busy = connect(service)
    busy.request("GET", "/slow")
    assert application.entered.wait(WAIT_S)
    client = connect(service)
    client.send(head("PUT", "/up", "Content-Length: 50"))
    eventually(lambda: sum(bool(each.serving) for each in service.listener.connections) == 2)
    if end == "by the client":
        client.reset()
    else:
        service.server.remove_listener("main", drain=0)
        assert client.is_closed()
    eventually(lambda: len(service.listener.connections) == (1 if end == "by the client" else 0))
    application.go_on.set()
    if end == "by the client":
        assert busy.read().status == 200
        assert connect(service).get("/after").status == 200
    assert uploads.admissions == 0
    assert uploads.sinks == []


@pytest.mark.parametrize("end", ["by the client", "by the server"])
def test_connection_that_ends_on_its_way_to_another_loop(serve, connect, uploads, end):
    service = serve(uploads)
    gate = threading.Event()
    for loop in service.server._bulk:
        loop.call(gate.wait, LONG_S)  # so it cannot arrive
    client = connect(service)
    client.send(head("PUT", "/up", "Content-Length: 4096000") + BIG[:1000])
    eventually(
        lambda: any(each.loop is not service.server.main for each in service.listener.connections)
    )
    if end == "by the client":
        client.reset()
    else:
        service.server.remove_listener("main", drain=0)
    gate.set()
    eventually(lambda: not service.listener.connections)
    eventually(lambda: [sink.closed for sink in uploads.sinks] == [1])
    assert uploads.calls == []


def test_sink_that_the_application_does_not_take_is_closed(serve, connect, uploads):
    uploads.unclaimed = True
    client = connect(serve(uploads))
    assert put_later(client, uploads, b"hello").status == 404
    eventually(lambda: uploads.sinks[0].closed == 1)
    assert client.get("/after").status == 200


@pytest.mark.parametrize("size", [1_000, 4_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_sink_that_is_full_ends_the_body(serve, connect, size, chunked):
    uploads = Uploads(error=StorageFull("No space."), error_at=500)
    client = connect(serve(uploads))
    response = client.put("/up", [BIG[:size]] if chunked else BIG[:size])
    assert (response.status, response.body) == (507, b"StorageFull: No space.")
    assert response.closes
    (sink,) = uploads.sinks
    assert sink.closed == 1  # by the application, through receive_body


def test_sink_that_fails_is_logged_and_unavailable(serve, connect, caplog):
    uploads = Uploads(error=ZeroDivisionError(), error_at=500)
    response = connect(serve(uploads)).put("/up", BIG[:1000])
    assert response.body.startswith(b"Unavailable: ")
    assert "ZeroDivisionError" in caplog.text


def test_sink_that_fails_to_close_does_no_harm(serve, connect, uploads, caplog):
    def fail():
        raise ZeroDivisionError

    client = connect(serve(uploads))
    client.send(head("PUT", "/up", "Content-Length: 50") + b"short")
    eventually(lambda: uploads.sinks and uploads.sinks[0].size == 5)
    uploads.sinks[0].close = fail
    client.close()
    eventually(lambda: "A body sink failed to close" in caplog.text)


@pytest.mark.parametrize("size", [1, 100_000, 600_000, 1_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_buffered_body(serve, connect, uploads, size, chunked):
    client = connect(serve(uploads))
    for _ in range(2):
        response = client.put("/buffered", [BIG[:size]] if chunked else BIG[:size])
        assert response.status == 200
        assert response.body == BIG[:size]


def test_large_buffered_body_lies_in_the_spool(serve, connect, uploads, tmp_path):
    client = connect(serve(uploads))
    client.send(head("PUT", "/buffered", "Content-Length: 900000") + BIG[:800_000])
    eventually(lambda: any(str(tmp_path) in name for name in open_names()))
    client.send(BIG[800_000:900_000])
    assert client.read().body == BIG[:900_000]
    assert list(tmp_path.iterdir()) == []


def open_names():
    from tests.server.conftest import open_files

    return [name for _, name in open_files()]


def test_buffered_body_on_a_full_disk_is_refused_and_leaves_nothing(serve, connect, uploads):
    service = serve(uploads)
    with room_for(700_000):
        client = connect(service)
        response = client.put("/buffered", [BIG[:900_000]])
    assert (response.status, response.closes) == (507, True)
    client.socket.shutdown(1)
    assert client.is_closed()
    assert connect(service).get("/after").status == 200


def test_request_that_cannot_be_ended_closes_its_connection(serve, connect, monkeypatch, caplog):
    def fail(request):
        raise ZeroDivisionError

    service = serve(hello)
    client = connect(service)
    monkeypatch.setattr(Request, "close", fail)
    assert client.get("/").status == 200
    assert client.is_closed()
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert connect(service).get("/").status == 200


def test_known_length_over_the_buffer_limit_is_refused_before_the_body(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/buffered", "Content-Length: 1000001", "Expect: 100-continue"))
    assert client.read().status == 413
    assert uploads.calls == []


def test_chunked_body_over_the_buffer_limit_ends_there(serve, connect, uploads):
    client = connect(serve(uploads))
    response = client.put("/buffered", [BIG[:500_000], BIG[:500_000], b"x", BIG])
    assert (response.status, response.closes) == (413, True)
    (environ,) = uploads.calls
    assert BODY_ERROR not in environ  # taken by read_body


def test_upload_pipelined_behind_a_request_needs_admission_too(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(
        head("GET", "/first")
        + head("PUT", "/up", "Content-Length: 5")
        + b"hello"
        + head("PUT", "/refused", "Content-Length: 5")
        + b"hello"
        + head("GET", "/last")
    )
    assert client.read().body == b"got /first"
    assert client.read().body == digest(b"hello")
    assert client.read().status == 401
    assert client.read().body == b"got /last"
    assert uploads.admissions == 2


def test_request_pipelined_behind_a_large_upload(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(head("PUT", "/up", f"Content-Length: {len(BIG)}") + BIG + head("GET", "/next"))
    assert client.read().body == digest(BIG)
    assert client.read().body == b"got /next"


def test_header_and_body_in_pieces_of_one_byte(serve, connect, uploads):
    client = connect(serve(uploads))
    for byte in (
        head("PUT", "/up", "Transfer-Encoding: chunked") + b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n"
    ):
        client.send(bytes([byte]))
    assert client.read().body == digest(b"abc")


def test_body_wanted_twice_is_an_error_of_the_application(serve, connect, caplog):
    sinks = []

    def application(environ, start_response):
        sinks.append(Sink())
        raise BodyWanted(sinks[-1])

    client = connect(serve(application))
    assert client.put("/up", b"hello").status == 500
    eventually(lambda: [sink.closed for sink in sinks] == [1, 1])
    assert "read the body again" in caplog.text


def test_body_that_nobody_asks_for_is_read_away(serve, connect):
    client = connect(serve(hello))
    assert client.put("/", b"x" * 1000).body == b"hello"
    assert client.put("/", b"x" * 1000).body == b"hello"


def test_200_slow_uploads_hold_no_worker(serve, connect, uploads):
    service = serve(uploads, threads=2)
    clients = [connect(service) for _ in range(100)]
    for client in clients:
        client.send(head("PUT", "/up", "Content-Length: 10") + b"01234")
    assert connect(service).get("/x").status == 200
    for client in clients:
        client.send(b"56789")
    assert all(client.read().status == 201 for client in clients)


def test_buffered_body_over_the_limit_of_the_server(serve, connect, uploads):
    client = connect(serve(uploads, body_buffer_limit=10_000))
    assert client.put("/buffered", [b"x" * 10_000]).status == 200
    assert client.put("/buffered", [b"x" * 10_001]).status == 413
