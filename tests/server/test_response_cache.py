"""What the memory of responses keeps, and for whom."""

from contextlib import closing, nullcontext

import pytest

from repoman.caching import CacheBudget
from repoman.db.topics import Topics
from repoman.errors import NotFound
from repoman.http import current as caching_module
from repoman.http.current import BEGUN, CACHEABLE, RAW_REQUEST, begin_request
from repoman.server import response_cache as cache_module
from repoman.server.file_bodies import FileResponse
from repoman.server.response_cache import ResponseCache


class Pieces:
    """A body as werkzeug returns it: neither list nor tuple, and to be closed."""

    def __init__(self, *pieces):
        self._pieces = iter(pieces)
        self.closed = 0

    def __iter__(self):
        return self._pieces

    def close(self):
        self.closed += 1


def raw(method="GET", path="/v2/", version="1.1", headers=()):
    """Return a request as a client sends it."""
    lines = (f"{method} {path} HTTP/{version}", "Host: x", *headers, "", "")
    return "\r\n".join(lines).encode()


class Server:
    """An application whose responses may be repeated, in front of it the memory."""

    def __init__(self):
        self.topics = Topics()
        self.status, self.headers = "200 OK", [("Content-Length", "5")]
        self.body = [b"hello"]
        self.calls = 0
        self.notes = []
        self.pulls = 0
        self.address = None
        self.open = self.reopen = None  # how the body is opened, where it is a file
        self.budget = CacheBudget()
        self.responses = ResponseCache(self._application, self.budget)

    def _application(self, environ, start_response):
        self.calls += 1
        read = begin_request(environ, self.topics)
        if read is not None:
            read["content:1"] = self.topics.number("content:1")
        environ[CACHEABLE] = environ[BEGUN]
        environ[CACHEABLE].note = self.notes.append
        environ[CACHEABLE].note_pull = self._note_pull
        environ[CACHEABLE].address = self.address
        environ[CACHEABLE].reopen = self.reopen
        start_response(self.status, self.headers)
        return self.body if self.open is None else FileResponse(self.open("rb"))

    def _note_pull(self):
        self.pulls += 1

    def send(self, connector="c:http", method="GET", **request):
        """Send a request to a worker, as a server does that knows no answer."""
        environ = {
            "repoman.connector": connector,
            "REQUEST_METHOD": method,
            "REMOTE_ADDR": "192.0.2.1",
            RAW_REQUEST: raw(method=method, **request),
        }
        body = self.responses(environ, lambda *_: None)
        with closing(body) if self.open is not None else nullcontext():
            return b"".join(body)

    def ask(self, **request):
        """Send a request twice, for the second time makes it worth to be kept."""
        body = self.body
        self.body = []
        self.send(**request)
        self.body = body
        return self.send(**request)

    def recall(self, connector="c:http", client="192.0.2.1", **request):
        """Return what the memory has for a request."""
        return self.responses.answer(connector, raw(**request), client)


@pytest.fixture
def server():
    return Server()


def body_of(response):
    return response.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("body", [[b"hel", b"lo"], (b"hello",), Pieces(b"hello")])
def test_get_is_repeated(server, body):
    server.body = body
    assert server.ask() == b"hello"
    assert server.recall().startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")
    assert body_of(server.recall()) == b"hello"
    assert server.calls == 2


def test_what_came_once_is_not_kept(server):
    server.send()
    assert server.recall() is None
    server.send(connector="d:http")
    assert server.recall() is None
    server.send()
    assert server.recall()


def test_what_came_once_is_forgotten_in_time(server, monkeypatch):
    monkeypatch.setattr(cache_module, "SEEN_ONCE_MAX", 10)
    for number in range(20):
        server.send(path=f"/{number}")
    server.send(path="/0")
    assert server.recall(path="/0") is None


@pytest.mark.parametrize("pieces", [(), (b"",), (b"", b"")])
def test_head_is_repeated_with_the_length_of_what_it_does_not_send(server, pieces):
    server.body = Pieces(*pieces)
    server.ask(method="HEAD")
    response = server.recall(method="HEAD")
    assert b"\r\nContent-Length: 5\r\n" in response
    assert body_of(response) == b""
    assert server.body.closed == 1


def test_unchanged_is_repeated_without_a_body(server):
    server.status, server.headers, server.body = "304 Not Modified", [("ETag", '"x"')], Pieces()
    server.ask(headers=['If-None-Match: "x"'])
    response = server.recall(headers=['If-None-Match: "x"'])
    assert response.startswith(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n')
    assert body_of(response) == b""


def test_body_that_is_taken_is_closed_also_when_it_fails(server):
    def fail():
        yield b"he"
        raise ZeroDivisionError

    server.body = Pieces()
    server.body._pieces = fail()
    with pytest.raises(ZeroDivisionError):
        server.ask()
    assert server.body.closed == 1
    assert server.recall() is None


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        ("200 OK", [], [b"hello"]),  # the connection would not know where it ends
        ("200 OK", [("Content-Length", "6")], [b"hello"]),
        ("200 OK", [("Content-Length", "70000")], [b"x" * 70_000]),
        ("206 Partial Content", [("Content-Length", "5")], [b"hello"]),
        ("404 Not Found", [("Content-Length", "5")], [b"hello"]),
        ("401 Unauthorized", [("Content-Length", "5")], [b"hello"]),
    ],
)
def test_what_is_not_kept(server, status, headers, body):
    server.status, server.headers, server.body = status, headers, body
    assert server.ask() == b"".join(body)
    assert server.recall() is None


def test_files_and_large_streams_are_handed_on_untouched(server, tmp_path):
    (tmp_path / "file").write_bytes(b"hello")
    with (tmp_path / "file").open("rb") as file:
        server.body = FileResponse(file)
        assert server.ask() == b"hello"
        assert server.recall() is None
    server.headers, server.body = [("Content-Length", "70000")], Pieces(b"x" * 70_000)
    assert len(server.ask()) == 70_000
    assert server.body.closed == 0  # that is the server's


@pytest.fixture
def file(server, tmp_path):
    """A file that is the body, and can be opened again."""
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    server.open = path.open

    def reopen():
        if not path.exists():
            raise NotFound("It is gone.")
        return path.open("rb")

    server.reopen = reopen
    return path


def test_a_file_is_opened_again_without_the_application(server, file):
    assert [server.send() for _ in range(5)] == [b"hello"] * 5
    assert server.calls == 2
    assert server.notes == ["192.0.2.1"] * 3
    assert server.pulls == 3
    assert server.recall() is None  # that would be the main loop's
    server.topics.publish({"content:1": 1})
    assert server.send() == b"hello"
    assert server.calls == 3


@pytest.mark.parametrize("name", ["time", "file", "status", "address", "nothing"])
def test_a_file_is_asked_for_where_that_could_be_wrong(server, file, monkeypatch, name):
    if name == "time":
        monkeypatch.setattr(caching_module, "LIFETIME_S", 0.0)
    elif name == "status":
        server.status = "206 Partial Content"
    elif name == "address":
        server.address = "192.0.2.7"
    elif name == "nothing":
        server.reopen = None
    for _ in range(3):
        server.send()
    if name == "file":
        server.open = file.rename(file.with_name("other")).open
    calls = server.calls
    assert server.send() == b"hello"
    assert server.calls == calls + 1
    assert server.notes == ([] if name != "file" else ["192.0.2.1"])


def test_files_are_bounded_and_go_on(server, file):
    server.budget.resize(100_000)
    for number in range(40):
        for _ in range(2):
            server.send(path=f"/{number}")
    assert server.budget.used <= 100_000
    calls = server.calls
    server.send(path="/39")
    assert server.calls == calls


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_not_kept(server, method):
    server.ask(method=method)
    assert server.recall(method=method) is None


@pytest.mark.parametrize(
    "other",
    [
        {"connector": "c:https"},
        {"connector": "d:http"},
        {"method": "HEAD"},
        {"path": "/v2"},
        {"path": "/v2/?n=1"},
        {"version": "1.0"},
        {"headers": ["Accept: a"]},
        {"headers": ["Accept: b", "Authorization: Basic x"]},
        {"headers": ["Accept: b", "If-None-Match: x"]},
        {"headers": ["Accept: b", "X-Forwarded-For: x"]},
        {"headers": ["Accept: b", "Content-Length: 1"]},
        {"headers": []},
    ],
)
def test_another_request_is_not_answered(server, other):
    server.ask(headers=["Accept: b"])
    assert server.recall(headers=["Accept: b"])
    assert server.recall(**{"headers": ["Accept: b"], **other}) is None


@pytest.mark.parametrize(
    "name", [f"X-Forwarded-{each}" for each in ("For", "Proto", "Host", "Port", "Prefix")]
)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_what_means_one_thing_from_a_trusted_proxy_and_nothing_from_others_is_not_kept(
    server, name, spell
):
    headers = ["Accept: b", f"{spell(name)}: x"]
    server.ask(headers=headers)
    assert server.recall(headers=headers) is None


@pytest.mark.parametrize(
    "header",
    ["Connection: close", "connection:close", "Connection: keep-alive, x", "Connection: Upgrade"],
)
def test_what_speaks_of_the_connection_is_not_kept(server, header):
    server.ask(headers=[header])
    assert server.recall(headers=[header]) is None


@pytest.mark.parametrize("header", ["Connection: keep-alive", "connection:Keep-Alive"])
def test_what_has_the_connection_stay_as_it_does_anyhow_is_kept(server, header):
    server.ask(headers=[header])
    assert server.recall(headers=[header])
    assert server.recall() is None


def test_older_http_is_not_kept(server):
    server.ask(version="1.0")
    assert server.recall(version="1.0") is None


def test_request_with_a_body_is_not_kept(server):
    environ = {"repoman.connector": "c:http", "REQUEST_METHOD": "GET"}
    for _ in range(3):
        server.responses(environ, lambda *_: None)
    assert server.responses.answer("c:http", b"", "192.0.2.1") is None


def test_long_requests_are_not_kept(server):
    for size, is_kept in ((4_000, True), (4_096, False)):
        headers = ["Authorization: " + "x" * size]
        server.ask(headers=headers)
        assert bool(server.recall(headers=headers)) is is_kept


def test_the_next_write_ends_it(server):
    server.ask()
    server.topics.publish({"content:1": 1})
    assert server.recall() is None
    server.ask()
    assert server.recall()


def test_time_ends_it(server, monkeypatch):
    monkeypatch.setattr(caching_module, "LIFETIME_S", 0.0)
    server.ask()
    assert server.recall() is None


def test_what_is_bound_to_an_address_is_for_nobody_else(server):
    server.address = "192.0.2.7"
    server.ask()
    assert server.recall(client="192.0.2.7")
    assert server.recall(client="192.0.2.8") is None


def test_each_time_is_noted_with_its_client(server):
    server.ask()
    server.recall(client="192.0.2.7")
    server.recall(client="192.0.2.8")
    assert server.notes == ["192.0.2.7", "192.0.2.8"]


def test_memory_is_bounded_and_goes_on(server):
    server.budget.resize(100_000)
    server.headers, server.body = [("Content-Length", "10000")], [b"x" * 10_000]
    paths = [f"/{number}" for number in range(20)]
    for path in paths:
        server.ask(path=path)
    kept = [path for path in paths if server.recall(path=path)]
    assert 0 < len(kept) < 10
    assert kept[-1] == paths[-1]


def test_long_requests_count(server):
    server.budget.resize(100_000)
    many = [{"path": f"/{number}", "headers": ["Accept: " + "x" * 4_000]} for number in range(40)]
    for request in many:
        server.ask(**request)
    assert sum(server.recall(**request) is not None for request in many) < 20
