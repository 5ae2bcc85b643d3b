"""An index of images on loopback: the search of API version 1, that does as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class FakeIndex:
    """What it knows, how it behaves, and what it was asked; used from any thread.

    Attributes:
        images: its results, the best first; a term finds those whose name contains it.
        status: answered in place of results, if it is not 200.
        body: sent in place of results, if it is not None.
        delay: seconds before it answers.
        knows_pages: whether it looks at the parameter ``page``.
        login: the Authorization that it wants; empty: none.
        catalog: what a registry of version 2 would list here, two names on a page; None: nothing.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    delay: float = 0.0
    knows_pages: bool = True
    login: str = ""
    catalog: list[str] | None = None
    url: str = ""
    pages: int = 0  # of the catalog that were read
    queries: list[dict[str, str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def add(self, *names: str, **fields: Any) -> "FakeIndex":
        """Let it know images."""
        self.images += [{"name": name, **result(**fields)} for name in names]
        return self

    def answer(self, query: dict[str, str]) -> bytes:
        """Return the results of a search."""
        found = [each for each in self.images if query["q"] in each["name"]]
        size = int(query.get("n", 25))
        page = int(query.get("page", 1)) if self.knows_pages else 1
        body = {
            "query": query["q"],
            "page": page,
            "page_size": size,
            "num_pages": -(-len(found) // size),
            "num_results": len(found),
            "results": found[(page - 1) * size : page * size],
        }
        return json.dumps(body).encode()


def result(**fields: Any) -> dict[str, Any]:
    """Return a result as Docker Hub sends it, but for its name."""
    usual = {"description": "", "star_count": 0, "is_official": False, "is_automated": False}
    return {**usual, "is_trusted": False, **fields}


class _Handler(BaseHTTPRequestHandler):
    index: FakeIndex
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        index = self.index
        parts = urlsplit(self.path)
        if parts.path == "/v2/_catalog" and index.catalog is not None:
            return self.send_catalog(index.catalog, dict(parse_qsl(parts.query)).get("last", ""))
        if parts.path != "/v1/search":
            return self.send(404, b"{}")
        login = self.headers.get("Authorization", "")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        index.queries.append(query)
        index.logins.append(login)
        if index.delay:
            index.gate.wait(index.delay)
        if index.login and login != index.login:
            return self.send(401, b"{}")
        return self.send(index.status, index.answer(query) if index.body is None else index.body)

    def send_catalog(self, names: list[str], last: str) -> None:
        self.index.pages += 1
        later = [each for each in names if each > last]
        link = f'</v2/_catalog?last={later[1]}>; rel="next"' if len(later) > 2 else ""
        self.send(200, json.dumps({"repositories": later[:2]}).encode(), link)

    def send(self, status: int, body: bytes, link: str = "") -> None:
        self.send_response(status)
        if link:
            self.send_header("Link", link)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


@contextmanager
def fake_index() -> Iterator[FakeIndex]:
    """Serve an index until the block ends."""
    index = FakeIndex()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"index": index}))
    index.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield index
    finally:
        index.gate.set()
        server.shutdown()
        server.server_close()
