"""An HTTP server on loopback whose answers a test writes: the shapes that real registries have.

Unlike :mod:`tests.fakes.registry` it knows no protocol and may break every rule of HTTP.
"""

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request; ``target`` byte for byte as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters, decoded."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def authorization(self) -> str | None:
        """How the client logs in."""
        return self.headers.get("Authorization")


@dataclass(frozen=True)
class Reply:
    """An answer.

    Args:
        headers: in order; a name may come several times.
        is_chunked: without a length, in chunks.
        is_old: HTTP/1.0, without a length; the connection ends with the body.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=())
    is_chunked: bool = False
    is_old: bool = False


def reply(status: int = 200, body: Any = b"", **headers: str) -> Reply:
    """An answer; underscores in the names of headers are dashes, and objects become JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, data, tuple((k.replace("_", "-"), v) for k, v in headers.items()))


BREAK = None  # in place of a reply: the connection ends without an answer
Answer = Callable[[Asked], Reply | None]


class Scripted:
    """A server that answers by a function, and its log of requests."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.log: list[Asked] = []
        handler = type("Handler", (_Handler,), {"script": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def asked(self, text: str) -> list[Asked]:
        """The requests with this in ``METHOD target``."""
        return [each for each in self.log if text in f"{each.method} {each.target}"]

    def paths(self, beginning: str = "/") -> list[str]:
        """The paths of all requests that begin so."""
        return [each.path for each in self.log if each.path.startswith(beginning)]


class _Handler(BaseHTTPRequestHandler):
    script: Scripted
    timeout = 30

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        # http.client of the server joins nothing and normalises nothing: requestline is as sent.
        target = self.requestline.split(" ")[1]
        asked = Asked(self.command, target, dict(self.headers), self.rfile.read(length))
        self.script.log.append(asked)
        found = self.script.answer(asked)
        if found is None:
            self.close_connection = True
            return
        self.protocol_version = "HTTP/1.0" if found.is_old else "HTTP/1.1"
        self.send_response_only(found.status)
        for name, value in found.headers:
            self.send_header(name, value)
        if found.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif found.is_old:
            self.close_connection = True
        elif "content-length" not in {name.lower() for name, _ in found.headers}:
            self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(_chunks(found.body) if found.is_chunked else found.body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()


_Handler.protocol_version = "HTTP/1.1"


def _chunks(body: bytes) -> bytes:
    parts = [body[start : start + 700] for start in range(0, len(body), 700)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@contextmanager
def scripted(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """A server that runs until the end of the block."""
    server = Scripted(answer, tls)
    try:
        yield server
    finally:
        server.stop()


def digest(data: bytes) -> str:
    """The digest by which content is known."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
