"""One HTTP connection of a client, as bare as possible."""

import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.peers import Peer

STALL = 120  # seconds
WINDOW = 1 << 24  # bytes asked for at a time; they are never copied


class Answer(NamedTuple):
    """The head of a response, and the bytes that came with it."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    rest: bytes

    @property
    def length(self) -> int:
        """Length of the body in bytes."""
        return int(self.headers.get("content-length", "0"))


class Wire:
    """A connection to a server, with the logins of the peer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.socket = socket.create_connection(("127.0.0.1", peer.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # in the kernel: it still blocks
            self.socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", STALL, 0))

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> None:
        """Send the head of a request, and a small body with it."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._peer.port}", *headers]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def read_head(self) -> Answer:
        """Read up to the end of the head of a response."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(4096)
            if not piece:
                raise ConnectionError(f"{self._peer.name} has closed the connection")
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        return Answer(int(first.split()[1]), headers, rest)

    def expect_head(self, expected: int) -> Answer:
        """Read up to the end of the head of a response, which must have the expected status."""
        answer = self.read_head()
        if answer.status != expected:
            raise RuntimeError(f"{self._peer.name} answered {answer}, not {expected}")
        return answer

    def finish(self, expected: int) -> Answer:
        """Read a whole response, which must have the expected status."""
        answer = self.expect_head(expected)
        self.skip(answer.length - len(answer.rest))
        return answer

    def skip(self, length: int) -> None:
        """Have the kernel drop bytes that arrive."""
        window = bytearray(min(WINDOW, max(length, 1)))
        while length > 0:
            count = self.socket.recv_into(window, min(length, WINDOW), socket.MSG_TRUNC)
            if count == 0:
                raise ConnectionError(f"{self._peer.name} has closed the connection")
            length -= count
