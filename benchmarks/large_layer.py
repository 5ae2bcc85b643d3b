"""Push and pull one very large layer, and watch how much memory the server takes meanwhile.

Run by hand: ``python -m benchmarks.large_layer [GiB]``. The layer is made while it is sent and
hashed while it comes back, so that the client needs no memory for it either. It lies in the
directory for temporary files, which needs room for it.
"""

import argparse
import hashlib
import secrets
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.live import LiveServer, live_server

MIB = 1 << 20
NAME = "large/layer"
SAMPLES = 0.05  # seconds from one look at the memory to the next


class Memory:
    """The resident memory of a process, in bytes, looked at again and again."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before = self.now()
        self.highest = self.before

    def now(self) -> int:
        """What the process has at present."""
        return self._read("VmRSS")

    def peak(self) -> int:
        """The most that the process ever had, by the kernel's own account."""
        return self._read("VmHWM")

    def _read(self, key: str) -> int:
        for line in self._status.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"{self._status} has no {key}")

    def _watch(self) -> None:
        while not self._stopping.wait(SAMPLES):
            self.highest = max(self.highest, self.now())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()


class Layer:
    """Bytes that no compression makes smaller, given out piece by piece."""

    def __init__(self, mebibytes: int) -> None:
        self.size = mebibytes * MIB
        self._pieces = mebibytes
        self._noise = secrets.token_bytes(MIB)
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._pieces):
            piece = number.to_bytes(8, "big") + self._noise[8:]
            self._hash.update(piece)
            yield piece

    @property
    def digest(self) -> str:
        """The digest, once all pieces are given out."""
        return f"sha256:{self._hash.hexdigest()}"


class Client:
    """One connection to the connector, logged in."""

    def __init__(self, server: LiveServer) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.connector_port, timeout=600)
        login = b64encode(":".join(server.admin).encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    def send(self, method: str, path: str, wanted: int, body: Layer | None = None) -> HTTPResponse:
        """Send a request, a body in chunks as docker does, and return the answer."""
        target = urlsplit(path)._replace(scheme="", netloc="").geturl()
        self._connection.request(method, target, body, self._headers)
        answer = self._connection.getresponse()
        if answer.status != wanted:
            raise SystemExit(f"{method} {path}: {answer.status} {answer.read()!r}")
        return answer


def push(client: Client, layer: Layer) -> tuple[float, float]:
    """Upload the layer; return the seconds of all of it and of its last request."""
    begin = time.monotonic()
    answer = client.send("POST", f"/v2/{NAME}/blobs/uploads/", 202)
    answer.read()
    answer = client.send("PATCH", answer.headers["Location"], 202, layer)
    answer.read()
    end = time.monotonic()
    client.send("PUT", f"{answer.headers['Location']}?digest={layer.digest}", 201).read()
    return time.monotonic() - begin, time.monotonic() - end


def pull(client: Client, layer: Layer) -> float:
    """Download the layer, check it, and return the seconds."""
    begin = time.monotonic()
    answer = client.send("GET", f"/v2/{NAME}/blobs/{layer.digest}", 200)
    received = hashlib.sha256()
    buffer = memoryview(bytearray(MIB))
    while count := answer.readinto(buffer):
        received.update(buffer[:count])
    if f"sha256:{received.hexdigest()}" != layer.digest:
        raise SystemExit("The layer came back with another digest.")
    return time.monotonic() - begin


def measure(server: LiveServer, mebibytes: int) -> None:
    """Print one line for each figure."""
    client, layer = Client(server), Layer(mebibytes)
    with Memory(server.process.pid) as memory:
        seconds, last = push(client, layer)
        rate = layer.size / 1e6
        print(f"push                  {seconds:8.1f} s   {rate / seconds:6.0f} MB/s")
        print(f"  its last request    {last:8.3f} s")
        seconds = pull(client, layer)
        print(f"pull                  {seconds:8.1f} s   {rate / seconds:6.0f} MB/s")
    print(f"memory before         {memory.before / 1e6:8.0f} MB")
    print(f"memory, highest       {max(memory.highest, memory.peak()) / 1e6:8.0f} MB")


def main() -> None:
    """Start a server in a temporary directory and measure it."""
    parser = argparse.ArgumentParser(description="Push and pull one very large layer.")
    parser.add_argument("gibibytes", type=float, nargs="?", default=5.0)
    mebibytes = int(parser.parse_args().gibibytes * 1024)
    with tempfile.TemporaryDirectory() as directory, live_server(Path(directory)) as server:
        measure(server, mebibytes)


if __name__ == "__main__":
    main()
