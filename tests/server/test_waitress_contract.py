"""Each internal of waitress that the server builds on; a new release must be read before use."""

import inspect
import io
import re
from importlib.metadata import version

from waitress import buffers, channel, parser, receiver, utilities
from waitress.adjustments import Adjustments
from waitress.rfc7230 import CHUNK_EXT_RE

from repoman.server.file_bodies import FileResponse
from repoman.server.request_reader import Request


def used(module, what):
    """Return the attributes of ``what`` that the source of a waitress module names."""
    found = re.findall(rf"\b{re.escape(what)}\.(\w+)", inspect.getsource(module))
    return set(found)


def test_version():
    assert version("waitress") == "3.0.2"


def test_what_the_parser_asks_of_adjustments():
    assert used(parser, "adj") == {
        "inbuf_overflow",
        "max_request_body_size",
        "max_request_header_size",
        "url_scheme",
    }


def test_connections_send_without_delay():
    assert Adjustments.socket_options


def test_file_response():
    response = FileResponse(io.BytesIO(b"0123456789"))
    response.file.seek(2)
    assert response.prepare(5) == 5
    assert len(response) == response.remain == 5
    assert response.get(3, skip=True) == b"234"
    assert response.get(99, skip=True) == b"56"
    assert response.remain == 0


def test_parse_header_gets_the_whole_header_from_its_first_letter():
    header = b"GET /path?query HTTP/1.1\r\nHost: x\r\n\r\n"
    request = Request(Adjustments())
    request.received(b"\r\n" + header[:9])
    request.received(header[9:] + b"GET /another HTTP/1.1\r\n")
    assert request.raw == header


def test_header_parsing():
    request = parser.HTTPRequestParser(Adjustments())
    data = b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhel"
    assert request.received(data) == len(data) - 3
    assert request.headers_finished
    assert not request.completed
    assert request.expect_continue
    assert not request.chunked
    assert request.content_length == 5
    assert isinstance(request.body_rcv, receiver.FixedStreamReceiver)
    assert request.error is None


def test_chunked_requests_have_a_receiver():
    request = parser.HTTPRequestParser(Adjustments())
    request.received(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert request.chunked
    assert isinstance(request.body_rcv, receiver.ChunkedReceiver)
    assert "TRANSFER_ENCODING" not in request.headers


def test_parsing_errors_become_error_responses():
    assert "except ParsingError as e" in inspect.getsource(parser.HTTPRequestParser.received)
    status, headers, body = utilities.BadRequest("why").to_response("me")
    assert status == "400 Bad Request"
    assert headers == [("Content-Type", "text/plain; charset=utf-8")]
    assert b"why" in body
    assert utilities.InternalServerError("").code == 500


def test_chunk_extensions():
    assert CHUNK_EXT_RE.fullmatch(b';a=b;c="d"')
    assert not CHUNK_EXT_RE.fullmatch(b";a=")


def test_buffers_overflow_into_a_file():
    for name in ("_set_large_buffer", "append", "getfile", "close"):
        assert hasattr(buffers.OverflowableBuffer, name)
    assert "self.overflowed" in inspect.getsource(buffers.OverflowableBuffer.append)
    asked = inspect.signature(buffers.FileBasedBuffer)
    assert list(asked.parameters) == ["file", "from_buffer"]


def test_client_disconnected_is_an_exception():
    assert issubclass(channel.ClientDisconnected, Exception)
