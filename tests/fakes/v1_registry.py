"""A registry of version 1 on loopback that does as it is told, and keeps a log of requests."""

import json
import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.functional.docker_v1.driver import V1Image

IMAGE = re.compile(r"/v1/images/(?P<id>[^/]+)/(?P<what>json|ancestry|layer)")
NAME = re.compile(r"/v1/repositories/(?P<name>.+?)/(?P<what>images|tags)(?:/(?P<tag>[^/]+))?")


class FakeV1Registry:
    """What the registry has, and how it behaves.

    Attributes:
        login: name and password that are needed; None: none.
        cuts: after how many bytes the next layers end.
        has_ranges: whether it can go on with a layer.
        overlay: other bytes for some paths.
        log: the requests.
    """

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.login = login
        self.cuts: list[int] = []
        self.has_ranges = True
        self.overlay: dict[str, bytes] = {}
        self.log: list[str] = []
        self.images: dict[str, tuple[V1Image, list[str]]] = {}
        self.names: dict[str, dict[str, str]] = {}
        self.token = secrets.token_hex(8)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, name: str, tag: str, chain: Sequence[V1Image]) -> None:
        """Have an image under a tag."""
        ancestry: list[str] = []
        for image in chain:
            ancestry = [image.id, *ancestry]
            self.images[image.id] = (image, ancestry)
        self.names.setdefault(name, {})[tag] = chain[-1].id

    def count(self, text: str) -> int:
        """How many requests had a text in their lines."""
        return sum(text in line for line in self.log)

    def start(self) -> None:
        """Serve in a thread."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeV1Registry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing; the fake has a log."""

    def do_GET(self) -> None:
        fake = self.server.fake
        fake.log.append(self.path)
        if self.path in fake.overlay:
            self.answer(200, fake.overlay[self.path])
        elif (found := NAME.fullmatch(self.path)) is not None:
            self.serve_name(**found.groupdict())
        elif (found := IMAGE.fullmatch(self.path)) is not None:
            self.serve_image(found["id"], found["what"])
        else:
            self.answer(404, b'{"error": "Not found"}')

    def serve_name(self, name: str, what: str, tag: str | None) -> None:
        fake = self.server.fake
        tags = fake.names.get(name.removeprefix("library/"))
        if what == "images" and self.has_password():
            self.answer(200, b"[]", {"X-Docker-Token": f"Token signature={fake.token}"})
        elif what == "images" or not self.has_token():
            self.answer(401, b'{"error": "Requires authorization"}')
        elif tags is None or (tag is not None and tag not in tags):
            self.answer(404, b'{"error": "Tag not found"}')
        else:
            self.answer(200, json.dumps(tags if tag is None else tags[tag]).encode())

    def serve_image(self, image_id: str, what: str) -> None:
        fake = self.server.fake
        if not self.has_token():
            self.answer(401, b'{"error": "Requires authorization"}')
            return
        if image_id not in fake.images:
            self.answer(404, b'{"error": "Image not found"}')
            return
        image, ancestry = fake.images[image_id]
        if what == "json":
            headers = {
                "X-Docker-Size": str(len(image.layer)),
                "X-Docker-Checksum-Payload": image.payload,
            }
            self.answer(200, image.json, headers)
        elif what == "ancestry":
            self.answer(200, json.dumps(ancestry).encode())
        else:
            self.serve_layer(image.layer)

    def serve_layer(self, layer: bytes) -> None:
        fake = self.server.fake
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and fake.has_ranges:
            start = int(asked[1])
        cut = fake.cuts.pop(0) if fake.cuts else None
        status = 206 if start else 200
        self.answer(status, layer[start:], cut=cut)

    def has_password(self) -> bool:
        login = self.server.fake.login
        if login is None:
            return True
        expected = b64encode(":".join(login).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def has_token(self) -> bool:
        fake = self.server.fake
        sent = self.headers.get("Authorization")
        return fake.login is None or sent == f"Token signature={fake.token}"

    def answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


@contextmanager
def fake_v1_registry(**options: Any) -> Iterator[FakeV1Registry]:
    """Run a registry."""
    registry = FakeV1Registry(**options)
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()
