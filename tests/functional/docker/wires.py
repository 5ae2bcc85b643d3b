"""Two ways to the same registry: into the application in process, and over a socket."""

import http.client
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from werkzeug.datastructures import Headers

from repoman.testing import HttpClient

Body = bytes | Iterable[bytes] | None


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The errors in the body."""
        errors: list[dict[str, Any]] = self.json()["errors"]
        return errors

    @property
    def code(self) -> str:
        """The code of the first error, which is the one that clients show."""
        return str(self.errors[0]["code"])

    @property
    def message(self) -> str:
        """The text of the first error."""
        return str(self.errors[0]["message"])


class Wire(Protocol):
    """Sends a request; bytes with a length, other iterables in chunks without one."""

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = None
    ) -> Answer:
        """Return the answer to a request."""


class InProcess:
    """The application, called as our server calls it."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = None
    ) -> Answer:
        """Return the answer to a request."""
        environ: dict[str, Any] = {}
        options: dict[str, Any] = {"headers": dict(headers), "environ_overrides": environ}
        if isinstance(body, bytes):
            options["data"] = body
        elif body is not None:
            options["headers"]["Transfer-Encoding"] = "chunked"
            options["input_stream"] = io.BytesIO(b"".join(body))
            environ |= {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
        with self._client.request(method, target, login=False, **options) as response:
            return Answer(response.status_code, response.headers, response.data)


class Socket:
    """A port of 127.0.0.1; each request has its own connection, from the address ``source``."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.port = port
        self._source = (source, 0)

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = None
    ) -> Answer:
        """Return the answer to a request, also to one whose body is not wanted."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=self._source
        )
        with closing(connection):
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, Headers(response.getheaders()), response.read())


class Proxied:
    """A way through a proxy that speaks TLS under another name, and adds a path."""

    def __init__(self, wire: Wire, path: str) -> None:
        self._wire = wire
        self._path = path

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = None
    ) -> Answer:
        """Return the answer to a request, as the proxy passes it on."""
        assert target.startswith(f"{self._path}/")
        told = {
            "Host": "127.0.0.1:5001",
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "registry.example",
            "X-Forwarded-Prefix": self._path,
        }
        return self._wire.send(method, target.removeprefix(self._path), {**headers, **told}, body)
