"""The rules of WSGI (PEP 3333), and what becomes of applications that break them."""

import pytest

from repoman.server.send_queue import SendQueue
from tests.server.apps import Files
from tests.server.certificates import Certificate
from tests.server.conftest import eventually

TEXT = [("Content-Type", "text/plain")]


def run(serve, connect, application, method="GET", path="/"):
    client = connect(serve(application))
    client.request(method, path)
    return client, client.read(head_only=method == "HEAD")


def answer(status, headers, pieces):
    def application(environ, start_response):
        start_response(status, headers)
        return pieces

    return application


def test_one_piece_has_a_length_and_several_are_chunks(serve, connect):
    client, response = run(serve, connect, answer("200 OK", TEXT, [b"hello"]))
    assert (response.body, response.headers["content-length"]) == (b"hello", "5")
    client, response = run(serve, connect, answer("200 OK", TEXT, [b"hel", b"lo"]))
    assert (response.body, response.headers["transfer-encoding"]) == (b"hello", "chunked")
    assert client.get("/").body == b"hello"


def test_write(serve, connect):
    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "6")])
        write(b"one")
        return [b"two"]

    _, response = run(serve, connect, application)
    assert response.body == b"onetwo"


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Name", "a\r\nX-Other: b")],
        [("X-Name", "a\nb")],
        [("X\rName", "a")],
        [("Connection", "close")],
        [("Transfer-Encoding", "chunked")],
        [("Content-Length", "many")],
    ],
)
def test_header_that_cannot_be_sent_is_a_500(serve, connect, caplog, headers):
    client, response = run(serve, connect, answer("200 OK", headers, [b"hello"]))
    assert (response.status, response.closes) == (500, True)
    assert "X-Other" not in str(response.headers)
    assert client.is_closed()
    assert "ValueError" in caplog.text


def test_status_with_a_line_break_is_a_500(serve, connect):
    _, response = run(serve, connect, answer("200 OK\r\nX: y", TEXT, [b"hello"]))
    assert response.status == 500


def test_start_response_may_be_called_again_only_for_an_error(serve, connect, caplog):
    def again(environ, start_response):
        start_response("200 OK", [("Content-Length", "99")])
        info = None if environ["PATH_INFO"] == "/wrong" else (ValueError, ValueError("no"), None)
        start_response("400 Bad Request", TEXT, info)
        return [b"sorry"]

    client, response = run(serve, connect, again)
    assert (response.status, response.body) == (400, b"sorry")
    assert client.get("/wrong").status == 500
    assert "without exc_info" in caplog.text


def test_an_error_after_the_header_cuts_the_connection(serve, connect):
    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "9")])
        write(b"begun")
        start_response("500 Oops", TEXT, (ValueError, ValueError("no"), None))

    client = connect(serve(application))
    client.request("GET", "/")
    with pytest.raises(AssertionError, match="too early"):
        client.read()


@pytest.mark.parametrize("pieces", [[b"hello"], []])
def test_application_that_does_not_start_is_a_500(serve, connect, pieces):
    _, response = run(serve, connect, lambda environ, start_response: pieces)
    assert response.status == 500


@pytest.mark.parametrize("pieces", [[b"hello"], []])
def test_header_that_is_not_latin_1_is_a_500(serve, connect, pieces):
    _, response = run(serve, connect, answer("200 OK", [("X", "\u0101")], pieces))
    assert response.status == 500


def test_too_few_bytes_cut_the_connection_and_too_many_are_dropped(serve, connect, caplog):
    client = connect(serve(answer("200 OK", [("Content-Length", "9")], [b"hello"])))
    client.request("GET", "/")
    with pytest.raises(AssertionError, match="too early"):
        client.read()
    assert "returned 5 bytes where its response says 9" in caplog.text
    client, response = run(serve, connect, answer("200 OK", [("Content-Length", "4")], [b"hello"]))
    assert response.body == b"hell"
    assert client.get("/").body == b"hell"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_status_without_a_body_keeps_the_connection(serve, connect, status):
    application = answer(status, [("Content-Length", "5")], [b"hello"])
    client = connect(serve(application))
    for _ in range(2):
        client.request("GET", "/")
        response = client.read(head_only=True)
        assert (response.status, response.closes) == (int(status[:3]), False)
        assert "content-length" not in response.headers


def test_what_was_returned_is_closed(serve, connect):
    closed = []

    class Body(list):
        def close(self):
            closed.append(True)

    run(serve, connect, answer("200 OK", TEXT, Body([b"hello"])))
    eventually(lambda: closed == [True], what="the end of the body")


def test_file_that_fits_leaves_at_once_and_without_a_bulk_loop(serve, connect, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1000)
    application = Files(path)
    service = serve(application)
    client = connect(service)
    moves = []
    assert client.get("/small").status == 200
    (connection,) = service.listener.connections
    connection.move = lambda *to: moves.append(to)
    for _ in range(3):
        assert client.get("/").body == path.read_bytes()
    assert moves == []


@pytest.mark.parametrize("is_secure", [False, True])
def test_pieces_without_bytes_and_pieces_for_head_are_not_sent(
    serve, connect, tmp_path, is_secure, monkeypatch
):
    sizes = []
    real = SendQueue.write

    def write(queue, data, more=False):
        sizes.append(len(data))
        real(queue, data, more)

    monkeypatch.setattr(SendQueue, "write", write)

    def application(environ, start_response):
        write = start_response("200 OK", TEXT)
        write(b"one")
        write(b"")
        return [b"", b"two", b""]

    certificate = Certificate(tmp_path, "localhost")
    service = serve(application, tls=certificate.for_server() if is_secure else None)
    client = connect(service, tls=certificate.for_client() if is_secure else None)
    client.request("HEAD", "/")
    assert client.read(head_only=True).status == 200
    assert client.get("/").body == b"onetwo"
    assert 0 not in sizes
