"""A hub in a thread and a raw client: what the tests of the server need."""

import contextlib
import threading
import time
from pathlib import Path

import pytest

from repoman.config import ServerSettings
from repoman.server.hub import Hub
from tests.server.client import Client

TICK = 0.02  # seconds between looks at deadlines, so that tests need not wait for them


class Service:
    """A running hub with one listener called ``main``."""

    def __init__(self, application, spool, tls=None, **settings):
        self.settings = ServerSettings(**{"threads": 4, "drain_timeout": 5, **settings})
        self.hub = Hub(application, self.settings, spool, tick=TICK)
        self.listener = self.hub.add_listener("main", "127.0.0.1", 0, tls)
        self.port = self.listener.port
        self.thread = threading.Thread(target=self.hub.run, name="hub")
        self.thread.start()

    def connect(self, port=None, **options):
        return Client(port or self.port, **options)

    def stop(self, drain=1.0):
        self.hub.shutdown(drain)
        self.thread.join(10)
        assert not self.thread.is_alive(), "the hub does not stop"


@pytest.fixture
def serve(tmp_path):
    """Return a function that starts a hub for an application; all are stopped at the end."""
    services = []

    def start(application, **options):
        service = Service(application, tmp_path, **options)
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
    """Return what is open in this process, by number and name."""
    found = set()
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            found.add((entry.name, str(entry.readlink())))
    return {(fd, name) for fd, name in found if not name.startswith("/proc/")}


def eventually(condition, timeout=5.0, what=lambda: "the condition never came true"):
    """Wait until the condition holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.005)
