"""A remote on loopback for the tests of proxies: files by path, and faults on demand."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

WAIT_S = 30.0  # A request waits at the gate for so long at most.


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What a remote sends for a path; ``etag`` is made of the bytes where it is empty."""

    data: bytes
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The validator of these bytes."""
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'


@dataclass
class RemoteServer:
    """A server of files; tests change it while it runs.

    Attributes:
        files: by decoded path.
        status: answered in place of everything; 0: nothing special.
        is_short: whether bodies end too early.
        excess: sent behind each body, past the length that was announced.
        gate: requests wait until it is open.
        asked: the decoded paths of all requests.
    """

    url: str = ""
    files: dict[str, RemoteFile] = field(default_factory=dict)
    status: int = 0
    is_short: bool = False
    excess: bytes = b""
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def find(self, path: str) -> RemoteFile | None:
        """Return the file at a path."""
        return self.files.get(path)

    def reset(self) -> None:
        """Have no files and no faults, and forget what was asked."""
        self.files, self.status, self.is_short, self.excess = {}, 0, False, b""
        self.gate.set()
        self.asked.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = WAIT_S
    remote: RemoteServer

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self) -> None:
        remote, path = self.remote, unquote(urlsplit(self.path).path)
        remote.asked.append(path)
        remote.gate.wait(WAIT_S)
        file = remote.find(path)
        if remote.status:
            self._send(remote.status)
        elif file is None:
            self._send(HTTPStatus.NOT_FOUND)
        elif self.headers.get("If-None-Match") == file.etag:
            self._send(HTTPStatus.NOT_MODIFIED, {"ETag": file.etag})
        else:
            self._send_file(file)

    def _send_file(self, file: RemoteFile) -> None:
        headers = {"Content-Type": file.media_type, "ETag": file.etag, **file.headers}
        body = file.data[: len(file.data) // 2] if self.remote.is_short else file.data
        self._send(HTTPStatus.OK, headers, len(file.data))
        if self.command != "HEAD":
            self.wfile.write(body + self.remote.excess)
        self.close_connection = self.remote.is_short

    def _send(self, status: int, headers: Mapping[str, str] | None = None, length: int = 0) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(length))
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Take it as it is that clients go away."""


@contextmanager
def remote_server() -> Iterator[RemoteServer]:
    """Serve files until the block ends."""
    remote = RemoteServer()
    remote.reset()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"remote": remote}))
    remote.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield remote
    finally:
        remote.gate.set()
        server.shutdown()
        server.server_close()
