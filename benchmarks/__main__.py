"""Measure one server process over loopback; the clients share the processors with it.

The figures compare two states of the code on one machine and nothing else.
"""

import http.client
import secrets
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from tests.e2e.registry import MANIFEST, Registry, digest_of
from tests.live import LiveServer, live_server

SECONDS = 5.0
CLIENTS = 8
BLOB = 64_000_000  # bytes
ROUNDS = 5


class Client:
    """One connection that stays open, logged in."""

    def __init__(self, server: LiveServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.connector_port)
        login = b64encode(":".join(server.admin).encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Accept": MANIFEST}

    def get(self, path: str) -> int:
        """Fetch and return the number of bytes."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        size = 0
        while data := answer.read(1 << 20):
            size += len(data)
        assert answer.status == 200
        return size


def requests_per_second(server: LiveServer, path: str, clients: int) -> float:
    """Answers to one small request in a second, with so many clients at once."""
    counts = [0] * clients
    end = time.monotonic() + SECONDS

    def work(number: int) -> None:
        client = Client(server)
        while time.monotonic() < end:
            client.get(path)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def megabytes_per_second(transfer: Callable[[], object]) -> float:
    """The best of some transfers of one blob."""

    def seconds() -> float:
        begin = time.monotonic()
        transfer()
        return time.monotonic() - begin

    return BLOB / 1e6 / min(seconds() for _ in range(ROUNDS))


def measure(server: LiveServer) -> None:
    """Print one line for each figure."""
    registry = Registry(f"http://{server.registry}", server.admin)
    registry.push_image("team/app", "1", b"layer")
    for clients in (1, CLIENTS):
        rate = requests_per_second(server, "/v2/team/app/manifests/1", clients)
        print(f"GET manifest, {clients} clients  {rate:10.0f} requests/s")
    content = secrets.token_bytes(BLOB)

    def push() -> None:
        registry.push_blob("team/app", secrets.token_bytes(16) + content[16:])

    print(f"push of one layer        {megabytes_per_second(push):10.0f} MB/s")
    registry.push_blob("team/app", content)
    path = f"/v2/team/app/blobs/{digest_of(content)}"
    rate = megabytes_per_second(lambda: Client(server).get(path))
    print(f"pull of one layer        {rate:10.0f} MB/s")


def main() -> None:
    """Start a server in a temporary directory and measure it."""
    with tempfile.TemporaryDirectory() as directory, live_server(Path(directory)) as server:
        measure(server)


if __name__ == "__main__":
    main()
