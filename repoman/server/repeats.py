"""The response cache, from which the main loop answers without a worker.

The application says which of its responses may be repeated and for how long
(:mod:`repoman.http.repeat`). A response is only repeated to a request that is the same byte for
byte, on the same connector; so nothing that it depends on can be overlooked. Of the request, which
may hold a password, only a digest is kept, by a key that nobody has: see
:mod:`repoman.security.digests`.
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
from repoman.security.digests import KeyedDigest
from repoman.server.fast import RAW_REQUEST
from repoman.server.file_bodies import FileResponse

CAPACITY = 16_777_216  # bytes of all that is kept
OVERHEAD = 1_024  # bytes that the bookkeeping takes besides, as measured
LARGEST = 65_536  # bytes of a body that is kept
LONGEST = 4_096  # bytes of a request whose response is kept
ONCE = 50_000  # requests of which it is remembered that they came once
STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED})

_READ = re.compile(rb"(?:GET|HEAD) [^\r\n]* HTTP/1\.1\r\n")
# Whose connection is not ours, or whose meaning depends on whether the sender is a trusted proxy.
_UNKNOWN = re.compile(rb"\n(?:connection|x-forwarded-[^:\r\n]*):", re.IGNORECASE)

Key = tuple[str, bytes]  # connector, and digest of the request


class Repeats:
    """WSGI middleware that remembers, and the fast answer that repeats; thread safe.

    A response that is requested only once is not worth its space: a response is cached when its
    request comes for the second time.
    """

    def __init__(self, application: WSGI) -> None:
        self._application = application
        self._digest = KeyedDigest()
        self._kept: dict[Key, tuple[Repeat, bytes, bytes]] = {}
        self._size = 0
        self._once: set[int] = set()  # hashes of keys
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Have the application answer, and keep the response if that is allowed."""
        raw = environ.get(RAW_REQUEST, b"")
        if not _is_plain(raw):
            return self._application(environ, start_response)
        key = (environ.get("repoman.connector", ""), self._digest.of(raw))
        if not self._came_before(key):
            return self._application(environ, start_response)
        answer: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer[:] = [status, headers]
            return start_response(status, headers, exc_info)

        body = self._application(environ, start)
        repeat: Repeat | None = environ.get(REPEAT)
        if repeat is None or isinstance(body, FileResponse):
            return body
        status, headers = answer
        length = _body_length(environ, status, headers)
        if length is None or length > LARGEST:
            return body
        pieces = _take(body)
        if sum(map(len, pieces)) == length:
            self._keep(key, len(raw), repeat, status, headers, b"".join(pieces))
        return pieces

    def answer(self, connector: str, raw: bytes, client: str) -> bytes | None:
        """Return a kept response that still holds; see :data:`repoman.server.fast.FastAnswer`."""
        if len(raw) > LONGEST:
            return None
        kept = self._kept.get((connector, self._digest.of(raw)))
        if kept is None:
            return None
        repeat, before, after = kept
        if not repeat.is_valid(client):
            return None  # the application's next answer takes its place
        repeat.note(client)
        return before + _date(int(time())) + after

    def _came_before(self, key: Key) -> bool:
        number = hash(key)
        if number in self._once:
            return True
        if len(self._once) >= ONCE:
            self._once.clear()
        self._once.add(number)
        return False

    def _keep(
        self,
        key: Key,
        request_size: int,
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
            self._size += len(before) + len(after) + OVERHEAD
            self._size += 2 * request_size  # what the log tells of it, also as a whole line


def _is_plain(raw: bytes) -> bool:
    """Return whether a request is one of those that are repeated."""
    return len(raw) <= LONGEST and bool(_READ.match(raw)) and not _UNKNOWN.search(raw)


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


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return str(build_http_date(second)).encode()
