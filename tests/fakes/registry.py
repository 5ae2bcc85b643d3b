"""A registry on loopback that does as it is told: tokens, redirects, faults, and a log of requests.

It is what proxies are tested against. It serves what a test puts in, and never lies by itself.
"""

import base64
import json
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.clock import LONG_S
from tests.functional.docker.images import Image, digest_of, media_type_of

PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/(?P<what>[^/]+)")
CHUNK = 1 << 16


@dataclass(frozen=True)
class Request:
    """One line of the log; ``host`` is ``registry``, ``token`` or ``cdn``."""

    host: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def line(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


@dataclass
class Fault:
    """What goes wrong with some requests.

    Args:
        matches: part of ``METHOD path``.
        status: answered instead of the content.
        headers: sent with it.
        body: sent with it.
        cut: bytes after which the connection ends.
        corrupt: the first byte is another one.
        stall: seconds of silence after the first byte.
        slow: seconds between pieces.
        times: how often; -1: always.
    """

    matches: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"errors":[{"code":"X","message":"The fake says no."}]}'
    cut: int = -1
    corrupt: bool = False
    stall: float = 0.0
    slow: float = 0.0
    times: int = -1


class FakeRegistry:
    """What is in it, what goes wrong, and what was asked; used from any thread.

    Args:
        auth: ``none``, ``basic`` or ``token``.
        cdn: whether blobs are redirected to a second port that refuses Authorization.
        ranges: whether parts of blobs can be had.
        heads: whether HEAD of a manifest tells the digest.
        lengths: whether it says how long blobs are.
        tls: what it serves HTTPS with; None: HTTP.
    """

    def __init__(
        self,
        *,
        auth: str = "none",
        cdn: bool = False,
        ranges: bool = True,
        heads: bool = True,
        lengths: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.auth, self.cdn, self.ranges, self.heads = auth, cdn, ranges, heads
        self.lengths, self.tls = lengths, tls
        self.has_referrers = True
        self.credentials = ("puller", "secret")
        self.anonymous = True
        self.realm: str | None = None
        self.redirect: Callable[[str], str] | None = None
        self.page: int | None = None
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.referrers: dict[str, list[dict[str, Any]]] = {}
        self.tokens: dict[str, str] = {}
        self.expires_in = 300
        self.budget: tuple[int, int] | None = None
        self.gate = threading.Event()  # closed: blobs stop after their first byte
        self.gate.set()
        self._lock = threading.Lock()
        self._servers: list[ThreadingHTTPServer] = []
        self.port = self.cdn_port = 0

    # What is in it ------------------------------------------------------------------------------

    def put_manifest(self, name: str, tag: str | None, manifest: bytes) -> str:
        """Add a manifest and return its digest."""
        digest = digest_of(manifest)
        for reference in (digest, *([tag] if tag else [])):
            self.manifests[name, reference] = manifest
        return digest

    def put_blob(self, name: str, data: bytes) -> str:
        """Add a blob and return its digest."""
        digest = digest_of(data)
        self.blobs[name, digest] = data
        return digest

    def put(self, name: str, tag: str, image: Image) -> str:
        """Add a whole image and return its manifest's digest."""
        for blob in image.blobs:
            self.put_blob(name, blob)
        return self.put_manifest(name, tag, image.manifest)

    def tags(self, name: str) -> list[str]:
        """Tags of an image."""
        return sorted(ref for known, ref in self.manifests if known == name and ":" not in ref)

    # What was asked -----------------------------------------------------------------------------

    def count(self, text: str) -> int:
        """How many requests have this in ``METHOD path``."""
        return sum(text in each.line for each in self.log)

    def lines(self, host: str = "registry") -> list[str]:
        """The requests to one host."""
        return [each.line for each in self.log if each.host == host]

    @property
    def connections(self) -> int:
        """How many connections there were since the start."""
        return sum(each.accepted for each in self._servers)  # type: ignore[attr-defined]

    # Running ------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def scheme(self) -> str:
        """How it is reached."""
        return "http" if self.tls is None else "https"

    def start(self) -> None:
        """Begin to serve, on the same ports as before."""
        self._servers = [self._serve(self.port, "registry"), self._serve(self.cdn_port, "cdn")]
        self.port, self.cdn_port = (each.server_address[1] for each in self._servers)

    def stop(self) -> None:
        """Break all connections and serve no more."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
            for connection in list(server.connections):  # type: ignore[attr-defined]
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._servers = []

    def _serve(self, port: int, host: str) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"registry": self, "host": host})
        server = _Server(("127.0.0.1", port), handler)
        if self.tls is not None:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def take_fault(self, line: str) -> Fault | None:
        """The fault that befalls a request, if any; counts it."""
        with self._lock:
            for fault in self.faults:
                if fault.matches in line and fault.times != 0:
                    fault.times -= 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        self.accepted = 0
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        self.accepted += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    registry: FakeRegistry
    host: str
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: Any) -> None:
        """Keep quiet; the log is in the registry."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        line = f"{self.command} {parts.path}"
        query = parse_qs(parts.query)
        host = "token" if parts.path == "/token" else self.host
        self.registry.log.append(
            Request(host, self.command, parts.path, query, dict(self.headers.items()))
        )
        fault = self.registry.take_fault(line)
        if fault is not None and fault.status:
            self.answer(fault.status, fault.body, fault.headers)
        elif host == "token":
            self.give_token(query)
        elif host == "cdn":
            self.serve_cdn(parts.path, fault)
        elif self.is_allowed(parts.path):
            self.serve_registry(parts.path, query, fault)

    # --- Who asks -------------------------------------------------------------------------------

    def has_basic(self) -> bool:
        pair = ":".join(self.registry.credentials).encode()
        return self.headers.get("Authorization") == f"Basic {base64.b64encode(pair).decode()}"

    def is_allowed(self, path: str) -> bool:
        registry = self.registry
        if registry.auth == "none":
            return True
        found = PATH.fullmatch(path)
        scope = f"repository:{found['name']}:pull" if found else ""
        if registry.auth == "basic":
            is_in, challenge = self.has_basic(), 'Basic realm="fake"'
        else:
            sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
            is_in = sent != "" and registry.tokens.get(sent) == scope
            realm = registry.realm or f"{registry.url}/token"
            challenge = f'Bearer realm="{realm}",service="fake",scope="{scope}"'
        if not is_in:
            body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
            self.answer(401, body, {"WWW-Authenticate": challenge})
        return is_in

    def give_token(self, query: dict[str, list[str]]) -> None:
        registry = self.registry
        if "Authorization" in self.headers and not self.has_basic():
            return self.answer(401, b"{}", {})
        if "Authorization" not in self.headers and not registry.anonymous:
            return self.answer(401, b"{}", {})
        token = secrets.token_hex(8)
        registry.tokens[token] = query.get("scope", [""])[0]
        body = {"token": token, "expires_in": registry.expires_in}
        return self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    # --- What is served -------------------------------------------------------------------------

    def serve_cdn(self, path: str, fault: Fault | None) -> None:
        if "Authorization" in self.headers:
            return self.answer(400, b"Only one auth mechanism allowed", {})
        name, _, digest = path.removeprefix("/cdn/").rpartition("/")
        return self.send_blob(self.registry.blobs.get((name, digest)), digest, fault)

    def serve_registry(self, path: str, query: dict[str, list[str]], fault: Fault | None) -> None:
        found = PATH.fullmatch(path)
        if found is None:
            return self.answer(200, b"{}", {})
        name, kind, what = found["name"], found["kind"], found["what"]
        serve = {
            "manifests": self.serve_manifest,
            "blobs": self.serve_blob,
            "tags": self.serve_tags,
            "referrers": self.serve_referrers,
        }[kind]
        return serve(name, what, query, fault)

    def serve_manifest(self, name: str, what: str, _: Any, fault: Fault | None) -> None:
        body = self.registry.manifests.get((name, what))
        if body is None:
            return self.missing("MANIFEST_UNKNOWN")
        headers = {"Content-Type": media_type_of(body)}
        if self.registry.heads:
            headers["Docker-Content-Digest"] = digest_of(body)
        if self.registry.budget is not None:
            if self.command == "GET":
                limit, remaining = self.registry.budget
                self.registry.budget = (limit, remaining - 1)
            limit, remaining = self.registry.budget
            headers["ratelimit-limit"] = f"{limit};w=21600"
            headers["ratelimit-remaining"] = f"{remaining};w=21600"
            headers["docker-ratelimit-source"] = "127.0.0.1"
        if not self.registry.heads and self.command == "HEAD":
            return self.answer(405, b"", {})
        return self.answer(200, body, headers, fault)

    def serve_blob(self, name: str, what: str, _: Any, fault: Fault | None) -> None:
        data = self.registry.blobs.get((name, what))
        if data is None:
            return self.missing("BLOB_UNKNOWN")
        if self.registry.cdn or self.registry.redirect:
            target = (
                f"{self.registry.scheme}://127.0.0.1:{self.registry.cdn_port}/cdn/{name}/{what}"
            )
            if self.registry.redirect:
                target = self.registry.redirect(target)
            return self.answer(307, b"", {"Location": target})
        return self.send_blob(data, what, fault)

    def serve_tags(
        self, name: str, _: str, query: dict[str, list[str]], fault: Fault | None
    ) -> None:
        tags = self.registry.tags(name)
        if not tags:
            return self.missing("NAME_UNKNOWN")
        headers = {"Content-Type": "application/json"}
        last = query.get("last", [""])[0]
        later = [tag for tag in tags if tag > last]
        page = self.registry.page or len(later)
        if len(later) > page:
            link = f"/v2/{name}/tags/list?n={page}&last={later[page - 1]}"
            headers["Link"] = f'<{link}>; rel="next"'
        body = json.dumps({"name": name, "tags": later[:page]}).encode()
        return self.answer(200, body, headers, fault)

    def serve_referrers(self, _: str, what: str, __: Any, fault: Fault | None) -> None:
        if not self.registry.has_referrers:
            return self.missing("UNSUPPORTED")
        media_type = "application/vnd.oci.image.index.v1+json"
        found = self.registry.referrers.get(what, [])
        body = {"schemaVersion": 2, "mediaType": media_type, "manifests": found}
        return self.answer(200, json.dumps(body).encode(), {"Content-Type": media_type}, fault)

    def send_blob(self, data: bytes | None, digest: str, fault: Fault | None) -> None:
        if data is None:
            return self.missing("BLOB_UNKNOWN")
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "ETag": f'"{digest}"',
        }
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted is None or not self.registry.ranges:
            return self.answer(200, data, headers, fault, is_gated=True)
        start = int(wanted[1])
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self.answer(206, data[start:], headers, fault, is_gated=True)

    def missing(self, code: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": "not here"}]}).encode()
        self.answer(404, body, {"Content-Type": "application/json"})

    # --- How it is sent -------------------------------------------------------------------------

    def answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        fault: Fault | None = None,
        *,
        is_gated: bool = False,
    ) -> None:
        if fault is not None and fault.corrupt:
            body = bytes([body[0] ^ 1]) + body[1:]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        is_chunked = is_gated and not self.registry.lengths
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        with suppress(OSError):
            for piece in self.pieces(body, fault, is_gated=is_gated):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
                self.wfile.flush()
            if is_chunked:
                self.wfile.write(b"0\r\n\r\n")

    def pieces(self, body: bytes, fault: Fault | None, *, is_gated: bool) -> Iterator[bytes]:
        if is_gated and not self.registry.gate.is_set():
            yield body[:1]
            self.registry.gate.wait(LONG_S)
            body = body[1:]
        if fault is None:
            yield body
            return
        if fault.stall:
            yield body[:1]
            time.sleep(fault.stall)
            body = body[1:]
        if fault.cut >= 0:
            yield body[: fault.cut]
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        size = CHUNK if fault.slow else max(1, len(body))
        for start in range(0, len(body), size):
            yield body[start : start + size]
            time.sleep(fault.slow)


@contextmanager
def fake_registry(**options: Any) -> Iterator[FakeRegistry]:
    """A registry that runs until the end of the block."""
    registry = FakeRegistry(**options)
    registry.start()
    try:
        yield registry
    finally:
        registry.gate.set()
        registry.stop()
