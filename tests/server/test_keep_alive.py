"""When a connection stays and how responses are framed."""

import pytest

from tests.server.apps import hello, stream


def respond(status, headers=(), body=()):
    def application(environ, start_response):
        start_response(status, list(headers))
        return list(body)

    return application


def test_connection_is_kept(serve, connect):
    client = connect(serve(hello))
    for _ in range(3):
        response = client.get("/")
        assert (response.status, response.body) == (200, b"hello")
        assert not response.closes


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_responses_without_a_body_keep_the_connection(serve, connect, status):
    client = connect(serve(respond(status, [("ETag", '"x"')])))
    for _ in range(2):
        response = client.get("/")
        assert response.status == int(status[:3])
        assert not response.closes
        assert "content-length" not in response.headers
        assert "transfer-encoding" not in response.headers


def test_304_may_announce_the_length_of_what_it_does_not_send(serve, connect):
    client = connect(serve(respond("304 Not Modified", [("Content-Length", "1234")])))
    assert not client.get("/").closes
    assert client.get("/").status == 304


@pytest.mark.parametrize("status", ["201 Created", "202 Accepted"])
def test_empty_created_and_accepted_keep_the_connection(serve, connect, status):
    client = connect(serve(respond(status)))
    for _ in range(2):
        response = client.get("/")
        assert response.status == int(status[:3])
        assert response.body == b""
        assert not response.closes


def test_unknown_length_goes_in_chunks_and_keeps_the_connection(serve, connect):
    client = connect(serve(stream(3, 1000)))
    for _ in range(2):
        response = client.get("/")
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.body == b"\0" * 1000 + b"\1" * 1000 + b"\2" * 1000


def test_header_and_small_body_leave_in_one_packet(serve, connect):
    client = connect(serve(hello))
    client.request("GET", "/")
    data = client.socket.recv(65536)
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"\r\n\r\nhello")


def test_header_names_arrive_as_the_application_wrote_them(serve, connect):
    client = connect(serve(respond("200 OK", [("WWW-Authenticate", "Basic"), ("ETag", '"x"')])))
    client.request("GET", "/")
    head = client.read_until(b"\r\n\r\n")
    assert b"\r\nWWW-Authenticate: Basic\r\n" in head
    assert b'\r\nETag: "x"\r\n' in head


def test_head_has_the_length_and_no_body(serve, connect):
    client = connect(serve(hello))
    for _ in range(2):
        client.request("HEAD", "/")
        response = client.read(head_only=True)
        assert response.headers["content-length"] == "5"
        assert client.buffer == b""


def test_client_may_ask_to_close(serve, connect):
    client = connect(serve(hello))
    assert client.get("/", headers=["Connection: close"]).closes
    assert client.is_closed()


def test_http_1_0_closes(serve, connect):
    client = connect(serve(hello))
    response = client.get("/", version="1.0")
    assert response.closes
    assert client.is_closed()


def test_http_1_0_is_kept_if_asked_for_and_possible(serve, connect):
    client = connect(serve(hello))
    for _ in range(2):
        response = client.get("/", version="1.0", headers=["Connection: keep-alive"])
        assert response.headers["connection"] == "Keep-Alive"
        assert response.body == b"hello"


def test_http_1_0_gets_no_chunks(serve, connect):
    client = connect(serve(stream(3, 1000)))
    response = client.get("/", version="1.0", headers=["Connection: keep-alive"])
    assert response.closes
    assert len(response.body) == 3000


def test_too_few_bytes_from_the_application_end_the_connection(serve, connect, caplog):
    client = connect(serve(respond("200 OK", [("Content-Length", "10")], [b"abc"])))
    client.request("GET", "/")
    assert client.read_rest().endswith(b"\r\n\r\nabc")


def test_too_many_bytes_from_the_application_are_cut(serve, connect):
    client = connect(serve(respond("200 OK", [("Content-Length", "2")], [b"abc", b"def"])))
    assert client.get("/").body == b"ab"
    assert client.get("/").body == b"ab"


def test_failing_application_is_a_500(serve, connect):
    def application(environ, start_response):
        raise ZeroDivisionError

    client = connect(serve(application))
    assert client.get("/").status == 500
    assert client.is_closed()


def test_application_that_exits_is_a_500(serve, connect):
    def application(environ, start_response):
        raise SystemExit

    assert connect(serve(application)).get("/").status == 500


def test_pipelined_requests_are_answered_in_order(serve, connect):
    def application(environ, start_response):
        body = environ["PATH_INFO"].encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    client = connect(serve(application))
    paths = [f"/{number}" for number in range(50)]
    client.send(b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths))
    assert [client.read().body.decode() for _ in paths] == paths


def test_request_in_pieces_of_one_byte(serve, connect):
    client = connect(serve(hello))
    for byte in b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n":
        client.send(bytes([byte]))
    assert client.read().body == b"hello"


def test_client_that_stops_sending_still_gets_its_answers(serve, connect):
    client = connect(serve(hello))
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    client.socket.shutdown(1)
    assert client.read_rest().count(b"hello") == 3


def test_large_response_in_memory(serve, connect):
    body = bytes(range(256)) * 20_000
    client = connect(serve(respond("200 OK", [], [body])))
    for _ in range(2):
        assert client.get("/").body == body
