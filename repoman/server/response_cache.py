"""The response cache, from which the main loop answers without a worker.

The application says which of its responses may be repeated and for how long
(:mod:`repoman.http.current`). A response is only repeated to a request that is the same byte for
byte, on the same connector; so nothing that it depends on can be overlooked. Of the request, which
may hold a password, only a digest is kept, by a key that nobody has: see
:mod:`repoman.caching`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any

from waitress.utilities import build_http_date

from repoman.caching import BUDGET, CacheBudget, KeyedDigest, LruCache
from repoman.errors import RepomanError
from repoman.http.body import WSGI, Environ
from repoman.http.current import CACHEABLE, RAW_REQUEST, Validity
from repoman.server.file_bodies import FileResponse

OVERHEAD_BYTES = 1_024  # What the bookkeeping of a response takes besides, as measured.
FILE_OVERHEAD_BYTES = 4_096  # The same, where the body is a file, with what opens it.
BODY_MAX_BYTES = 65_536  # A larger body is not kept.
REQUEST_MAX_BYTES = 4_096  # The response to a longer request is not kept.
SEEN_ONCE_MAX = 50_000  # Requests of which it is remembered that they came once.
STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED})

_READ = re.compile(rb"(?:GET|HEAD) [^\r\n]* HTTP/1\.1\r\n")
_FIRST_LETTERS = b"GH"  # of the methods that _READ matches
# What asks for more than that the connection stays, as it does anyhow, or whose meaning depends on
# whether the sender is a trusted proxy.
_UNKNOWN = re.compile(
    rb"\n(?:connection:(?! ?keep-alive\r\n)|x-forwarded-[^:\r\n]*:)", re.IGNORECASE
)

Key = tuple[str, bytes]  # connector, and digest of the request
# What ends it, what comes before and after its date, and the bytes that it takes.
_Kept = tuple[Validity, bytes, bytes, int]


@dataclass(frozen=True, slots=True)
class _KeptFile:
    """A response whose body is a file: a worker opens it again, as the main loop must not."""

    validity: Validity
    status: str
    headers: tuple[tuple[str, str], ...]
    request_size: int

    @property
    def size(self) -> int:
        """The bytes that it takes, with what the log tells of its request, also as a whole line."""
        lines = sum(len(name) + len(value) for name, value in self.headers)
        return FILE_OVERHEAD_BYTES + lines + 2 * self.request_size


# Takes the key of the connector, what arrived by it up to an empty line, and the address of the
# client. Returns the complete response, header and body, or None to leave it to the parser and a
# worker. Nobody has looked at those bytes: they may be no request, or one with a body to come. Runs
# on the main loop, where everything else waits for it: it may look into tables in memory, but not
# touch disk, database or log, nor compute for longer than some microseconds.
FastAnswer = Callable[[str, bytes, str], bytes | None]


class ResponseCache:
    """WSGI middleware that remembers, and the :data:`FastAnswer` that repeats; thread safe.

    A response that is requested only once is not worth its space: a response is cached when its
    request comes for the second time.
    """

    def __init__(self, application: WSGI, budget: CacheBudget = BUDGET) -> None:
        self._application = application
        self._digest = KeyedDigest()
        self._kept: LruCache[_Kept] = LruCache(lambda kept: kept[3], budget=budget)
        self._files: LruCache[_KeptFile] = LruCache(lambda kept: kept.size, budget=budget)
        self._seen_once: set[int] = set()  # hashes of keys

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Have the application answer, and keep the response if that is allowed."""
        raw = environ.get(RAW_REQUEST, b"")
        if not _is_plain(raw):
            return self._application(environ, start_response)
        key = (environ.get("repoman.connector", ""), self._digest.of(raw))
        if not self._came_before(key):
            return self._application(environ, start_response)
        found = self._repeat_file(key, environ, start_response)
        return self._serve(key, environ, start_response) if found is None else found

    def _serve(self, key: Key, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Have the application answer, and keep the response."""
        answer: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer[:] = [status, headers]
            return start_response(status, headers, exc_info)

        body = self._application(environ, start)
        validity: Validity | None = environ.get(CACHEABLE)
        if validity is None or not validity.settle():
            return body
        status, headers = answer
        request_size = len(environ[RAW_REQUEST])
        if isinstance(body, FileResponse):
            self._keep_file(key, request_size, validity, status, headers)
            return body
        length = _body_length(environ, status, headers)
        if length is None or length > BODY_MAX_BYTES:
            return body
        pieces = _take(body)
        if sum(map(len, pieces)) == length:
            self._keep(key, request_size, validity, status, headers, b"".join(pieces))
        return pieces

    def answer(self, connector: str, raw: bytes, client: str) -> bytes | None:
        """Return a kept response that still holds; see :data:`FastAnswer`."""
        if raw[:1] not in _FIRST_LETTERS or len(raw) > REQUEST_MAX_BYTES:
            return None
        kept = self._kept.find((connector, self._digest.of(raw)))
        if kept is None:
            return None
        validity, before, after, _ = kept
        if not validity.is_valid(client):
            return None  # the application's next answer takes its place
        validity.note(client)
        validity.note_pull()
        return before + _date(int(time())) + after

    def _repeat_file(
        self, key: Key, environ: Environ, start_response: Any
    ) -> Iterable[bytes] | None:
        """Return a kept response with a file that still holds; None: the application has to say."""
        kept = self._files.find(key)
        if kept is None:
            return None
        validity, client = kept.validity, environ["REMOTE_ADDR"]
        if validity.reopen is None or not validity.is_valid(client):
            return None  # the application's next answer takes its place
        try:
            file = validity.reopen()
        except RepomanError:
            return None
        validity.note(client)
        validity.note_pull()
        start_response(kept.status, list(kept.headers))
        return FileResponse(file)

    def _keep_file(
        self,
        key: Key,
        request_size: int,
        validity: Validity,
        status: str,
        headers: list[tuple[str, str]],
    ) -> None:
        if validity.reopen is not None and int(status[:3]) in STATUSES:
            self._files.save(key, _KeptFile(validity, status, tuple(headers), request_size))

    def _came_before(self, key: Key) -> bool:
        number = hash(key)
        if number in self._seen_once:
            return True
        if len(self._seen_once) >= SEEN_ONCE_MAX:
            self._seen_once.clear()
        self._seen_once.add(number)
        return False

    def _keep(
        self,
        key: Key,
        request_size: int,
        validity: Validity,
        status: str,
        headers: list[tuple[str, str]],
        body: bytes,
    ) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        before = "\r\n".join([*lines, "Server: repoman", "Date: "]).encode("latin-1")
        after = b"\r\n\r\n" + body
        size = len(before) + len(after) + OVERHEAD_BYTES
        size += 2 * request_size  # what the log tells of it, also as a whole line
        self._kept.save(key, (validity, before, after, size))


def _is_plain(raw: bytes) -> bool:
    """Return whether a request is one of those that are repeated."""
    return len(raw) <= REQUEST_MAX_BYTES and bool(_READ.match(raw)) and not _UNKNOWN.search(raw)


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
