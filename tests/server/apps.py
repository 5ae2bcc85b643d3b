"""WSGI applications to serve in tests."""

import hashlib
import threading
import time

from repoman.errors import RepomanError, TooLarge
from repoman.http.body import ADMISSION, read_body, receive_body
from tests.clock import LONG_S


class Sink:
    """Counts and hashes; remembers how it was treated."""

    def __init__(self, error=None, error_at=None):
        self.size = 0
        self.hash = hashlib.sha256()
        self.closed = 0
        self.closed_by = None
        self.writers = set()
        self.error = error
        self.error_at = error_at

    def __len__(self):  # falsy while empty: must not matter
        return self.size

    def check_room(self, size):
        pass

    def write(self, data):
        if self.error is not None and self.size + len(data) > self.error_at:
            raise self.error
        self.writers.add(threading.current_thread().name)
        self.size += len(data)
        self.hash.update(data)

    def close(self):
        self.closed += 1
        self.closed_by = threading.current_thread().name


class Uploads:
    """Takes PUT into sinks; ``/buffered`` reads at most 1,000,000 bytes; remembers everything."""

    def __init__(self, **sink_options):
        self.sink_options = sink_options
        self.sinks = []
        self.admissions = 0
        self.calls = []  # environments of the calls that were no admission
        self.unclaimed = False  # do not ask for the body in the second call

    def __call__(self, environ, start_response):
        if ADMISSION in environ:
            self.admissions += 1
        else:
            self.calls.append(environ)
        try:
            status, body = self.route(environ)
        except RepomanError as error:
            status = "413 Too Large" if isinstance(error, TooLarge) else "507 Insufficient Storage"
            body = f"{type(error).__name__}: {error}".encode()
        start_response(status, [("Content-Length", str(len(body)))])
        return [body]

    def route(self, environ):
        path = environ["PATH_INFO"]
        if path == "/refused":
            return "401 Unauthorized", b"who are you?"
        if path == "/buffered":
            return "200 OK", read_body(environ, 1_000_000)
        if environ["REQUEST_METHOD"] == "GET":
            return "200 OK", b"got " + path.encode()
        if self.unclaimed and ADMISSION not in environ:
            return "404 Not Found", b"gone meanwhile"
        sink = receive_body(environ, self.open)
        return "201 Created", sink.hash.hexdigest().encode()

    def open(self):
        sink = Sink(**self.sink_options)
        self.sinks.append(sink)
        return sink


def hello(environ, start_response):
    """Answers any request with a few bytes."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def echo_connector(environ, start_response):
    """Tells by which connector and scheme a request came."""
    text = f"{environ['repoman.connector']} {environ['wsgi.url_scheme']}".encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


class Slow:
    """Answers ``/slow`` when it is allowed to, anything else at once."""

    def __init__(self):
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            self.entered.set()
            assert self.go_on.wait(LONG_S)
        return hello(environ, start_response)


class Files:
    """Answers with the file at ``path``; query ``offset,length`` selects a slice."""

    def __init__(self, path):
        self.path = path
        self.closed = threading.Event()

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/small":
            return hello(environ, start_response)
        file = self.path.open("rb", buffering=0)
        size = self.path.stat().st_size
        offset, length = 0, size
        if environ["QUERY_STRING"]:
            offset, length = map(int, environ["QUERY_STRING"].split(","))
        file.seek(offset)
        start_response("200 OK", [("Content-Length", str(length))])
        return environ["wsgi.file_wrapper"](file)


def stream(count, size, pause=0.0):
    """Return an application that yields ``count`` pieces of ``size`` bytes, without a length."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        for number in range(count):
            time.sleep(pause)
            yield bytes([number % 256]) * size

    return application
