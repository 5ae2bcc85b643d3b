"""Compare the memory of a server with many repositories to one that has the same in one.

Run by hand: ``python -m benchmarks.memory [--repositories N] [--images N]``. Each image is pushed
and then pulled three times by one client, so that the caches are warm. The program fails if many
repositories take more memory than the bar.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from base64 import b64encode
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from benchmarks.large_layer import MIB, Memory
from tests.live import LiveServer, live_server

BAR = 32 * MIB
PULLS = 3
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG = b"{}"
PADDING = "x" * 4_000  # a manifest is as large as that of an image with 20 layers


class Client:
    """Pushes and pulls images over one connection."""

    def __init__(self, server: LiveServer) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.main_port, timeout=60)
        login = b64encode(":".join(server.admin).encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    def ask(
        self, method: str, path: str, body: bytes = b"", status: int = 200, **headers: str
    ) -> bytes:
        """Send a request and return the body of its answer."""
        self._connection.request(method, path, body or None, self._headers | headers)
        answer: HTTPResponse = self._connection.getresponse()
        data = answer.read()
        if answer.status != status:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]!r}")
        return data

    def create(self, repository: str) -> None:
        """Create a repository for Docker images."""
        settings = {
            "name": repository,
            "online": True,
            "storage": {
                "blobStoreName": "default",
                "strictContentTypeValidation": True,
                "writePolicy": "ALLOW",
            },
            "docker": {"v1Enabled": False, "forceBasicAuth": True},
        }
        self.ask(
            "POST",
            "/service/rest/v1/repositories/docker/hosted",
            json.dumps(settings).encode(),
            201,
            **{"Content-Type": "application/json"},
        )

    def push(self, repository: str, number: int) -> str:
        """Push a small image and return the path of its manifest."""
        image = f"/repository/{repository}/v2/app-{number}"
        digest = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
        self.ask("POST", f"{image}/blobs/uploads/?digest={digest}", CONFIG, 201)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "text/plain", "digest": digest, "size": len(CONFIG)},
            "layers": [],
            "annotations": {"number": str(number), "padding": PADDING},
        }
        path, body = f"{image}/manifests/1.0", json.dumps(manifest).encode()
        self.ask("PUT", path, body, 201, **{"Content-Type": MANIFEST_TYPE})
        return path


def measure(directory: Path, repositories: int, images: int) -> int:
    """Return the resident bytes of a server with so many repositories, and images in all."""
    with live_server(directory) as server:
        client = Client(server)
        for number in range(repositories):
            client.create(f"r{number}")
        paths = [
            client.push(f"r{number % repositories}", number // repositories)
            for number in range(images)
        ]
        for _ in range(PULLS):
            for path in paths:
                client.ask("GET", path, Accept=MANIFEST_TYPE)
        return Memory(server.process.pid).now()


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--repositories", type=int, default=100, metavar="N")
    parser.add_argument("--images", type=int, default=3_000, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-") as directory:
        one = measure(Path(directory) / "one", 1, options.images)
        many = measure(Path(directory) / "many", options.repositories, options.images)
    print(f"1 repository with {options.images:,} images: {one / MIB:.0f} MiB")
    print(f"{options.repositories} repositories with as many: {many / MIB:.0f} MiB")
    if many - one > BAR:
        sys.exit(f"That is {(many - one) / MIB:.0f} MiB more; the bar is {BAR // MIB} MiB.")


if __name__ == "__main__":
    main()
