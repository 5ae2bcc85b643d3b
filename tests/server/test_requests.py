"""What is refused before the application sees it."""

import logging

import pytest
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser

from repoman.server import request_reader
from repoman.server.request_reader import Request
from tests.clock import cpu_limit
from tests.server.apps import Uploads, hello
from tests.server.conftest import eventually

TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + b"\x00" * 160


@pytest.fixture
def uploads():
    return Uploads()


def refusal(client, data):
    """Send bytes; return the status of the only response, after which the connection ends."""
    client.send(data)
    response = client.read()
    assert response.closes
    assert client.is_closed()
    return response.status


def test_tls_hello_on_a_plain_port_is_answered_at_once(serve, connect, caplog):
    caplog.set_level(logging.DEBUG, "repoman.server")
    client = connect(serve(hello))
    client.send(TLS_HELLO)
    response = client.read()
    assert (response.status, response.closes) == (400, True)
    assert b"plain HTTP" in response.body
    assert client.is_closed()
    (record,) = [record for record in caplog.records if "Refused" in record.getMessage()]
    assert record.levelno == logging.DEBUG  # docker tries TLS with every command
    assert "127.0.0.1" in record.getMessage()


def test_blank_lines_before_a_request_are_dropped_without_parsing(serve, connect, monkeypatch):
    parsers = []

    class Counting(Request):
        def __init__(self, adj):
            parsers.append(self)
            super().__init__(adj)

    monkeypatch.setattr(request_reader, "Request", Counting)
    client = connect(serve(hello))
    client.send(b"\r\n" * 200_000 + b"\n\r\n")
    for blank in (b"\r", b"\n", b""):
        client.send(blank + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read().body == b"hello"
    assert len(parsers) == 3


def test_garbage_after_blank_lines_is_refused(serve, connect):
    assert refusal(connect(serve(hello)), b"\r\n\r\n" + TLS_HELLO) == 400


@pytest.mark.parametrize("data", [b"\x00", b"get / HTTP/1.1\r\n", b"{}", b"\xff\xfe", b" GET /"])
def test_garbage_is_answered_at_once(serve, connect, data):
    assert refusal(connect(serve(hello)), data) == 400


def test_garbage_after_a_request_is_refused(serve, connect):
    client = connect(serve(hello))
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\x00\x01\x02")
    assert client.read().status == 200
    assert client.read().status == 400
    assert client.is_closed()


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: ",
        "Content-Length : 5",
        "Transfer-Encoding : chunked",
        "Content-Length: 5\r\nTransfer-Encoding:",
        "Content-Length: 5\r\nTransfer-Encoding: , ",
        "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: a\r\n b",
        "X: a\r\n\tTransfer-Encoding: chunked",
        "X: a\nTransfer-Encoding: chunked",
        "X: a\rTransfer-Encoding: chunked",
        "X: a\0b",
        "no colon",
        "Host: y",
    ],
)
def test_ambiguous_header_is_a_400(serve, connect, uploads, headers):
    client = connect(serve(uploads))
    request = f"POST /up HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\nhello"
    assert refusal(client, request.encode()) == 400
    assert uploads.admissions == 0
    assert uploads.calls == []


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity", "chunked, gzip", "xchunked"])
def test_unknown_transfer_coding_is_a_501(serve, connect, uploads, coding):
    request = f"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n"
    assert refusal(connect(serve(uploads)), request.encode()) == 501
    assert uploads.admissions == 0


def test_chunks_are_not_part_of_http_1_0(serve, connect, uploads):
    request = b"POST /up HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert refusal(connect(serve(uploads)), request) == 400
    assert uploads.calls == []


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/1", "FTP/1.1", ""])
def test_other_versions_are_refused(serve, connect, version):
    request = f"GET / {version}\r\nHost: x\r\n\r\n".encode()
    assert refusal(connect(serve(hello)), request) == 400


def test_http_1_1_needs_a_host(serve, connect):
    assert refusal(connect(serve(hello)), b"GET / HTTP/1.1\r\n\r\n") == 400


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhelloXX\r\n0\r\n\r\n",
        b"g\r\n",
        b"5;bad ext\x01\r\nhello\r\n",
        b"5\r\nhello\r\n0\r\nno field\r\n\r\n",
    ],
)
@pytest.mark.parametrize("path", ["/up", "/buffered"])
def test_bad_chunk_is_a_400_and_closes_the_sink(serve, connect, uploads, body, path):
    client = connect(serve(uploads))
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refusal(client, head.encode() + body) == 400
    assert uploads.calls == []
    assert [sink.closed for sink in uploads.sinks] == [1] * len(uploads.sinks)


def test_bad_chunk_that_comes_later(serve, connect, uploads):
    client = connect(serve(uploads))
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello")
    eventually(lambda: uploads.sinks and uploads.sinks[0].size == 5)
    assert refusal(client, b"XX\r\n") == 400
    assert uploads.sinks[0].closed == 1


def test_no_request_hides_in_a_body(serve, connect, uploads):
    service = serve(uploads)
    inner = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n" * 3
    for path, status in (("/up", 201), ("/buffered", 200), ("/refused", 401)):
        for body in (inner, [inner]):
            assert connect(service).put(path, body).status == status
    assert connect(service).get("/last").status == 200
    assert "/hidden" not in [environ["PATH_INFO"] for environ in uploads.calls]


def test_large_header_is_a_431(serve, connect, caplog):
    caplog.set_level(logging.INFO, "repoman.server")
    client = connect(serve(hello, header_limit=10_000))
    assert client.get("/", headers=[f"X: {'y' * 9_000}"]).status == 200
    client.request("GET", "/", headers=[f"X: {'y' * 30_000}"])
    response = client.read()
    assert (response.status, response.closes) == (431, True)
    assert "431" in caplog.text


def test_log_of_a_refusal_quotes_nothing(serve, connect, caplog):
    caplog.set_level(logging.INFO)
    header = b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic c2VjcmV0\nX: y\r\n\r\n"
    assert refusal(connect(serve(hello)), header) == 400
    assert "Bare CR or LF" in caplog.text
    assert "c2VjcmV0" not in caplog.text


def test_endless_header_is_a_431_before_it_ends(serve, connect):
    client = connect(serve(hello, header_limit=10_000))
    client.send(b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000)
    assert client.read().status == 431


@pytest.mark.parametrize(
    ("start", "field"),
    [
        (b"GET http://" + b"1" * 8_000 + b" x HTTP/1.1", b"X: y"),
        (b"GET /%20" + b" " * 60_000 + b" HTTP/1.1", b"X: y"),
        (b"GET /%20" + b"\t" * 60_000 + b"x x HTTP/1.1", b"X: y"),
        (b"GET / HTTP/1.1", b"X:" + b" " * 60_000 + b"y"),
        (b"GET / HTTP/1.1", b"X:" + b"\t " * 30_000 + b"\0"),
        (b"GET / HTTP/1.1", b"X: y" + b" " * 60_000 + b"\0"),
        (b"GET / HTTP/1.1", b"X" * 60_000),
    ],
)
def test_no_header_takes_long_to_parse(start, field):
    request = Request(Adjustments())
    with cpu_limit(1):
        request.received(b"\r\n".join((start, b"Host: x", field, b"", b"")))
    assert request.completed


def test_no_header_of_blanks_reaches_the_application(serve, connect, uploads):
    """Parsers of cookies and media types take quadratic time for them, in a worker."""
    service = serve(uploads)
    for field in ("Cookie: a=%sb", "Accept: a/b%s!", "X:%sy", "X: y%s"):
        for blanks in (" " * 60_000, "\t " * 32):
            head = f"GET / HTTP/1.1\r\nHost: x\r\n{field % blanks}\r\n\r\n"
            assert refusal(connect(service), head.encode()) == 400
        assert connect(service).get("/", headers=[field % (" " * 63)]).status == 200
    assert len(uploads.calls) == 4


def test_blanks_around_a_value_do_not_belong_to_it():
    request = Request(Adjustments())
    request.received(b"GET / HTTP/1.1\r\nHost: \t x \t \r\nX:  a:  b\r\nY:\t\t\r\n\r\n")
    assert request.headers == {"HOST": "x", "X": "a:  b", "Y": ""}


def test_same_header_on_another_connection_is_not_mixed_up(serve, connect):
    def application(environ, start_response):
        environ["HTTP_X"] += " changed"
        body = environ["HTTP_X"].encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    service = serve(application)
    for _ in range(3):
        assert connect(service).get("/", headers=["X: y"]).body == b"y changed"


def test_environment(serve, connect):
    seen = []

    def application(environ, start_response):
        seen.append(environ)
        return hello(environ, start_response)

    service = serve(application)
    connect(service).get("/a%2Fb/%C3%A4?c=%2F", headers=["X-Some: thing"])
    (environ,) = seen
    assert environ["repoman.connector"] == "main"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["PATH_INFO"] == "/a/b/\xc3\xa4"
    assert environ["REQUEST_URI"] == "/a%2Fb/%C3%A4?c=%2F"
    assert environ["QUERY_STRING"] == "c=%2F"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == str(service.port)
    assert environ["HTTP_X_SOME"] == "thing"
    assert environ["wsgi.input_terminated"] is True


# Plain ones, which do not take the parser's way, and others.
ADDRESSES = [
    "/",
    "/a/b",
    "/v2/a_b/blobs/uploads/0f?digest=sha256:00",
    "/a?",
    "/a?b=%20&c=d,e",
    "/a%20b",
]
ADDRESSES += ["//a/b?c", "/a//b", "/a#b", "/a?b#c", "/a?b?c", "http://host/a?b", "/a;b?c=d;e", "*"]
ADDRESSES += ["/a/../b", "/a:b@c", "/?a", "/\xe9", "/a?\xe9", "/a+b~c", "/a|b", "http://["]


@pytest.mark.parametrize("version", [" HTTP/1.1", " HTTP/1.0", " HTTP/1.1 x", " HTTP/11", ""])
@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_split_as_the_parser_splits_it(address, version):
    head = f"PUT {address}{version}\r\nHost: x\r\nContent-Length: 3\r\n\r\n".encode("latin-1")
    check_parsed_like_waitress(head)


# Those that a plain header may have, and what waitress has its own way with.
FIELDS = ["Accept: a/b, c/d;q=0.5", "accept:a", "X-A_B: 1", "X_A: 1", "X.A: 1", "A: \xe9"]
FIELDS += ["A:", "A: ", "A:  b", "A: b ", "A: b  c", "A:\tb", "A: b\tc", "A : b", ": b", "A"]
FIELDS += ["A: \0", "A: b\r\na: c", "A: b\r\nB: c", "Expect: 100-Continue", "Connection: close"]
FIELDS += ["Content-Length: 4", "Content-Length: 4 ", "Content-Length: +4", "Content-Length: \xb2"]
FIELDS += ["Content-Length: 04", "Content-Length: 0", "Content-Length: 4\r\nContent-Length: 4"]
FIELDS += [f"Content-Length: {'4' * 20}", f"Content-Length: {'4' * 5000}", f"{'A' * 70}: 1"]
FIELDS += ["Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: Chunked"]
REFUSED = ["A: b\r\n c", "Host: y", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
REFUSED += ["Transfer-Encoding: chunked, chunked", "Transfer-Encoding:", "Transfer-Encoding: ,"]


@pytest.mark.parametrize("field", FIELDS)
def test_fields_are_taken_as_the_parser_takes_them(field):
    check_parsed_like_waitress(f"PUT /a HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n".encode("latin-1"))


@pytest.mark.parametrize("field", REFUSED)
def test_fields_that_others_may_take_in_another_way_are_refused(field):
    ours = Request(Adjustments())
    ours.received(f"PUT /a HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n".encode())
    assert ours.error is not None


@pytest.mark.parametrize("fields", ["", "X: y\r\n", "Host: a,b\r\n", "Host: a, b\r\n"])
def test_a_header_without_exactly_one_host_is_refused(fields):
    ours = Request(Adjustments())
    ours.received(f"GET / HTTP/1.1\r\n{fields}\r\n".encode())
    assert ours.error is not None


# As docker, skopeo, curl and pip send them.
PLAIN = {
    "HEAD /v2/a/blobs/sha256:0f": "User-Agent: docker/27.0 (linux)\r\nAuthorization: Basic YQ==",
    "PATCH /v2/a/blobs/uploads/0f": "Transfer-Encoding: chunked\r\nAccept-Encoding: gzip",
    "PUT /v2/a/blobs/uploads/0f?digest=sha256%3A0f": "Content-Length: 0",
    "GET /simple/a/": "Accept: */*;q=0.5, text/html\r\nConnection: keep-alive",
}
OTHERS = ["GET / HTTP/1.0", "GET http://x/ HTTP/1.1", "GET /a%2Fb HTTP/1.1", "GET //a HTTP/1.1"]


@pytest.fixture
def unparsed(monkeypatch):
    """The headers that waitress was asked to parse."""
    seen = []
    parse = HTTPRequestParser.parse_header
    monkeypatch.setattr(
        HTTPRequestParser, "parse_header", lambda self, head: (seen.append(head), parse(self, head))
    )
    return seen


@pytest.mark.parametrize("start", PLAIN)
def test_the_headers_of_most_clients_do_not_take_the_parser(start, unparsed):
    request = Request(Adjustments())
    request.received(f"{start} HTTP/1.1\r\nHost: x:5000\r\n{PLAIN[start]}\r\n\r\n".encode())
    assert request.headers_finished
    assert request.error is None
    assert not unparsed


@pytest.mark.parametrize("start", OTHERS)
def test_other_headers_take_the_parser(start, unparsed):
    head = f"{start}\r\nHost: x\r\n\r\n".encode()
    Request(Adjustments()).received(head)
    assert unparsed == [head]


PARSED = (
    "command",
    "version",
    "path",
    "query",
    "request_uri",
    "url_scheme",
    "headers",
    "chunked",
    "content_length",
    "expect_continue",
    "headers_finished",
)


def check_parsed_like_waitress(head: bytes) -> None:
    """Check that a header is taken like that, or refused as well."""
    ours, theirs = Request(Adjustments()), HTTPRequestParser(Adjustments())
    assert ours.received(head) == len(head)
    try:
        theirs.received(head)
    except ValueError:
        assert ours.error is not None
        return
    if theirs.error is not None:
        assert ours.error is not None
        return
    assert {name: getattr(ours, name) for name in PARSED} == {
        name: getattr(theirs, name) for name in PARSED
    }
    assert ours.has_body is (theirs.body_rcv is not None)
    assert ours.raw == head
    if theirs.version:  # waitress takes a request without one
        assert ours.error is None
        assert ours.completed is theirs.completed
