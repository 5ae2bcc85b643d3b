"""A memory of whole responses, from which the main loop answers without a worker.

The application says which of its responses may be repeated and for how long
(:mod:`repoman.http.repeat`). A response is only repeated to a request that is the same in every
header, on the same connector; so nothing that it depends on can be overlooked.
"""

import threading
from collections.abc import Hashable, Iterable
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any

from waitress.utilities import build_http_date

from repoman.http.access_log import WSGI
from repoman.http.body import Environ
from repoman.http.repeat import REPEAT, Repeat
from repoman.server.fast import FastRequest

CAPACITY = 16_777_216  # bytes of all that is kept
OVERHEAD = 3_072  # bytes that a request to compare with, and the bookkeeping, take besides
LARGEST = 65_536  # bytes of a body that is kept
STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED})

_UNKNOWN = ("X_FORWARDED_FOR", "CONNECTION")  # whose client, or whose connection, is not ours


class Repeats:
    """WSGI middleware that remembers, and the fast answer that repeats; thread safe."""

    def __init__(self, application: WSGI) -> None:
        self._application = application
        self._kept: dict[Hashable, tuple[Repeat, bytes, bytes]] = {}
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
        if repeat is not None and key is not None and isinstance(body, list | tuple):
            self._keep(key, repeat, answer[0], answer[1], b"".join(body))
        return body

    def answer(self, request: FastRequest) -> bytes | None:
        """Return a kept response that still holds; see :data:`repoman.server.fast.FastAnswer`."""
        headers = frozenset(request.headers.items())
        key = (request.connector, request.method, request.path, request.query, headers)
        kept = self._kept.get(key)
        if kept is None:
            return None
        repeat, before, after = kept
        if not repeat.is_valid():
            return None  # the application's next answer takes its place
        repeat.note(request.client)
        return before + _date(int(time())) + after

    def _keep(
        self,
        key: Hashable,
        repeat: Repeat,
        status: str,
        headers: list[tuple[str, str]],
        body: bytes,
    ) -> None:
        if int(status[:3]) not in STATUSES or len(body) > LARGEST:
            return
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        before = "\r\n".join([*lines, "Server: repoman", "Date: "]).encode("latin-1")
        after = b"\r\n\r\n" + body
        with self._lock:
            if self._size > CAPACITY:
                self._kept.clear()
                self._size = 0
            self._kept[key] = (repeat, before, after)
            self._size += len(before) + len(after) + OVERHEAD


def _key_of_environ(environ: Environ) -> Hashable | None:
    """Return what the request is kept under, or None if it is none of those that are repeated."""
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    headers = {
        name.removeprefix("HTTP_"): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    if any(name in headers for name in _UNKNOWN):
        return None
    return (
        environ.get("repoman.connector"),
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        frozenset(headers.items()),
    )


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return str(build_http_date(second)).encode()
