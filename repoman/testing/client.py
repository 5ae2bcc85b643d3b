"""An HTTP client in process: the whole application, without a socket."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse
from werkzeug.wsgi import get_input_stream

from repoman.core import Repoman
from repoman.errors import RepomanError
from repoman.http.body import (
    ADMISSION,
    BODY_ERROR,
    CHUNK,
    RECEIVED,
    WSGI,
    BodyWanted,
    Environ,
    body_length,
)
from repoman.http.current import CONNECTOR
from repoman.http.router import create_application
from repoman.repositories.model import connector_key
from repoman.testing.factory import ADMIN


def after_admission(app: WSGI) -> WSGI:
    """Return the application under a server that calls it before it reads the body.

    This is the contract of :mod:`repoman.http.body`, seen from the server's side.
    """

    def serve(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if body_length(environ) == 0:
            return app(environ, start_response)
        try:
            return app({**environ, ADMISSION: True}, start_response)
        except BodyWanted as wanted:
            return app(environ | _receive(environ, wanted), start_response)

    return serve


def _receive(environ: Environ, wanted: BodyWanted) -> Environ:
    if wanted.sink is None:
        return {}
    stream = get_input_stream(environ)
    try:
        while data := stream.read(CHUNK):
            wanted.sink.write(data)
    except RepomanError as error:
        return {RECEIVED: wanted.sink, BODY_ERROR: error}
    return {RECEIVED: wanted.sink}


@lru_cache(maxsize=1)  # One Repoman runs in a process.
def application_of(repoman: Repoman) -> WSGI:
    """Return the one application of a started Repoman, as :func:`after_admission` serves it.

    Clients share it, as they share a server: making it takes longer than most tests.
    """
    return after_admission(_plain_application_of(repoman))


@lru_cache(maxsize=1)
def _plain_application_of(repoman: Repoman) -> WSGI:
    return create_application(repoman)


class HttpClient:
    """Sends requests to a started Repoman.

    Args:
        repoman: the one to ask.
        connector: the repository whose connector is meant; None for the main port.
        admission: whether requests are admitted before their body is read, as the product's own
            server does, or read in place, as any WSGI server does.
    """

    def __init__(
        self, repoman: Repoman, *, connector: str | None = None, admission: bool = True
    ) -> None:
        self._client = Client((application_of if admission else _plain_application_of)(repoman))
        self._environ = {"REMOTE_ADDR": "127.0.0.1"}
        if connector is not None:
            self._environ[CONNECTOR] = connector_key(connector, "http")

    def wrap(self, wrapper: Callable[[WSGI], WSGI]) -> None:
        """Send requests to what a wrapper makes of the application."""
        self._client.application = wrapper(self._client.application)

    def request(
        self, method: str, path: str, *, login: bool = True, **options: Any
    ) -> TestResponse:
        """Send a request as the user ADMIN, or without a login.

        ``options`` are those of :class:`werkzeug.test.EnvironBuilder`: data, headers, auth, …
        """
        options.setdefault("auth", ADMIN if login else None)
        options["environ_overrides"] = options.get("environ_overrides", {}) | self._environ
        return self._client.open(path, method=method, buffered=True, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        """Send a GET."""
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> TestResponse:
        """Send a HEAD."""
        return self.request("HEAD", path, **options)

    def put(self, path: str, data: bytes = b"", **options: Any) -> TestResponse:
        """Send a PUT with a body."""
        return self.request("PUT", path, data=data, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        """Send a DELETE."""
        return self.request("DELETE", path, **options)


@pytest.fixture(name="client")
def http_client(repoman: Repoman) -> HttpClient:
    """Return a client of the main port of the fixture ``repoman``."""
    return HttpClient(repoman)


@pytest.fixture(name="client", params=["admitted first", "read in place"])
def both_http_clients(repoman: Repoman, request: pytest.FixtureRequest) -> HttpClient:
    """Return the same, once for each way in which a server passes on a body."""
    return HttpClient(repoman, admission=request.param == "admitted first")
