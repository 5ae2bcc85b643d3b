"""A client that sends exactly the bytes a test wants, and reads responses with care."""

import socket
import struct
from dataclasses import dataclass, field

from tests.clock import WAIT_S


@dataclass
class Response:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def closes(self):
        return self.headers.get("connection", "").lower() == "close"


class Client:
    """One connection."""

    def __init__(
        self, port, timeout=WAIT_S, tls=None, host="127.0.0.1", name="localhost", **options
    ):
        source = (options["source"], 0) if "source" in options else None
        self.socket = socket.create_connection((host, port), timeout, source)
        if options.get("receive_buffer"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["receive_buffer"])
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def reset(self):
        """Close so that the other side gets a reset."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, path, body=None, headers=(), version="1.1"):
        """Send a request; a body goes with Content-Length, a list of bytes in chunks."""
        lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
        if isinstance(body, bytes):
            lines.append(f"Content-Length: {len(body)}")
        elif body is not None:
            lines.append("Transfer-Encoding: chunked")
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*body, b""])
        self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    def get(self, path, **options):
        self.request("GET", path, **options)
        return self.read()

    def put(self, path, body, **options):
        self.request("PUT", path, body, **options)
        return self.read()

    def read(self, head_only=False):
        """Read one response; ``head_only`` for the answer to HEAD."""
        head = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value
        response = Response(int(head[0].split()[1]), headers)
        if not head_only and response.status not in (204, 304) and response.status >= 200:
            response.body = self._read_body(headers)
        return response

    def read_until(self, end):
        while end not in self.buffer:
            data = self.socket.recv(65536)
            assert data, f"the connection ended after {self.buffer[:200]!r}"
            self.buffer += data
        found, _, self.buffer = self.buffer.partition(end)
        return found + end

    def read_exactly(self, count):
        pieces = [self.buffer[:count]]
        self.buffer = self.buffer[count:]
        missing = count - len(pieces[0])
        while missing:
            data = self.socket.recv(min(missing, 1 << 20))
            assert data, f"the connection ended {missing} bytes too early"
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def read_rest(self):
        """Return everything until the server closes the connection."""
        pieces = [self.buffer]
        self.buffer = b""
        while data := self.socket.recv(1 << 20):
            pieces.append(data)
        return b"".join(pieces)

    def is_closed(self):
        """Wait for the server to close the connection; False if it sends something instead."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _read_body(self, headers):
        if "content-length" in headers:
            return self.read_exactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") == "chunked":
            return self._read_chunks()
        return self.read_rest()

    def _read_chunks(self):
        body = b""
        while size := int(self.read_until(b"\r\n"), 16):
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        assert self.read_until(b"\r\n") == b"\r\n"
        return body
