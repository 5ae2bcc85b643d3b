"""Requests as attackers write them: bytes on a socket, and what comes back as it came."""

import base64
import re
import socket
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser

from tests.clock import WAIT_S

LIMIT = 32 << 20  # bytes of an answer


@dataclass(frozen=True)
class Answer:
    """One response; ``raw`` is all that the connection brought."""

    status: int
    headers: Message
    body: bytes
    raw: bytes

    @property
    def is_page(self) -> bool:
        """Whether a browser would show it as a page."""
        return self.headers.get("Content-Type", "").startswith("text/html")


def send(port: int, data: bytes) -> Answer:
    """Send bytes, close our side, and return the first response of all that came."""
    raw = exchange(port, data)
    head, _, body = raw.partition(b"\r\n\r\n")
    line, _, fields = head.decode("latin-1").partition("\r\n")
    assert re.match(r"HTTP/1\.[01] \d{3} ", line), raw[:200]
    return Answer(int(line.split()[1]), Parser().parsestr(fields), body, raw)


def exchange(port: int, data: bytes) -> bytes:
    """Send bytes and return what comes until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        raw = b""
        while len(raw) < LIMIT and (piece := connection.recv(1 << 16)):
            raw += piece
    return raw


def login_field(login: tuple[str, str]) -> str:
    """Return the header line of a name and a password."""
    return "Authorization: Basic " + base64.b64encode(":".join(login).encode()).decode()


def request(
    method: str,
    target: str,
    *fields: str,
    login: tuple[str, str] | None = None,
    body: bytes | None = None,
    host: str = "127.0.0.1",
) -> bytes:
    """Return the bytes of a request; the target goes out as it is."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *fields]
    if login is not None:
        lines.append(login_field(login))
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + (body or b"")
