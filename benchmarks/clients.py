"""What one client does, at as little cost as possible: pull, push, ask for too much, be idle."""

import mmap
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.layers import Blob
from benchmarks.peers import Peer
from benchmarks.wire import STALL, Answer, Wire
from tests.programs import find_program

UPLOADS = "/v2/bench/layers/blobs/uploads/"
CHUNK = 1 << 15  # bytes per chunk, as docker sends them
BATCH = 16  # chunks per system call
PATIENCE = 1.0  # seconds after which a client with Expect sends its body without an answer
# The order in which docker, which is written in Go, offers its ciphers.
CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


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
    command = [
        find_program("curl"),
        "--silent",
        "--show-error",
        "--fail",
        "--cacert",
        str(authority),
    ]
    command += ["--tls13-ciphers", CIPHERS, "--output", "/dev/null", "--write-out"]
    command += ["%{size_download}", f"https://127.0.0.1:{peer.port}{peer.blobs}{blob.digest}"]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def push(peer: Peer, blob: Blob, *, chunked: bool) -> int:
    """Upload a blob as clients do, begin, send, commit, and return its size."""
    with Wire(peer) as wire:
        wire.ask("POST", UPLOADS, "Content-Length: 0", *peer.login)
        location = upload_path(wire.finish(202))
        kind = "Content-Type: application/octet-stream"
        if chunked:
            wire.ask("PATCH", location, "Transfer-Encoding: chunked", kind, *peer.login)
            _send_chunks(wire.socket, blob)
        else:
            wire.ask("PATCH", location, f"Content-Length: {blob.size}", kind, *peer.login)
            _send_plain(wire.socket, blob)
        location = upload_path(wire.finish(202))
        mark = "&" if "?" in location else "?"
        location += f"{mark}digest={blob.digest}"
        wire.ask("PUT", location, "Content-Length: 0", *peer.login)
        wire.finish(201)
    return blob.size


def upload_path(answer: Answer) -> str:
    """Return the address of an upload, without the server."""
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
