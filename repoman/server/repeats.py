"""A memory of whole responses, from which the main loop answers without a worker.

The application says which of its responses may be repeated and for how long
(:mod:`repoman.http.repeat`). A response is only repeated to a request that is the same in every
header, on the same connector; so nothing that it depends on can be overlooked.
"""

import re
import threading
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any

from waitress.utilities import build_http_date

from repoman.http.access_log import WSGI
from repoman.http.body import Environ
from repoman.http.repeat import REPEAT, Repeat
from repoman.server.fast import FastRequest
from repoman.server.files import FileResponse

CAPACITY = 16_777_216  # bytes of all that is kept
OVERHEAD = 3_072  # bytes that the bookkeeping takes besides, as measured
LARGEST = 65_536  # bytes of a body that is kept
LONGEST = 4_096  # bytes of a request that is kept to compare with
STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED})

# Whose connection is not ours, or whose meaning depends on whether the sender is a trusted proxy.
_UNKNOWN = re.compile("CONNECTION|X_FORWARDED_.*")


# Connector, method, path, query, headers.
Key = tuple[str, str, str, str, frozenset[tuple[str, str]]]


class Repeats:
    """WSGI middleware that remembers, and the fast answer that repeats; thread safe."""

    def __init__(self, application: WSGI) -> None:
        self._application = application
        self._kept: dict[Key, tuple[Repeat, bytes, bytes]] = {}
        self._size = 0
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Have the application answer, and keep the response if that is allowed."""
        key = _key_of_environ(environ)
        answer: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer[:] = [status, headers]
            return start_response(status, headers, exc_info)

        body = self._application(environ, start)
        repeat: Repeat | None = environ.get(REPEAT)
        if repeat is None or key is None or isinstance(body, FileResponse):
            return body
        status, headers = answer
        length = _body_length(environ, status, headers)
        if length is None or length > LARGEST:
            return body
        pieces = _take(body)
        if sum(map(len, pieces)) == length:
            self._keep(key, repeat, status, headers, b"".join(pieces))
        return pieces

    def answer(self, request: FastRequest) -> bytes | None:
        """Return a kept response that still holds; see :data:`repoman.server.fast.FastAnswer`."""
        headers = frozenset(request.headers.items())
        key = (request.connector, request.method, request.path, request.query, headers)
        kept = self._kept.get(key)
        if kept is None:
            return None
        repeat, before, after = kept
        if not repeat.is_valid(request.client):
            return None  # the application's next answer takes its place
        repeat.note(request.client)
        return before + _date(int(time())) + after

    def _keep(
        self,
        key: Key,
        repeat: Repeat,
        status: str,
        headers: list[tuple[str, str]],
        body: bytes,
    ) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        before = "\r\n".join([*lines, "Server: repoman", "Date: "]).encode("latin-1")
        after = b"\r\n\r\n" + body
        with self._lock:
            if self._size > CAPACITY:
                self._kept.clear()
                self._size = 0
            self._kept[key] = (repeat, before, after)
            self._size += len(before) + len(after) + _size_of(key) + OVERHEAD


def _body_length(environ: Environ, status: str, headers: list[tuple[str, str]]) -> int | None:
    """Return how many bytes the body has, or None if that is unknown or nothing to be kept."""
    if int(status[:3]) not in STATUSES:
        return None
    if environ["REQUEST_METHOD"] == "HEAD" or int(status[:3]) == HTTPStatus.NOT_MODIFIED:
        return 0
    found = [value for name, value in headers if name.lower() == "content-length"]
    return int(found[0]) if found else None


def _take(body: Iterable[bytes]) -> list[bytes]:
    """Return the pieces of a body, which is closed: werkzeug wraps even an empty one."""
    try:
        return list(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def _size_of(key: Key) -> int:
    _, _, path, query, headers = key
    return len(path) + len(query) + sum(len(name) + len(value) for name, value in headers)


def _key_of_environ(environ: Environ) -> Key | None:
    """Return what the request is kept under, or None if it is none of those that are repeated."""
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    headers = {
        name.removeprefix("HTTP_"): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    if any(map(_UNKNOWN.fullmatch, headers)):
        return None
    key = (
        environ.get("repoman.connector", ""),
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        frozenset(headers.items()),
    )
    return key if _size_of(key) <= LONGEST else None


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return str(build_http_date(second)).encode()
