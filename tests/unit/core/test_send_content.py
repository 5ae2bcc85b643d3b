"""Content out: whole, in part, conditionally, and for HEAD."""

import io
from wsgiref.util import FileWrapper

import pytest
from flask import Flask
from werkzeug.http import http_date

from repoman.http.content import Content, send_content

DATA = bytes(range(256)) * 4
ETAG = "sha256:abc"
MODIFIED = 1_700_000_000.7


class Opened:
    """Opens the bytes, and keeps the files to see what became of them."""

    def __init__(self):
        self.files = []

    def __call__(self):
        self.files.append(io.BytesIO(DATA))
        return self.files[-1]


@pytest.fixture
def opened():
    return Opened()


@pytest.fixture(params=["generic server", "server with a file wrapper"])
def ask(opened, request):
    """Ask for the content with the given headers."""
    app = Flask("test")
    content = Content(
        len(DATA), "text/x", opened, ETAG, MODIFIED, {"Docker-Content-Digest": "sha256:abc"}
    )
    app.add_url_rule("/", view_func=lambda: send_content(content), methods=["GET"])
    environ = {"wsgi.file_wrapper": FileWrapper} if "wrapper" in request.param else {}

    def ask(method="GET", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return app.test_client().open(
            "/", method=method, headers=named, environ_overrides=environ, buffered=True
        )

    return ask


def test_the_whole_content_with_what_describes_it(ask, opened):
    response = ask()
    assert (response.status_code, response.data) == (200, DATA)
    assert response.headers["Content-Type"] == "text/x"
    assert response.headers["Content-Length"] == str(len(DATA))
    assert response.headers["ETag"] == f'"{ETAG}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Last-Modified"] == http_date(MODIFIED)
    assert response.headers["Docker-Content-Digest"] == "sha256:abc"
    assert [file.closed for file in opened.files] == [True]


def test_head_has_the_headers_and_opens_nothing(ask, opened):
    head = ask("HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert opened.files == []
    assert dict(head.headers) == dict(ask().headers)


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=1000-", 1000, 1024),
        ("bytes=-5", 1019, 1024),
    ],
)
def test_a_part(ask, header, start, stop):
    response = ask(Range=header)
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/1024"
    assert response.headers["Content-Length"] == str(stop - start)
    head = ask("HEAD", Range=header)
    assert (head.status_code, head.data) == (206, b"")
    assert dict(head.headers) == dict(response.headers)


def test_a_part_that_is_not_there(ask, opened):
    response = ask(Range="bytes=1024-")
    assert (response.status_code, response.data) == (416, b"")
    assert response.headers["Content-Range"] == "bytes */1024"
    assert opened.files == []


@pytest.mark.parametrize(
    "header", [f'"{ETAG}"', f'W/"{ETAG}"', f'"other", "{ETAG}"', "*", ETAG, f"other, {ETAG}"]
)
def test_what_the_client_has_is_not_sent(ask, opened, header):
    response = ask(If_None_Match=header)
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == f'"{ETAG}"'
    assert "Content-Length" not in response.headers
    assert opened.files == []


@pytest.mark.parametrize("header", ['"other"', 'W/"sha256:ab"', "sha256:abcd", ""])
def test_what_the_client_has_not_is_sent(ask, header):
    assert ask(If_None_Match=header).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(-1000, 200), (-1, 200), (0, 304), (1000, 304)])
def test_the_date_counts_in_whole_seconds(ask, seconds, status):
    assert ask(If_Modified_Since=http_date(MODIFIED + seconds)).status_code == status


def test_the_etag_counts_more_than_the_date(ask):
    response = ask(If_None_Match='"other"', If_Modified_Since=http_date(MODIFIED))
    assert response.status_code == 200


def test_a_client_that_has_it_gets_no_part_either(ask):
    assert ask(If_None_Match=f'"{ETAG}"', Range="bytes=0-1").status_code == 304


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (f'"{ETAG}"', 206),
        ('"other"', 200),
        (f'W/"{ETAG}"', 200),
        (http_date(MODIFIED), 206),
        (http_date(MODIFIED - 1), 200),
        (http_date(MODIFIED + 1), 200),
        ("nonsense", 200),
    ],
)
def test_a_part_only_of_what_the_client_has_begun(ask, condition, status):
    assert ask(Range="bytes=0-1", If_Range=condition).status_code == status


def test_the_bytes_of_a_part_and_no_more_are_read_where_the_server_has_no_wrapper(opened):
    app = Flask("test")
    content = Content(len(DATA), "text/x", opened, ETAG)
    app.add_url_rule("/", view_func=lambda: send_content(content))
    response = app.test_client().get("/", headers={"Range": "bytes=3-9"}, buffered=True)
    assert response.data == DATA[3:10]
    assert "Last-Modified" not in response.headers


def test_a_wrapper_gets_the_file_at_the_place_where_the_part_begins(opened):
    app = Flask("test")
    content = Content(len(DATA), "text/x", opened, ETAG)
    app.add_url_rule("/", view_func=lambda: send_content(content))
    wrapped = []

    def wrap(file, size):
        wrapped.append(file.tell())
        return FileWrapper(file, size)

    app.test_client().get(
        "/",
        headers={"Range": "bytes=3-9"},
        environ_overrides={"wsgi.file_wrapper": wrap},
        buffered=True,
    )
    assert wrapped == [3]


def test_a_file_that_nobody_reads_is_closed(opened):
    app = Flask("test")
    content = Content(len(DATA), "text/x", opened, ETAG)
    with app.test_request_context():
        response = send_content(content)
    response.close()
    assert [file.closed for file in opened.files] == [True]
