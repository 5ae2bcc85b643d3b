"""What one client does: it speaks to a socket and costs as little as possible itself."""

import mmap
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.layers import Blob
from benchmarks.peers import Peer
from benchmarks.programs import find

UPLOADS = "/v2/bench/layers/blobs/uploads/"
STALL = 120  # seconds
WINDOW = 1 << 24  # bytes asked for at a time; they are never copied
CHUNK = 1 << 15  # bytes per chunk, as docker sends them
BATCH = 16  # chunks per system call
PATIENCE = 1.0  # seconds after which a client with Expect sends its body without an answer
# The order in which docker, which is written in Go, offers its ciphers.
CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


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

    def ask(self, method: str, path: str, *headers: str) -> None:
        """Send the head of a request."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._peer.port}", *headers]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

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

    def finish(self, expected: int) -> Answer:
        """Read a whole response, which must have the expected status."""
        answer = self.read_head()
        if answer.status != expected:
            raise RuntimeError(f"{self._peer.name} answered {answer}, not {expected}")
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


def pull(peer: Peer, blob: Blob) -> int:
    """Download a blob and return its size."""
    with Wire(peer) as wire:
        wire.ask("GET", peer.blobs + blob.digest, *peer.login)
        return wire.finish(200).length


def pull_on(peer: Peer, blob: Blob, ready: Callable[[], None]) -> None:
    """Download a blob again and again."""
    pull(peer, blob)
    ready()
    while True:
        pull(peer, blob)


def pull_with_tls(peer: Peer, blob: Blob, authority: Path) -> int:
    """Download a blob with TLS and return its size."""
    command = [find("curl"), "--silent", "--show-error", "--fail", "--cacert", str(authority)]
    command += ["--tls13-ciphers", CIPHERS, "--output", "/dev/null", "--write-out"]
    command += ["%{size_download}", f"https://127.0.0.1:{peer.port}{peer.blobs}{blob.digest}"]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def push(peer: Peer, blob: Blob, *, chunked: bool) -> int:
    """Upload a blob as clients do, begin, send, commit, and return its size."""
    with Wire(peer) as wire:
        wire.ask("POST", UPLOADS, "Content-Length: 0", *peer.login)
        location = _path(wire.finish(202))
        kind = "Content-Type: application/octet-stream"
        if chunked:
            wire.ask("PATCH", location, "Transfer-Encoding: chunked", kind, *peer.login)
            _send_chunks(wire.socket, blob)
        else:
            wire.ask("PATCH", location, f"Content-Length: {blob.size}", kind, *peer.login)
            _send_plain(wire.socket, blob)
        location = _path(wire.finish(202))
        mark = "&" if "?" in location else "?"
        location += f"{mark}digest={blob.digest}"
        wire.ask("PUT", location, "Content-Length: 0", *peer.login)
        wire.finish(201)
    return blob.size


def _path(answer: Answer) -> str:
    parts = urlsplit(answer.headers["location"])
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _send_plain(connection: socket.socket, blob: Blob) -> None:
    with blob.path.open("rb") as file:
        position = 0
        while position < blob.file_size:
            count = blob.file_size - position
            position += os.sendfile(connection.fileno(), file.fileno(), position, count)
    connection.sendall(blob.tail)


def _send_chunks(connection: socket.socket, blob: Blob) -> None:
    step = CHUNK * BATCH
    with (
        blob.path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as bytes_of_file,
        memoryview(bytes_of_file) as view,
    ):
        for position in range(0, blob.file_size, step):
            with view[position : position + step] as piece:
                _send_pieces(connection, piece)
    connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(blob.tail), blob.tail))


def _send_pieces(connection: socket.socket, data: memoryview) -> None:
    parts: list[bytes | memoryview] = []
    for position in range(0, len(data), CHUNK):
        piece = data[position : position + CHUNK]
        parts += [b"%x\r\n" % len(piece), piece, b"\r\n"]
    size = sum(map(len, parts))
    if connection.sendmsg(parts) != size:
        raise ConnectionError("The server takes too long to take the body")


def push_unasked(peer: Peer, size: int) -> tuple[int, int, float]:
    """Upload without a login, with Expect.

    Returns the status, how many bytes of the body were sent before it came, and after how many
    seconds it came.
    """
    with Wire(peer) as wire:
        begin = time.monotonic()
        wire.ask("PUT", f"{UPLOADS}0", f"Content-Length: {size}", "Expect: 100-continue")
        sent = 0
        if not select.select([wire.socket], [], [], PATIENCE)[0]:
            sent = _send_until_answer(wire.socket, size)
        return wire.read_head().status, sent, time.monotonic() - begin


def _send_until_answer(connection: socket.socket, size: int) -> int:
    sent = 0
    while sent < size and not select.select([connection], [], [], 0)[0]:
        sent += connection.send(bytes(min(CHUNK, size - sent)))
    return sent


def hold_idle(peer: Peer, count: int, ready: Callable[[], None]) -> None:
    """Keep connections open that have asked once and then say nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            wire = stack.enter_context(Wire(peer))
            wire.ask("GET", "/v2/", *peer.login)
            wire.finish(200)
        ready()
        time.sleep(STALL)
