"""A server in a thread and a raw client: what the tests of the server need."""

import contextlib
import fcntl
import struct
import threading
from pathlib import Path

import pytest

from repoman.config import ServerSettings
from repoman.server.server import Server
from tests.clock import WAIT_S
from tests.clock import wait_until as eventually
from tests.server.client import Client

SIOCOUTQNSD = 0x894B  # bytes that a socket has not sent yet
TICK = 0.02  # seconds between looks at deadlines, so that tests need not wait for them


class Running:
    """A running server with one listener called ``main``."""

    def __init__(self, application, spool, tls=None, **settings):
        self.settings = ServerSettings(**{"threads": 4, "drain_timeout": WAIT_S, **settings})
        self.server = Server(application, self.settings, spool, tick=TICK)
        self.listener = self.server.add_listener("main", "127.0.0.1", 0, tls)
        self.port = self.listener.port
        self.thread = threading.Thread(target=self.server.run, name="server")
        self.thread.start()

    def connect(self, port=None, **options):
        return Client(port or self.port, **options)

    def age(self, seconds=1000.0, connections=None):
        """Let time pass for connections; return when the server has closed what is overdue."""
        for connection in list(self.listener.connections) if connections is None else connections:
            connection.opened -= seconds
            connection.progress.since -= seconds
            connection.reader.started -= seconds
        finish_calls(self.server.main, self.server._tick)
        for loop in (self.server.main, *self.server._bulk):
            finish_calls(loop)

    def stop(self, drain=1.0):
        self.server.shutdown(drain)
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive(), "the server does not stop"


def finish_calls(loop, *calls):
    """Return when a loop has done these calls and what it was asked for before."""
    done = threading.Event()
    for call in (*calls, done.set):
        loop.call(call)
    assert done.wait(WAIT_S)


def wait_until_full(service):
    """Return how many bytes the kernel keeps for the only client, which does not read, at last."""
    eventually(lambda: service.listener.connections)
    [connection] = service.listener.connections
    seen = []

    def has_settled():
        seen.append(struct.unpack("i", fcntl.ioctl(connection.fd, SIOCOUTQNSD, bytes(4)))[0])
        return seen[-1] and set(seen[-20:]) == {seen[-1]}

    eventually(has_settled)
    return seen[-1]


@pytest.fixture
def serve(tmp_path):
    """Return a function that starts a server for an application; all are stopped at the end."""
    services = []

    def start(application, **options):
        service = Running(application, tmp_path, **options)
        services.append(service)
        return service

    before = open_files()
    yield start
    while services:
        services.pop().stop()
    eventually(lambda: open_files() <= before, what=lambda: f"leaked {open_files() - before}")


@pytest.fixture
def connect():
    """Return a function that opens a client; all are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda service, **options: stack.enter_context(
            contextlib.closing(service.connect(**options))
        )


def open_files():
    """Return what is open in this process, by number and name.

    Whether a file has a name on the disk does not count: that of another test's database, which is
    open until its objects are collected, goes at any time.
    """
    found = set()
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            found.add((entry.name, str(entry.readlink()).removesuffix(" (deleted)")))
    return {(fd, name) for fd, name in found if not name.startswith("/proc/")}
