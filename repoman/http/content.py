"""Sends content: turns the result of a service into a response, in one place.

Whole or a range (RFC 9110, section 14), conditional or not, GET or HEAD; the bytes leave as an open
file, which the server hands to the kernel, so that a slow reader holds no worker.

What comes out of a repository was written by anybody who may write there. A browser shows it as a
document without scripts and of no origin, so that it can do nothing in the name of who looks at it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, BinaryIO, cast

from flask import Response, request
from werkzeug.http import http_date, parse_date

from repoman.events.pulls import Pull
from repoman.http.body import SEND_GROWING, Environ, GrowingFile, Stream
from repoman.http.conditions import is_named, precondition_of
from repoman.http.current import CACHEABLE, SOURCE, allow_caching, is_on_main_port

PULLS = "repoman.pulls"  # environ: takes what is pulled; see :class:`repoman.events.pulls.PullLog`
DEMANDS = frozenset({"HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"})
CONDITIONS = frozenset({"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"})
CHUNK = 1 << 18  # bytes per piece where the server has no file wrapper

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "media-src 'self'",
        "frame-ancestors 'self'",
        "sandbox",
    )
)
POLICY = "Content-Security-Policy"
NO_SNIFFING = "X-Content-Type-Options"
# What has matched is never tried in another way: of spaces there may be tens of thousands.
_RANGE = re.compile(r"bytes=\s*+(\d{0,18}+)\s*+-\s*+(\d{0,18}+)\s*+", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that can be sent, neutral to any protocol.

    Attributes:
        size: in bytes.
        media_type: as stored, without parameters.
        open: returns an unbuffered file at its start. Or the bytes, where they are few and at hand;
            or a stream of what is on its way. Called for the answer, and perhaps once before, to
            see whether the bytes are there.
        etag: a strong validator without quotes.
        last_modified: seconds since the epoch, or None.
        headers: further response headers.
        is_cacheable: whether the same request gets the same answer until the next write; so
            nothing may depend on the time of the next seconds, or on a remote.
        source: where it came from, for the access log; empty where there is but one place.
        pull: what of a repository a client has with it, if that is to be noted.
        checksums: returns the digests that are stored with the bytes, by algorithm, in hex.
    """

    size: int
    media_type: str
    open: Callable[[], BinaryIO | bytes | Stream]
    etag: str
    last_modified: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cacheable: bool = False
    source: str = ""
    pull: Pull | None = None
    checksums: Callable[[], Mapping[str, str]] = dict


def send_content(content: Content) -> Response:
    """Return the response to the current GET or HEAD request (PreconditionFailed)."""
    environ = request.environ
    if not DEMANDS.isdisjoint(environ):
        precondition_of(environ).check_read(content.etag, content.last_modified)
    if content.is_cacheable:
        allow_caching()
    if content.source:
        environ[SOURCE] = content.source
    if not CONDITIONS.isdisjoint(environ) and _is_unchanged(content, environ):
        _note_pull(content, environ, counts=False)
        return _respond(content, HTTPStatus.NOT_MODIFIED, length=None)
    try:
        part = (
            parse_range(environ.get("HTTP_RANGE"), content.size)
            if "HTTP_RANGE" in environ and _may_range(content, environ)
            else None
        )
    except RangeNotSatisfiable:
        response = _respond(content, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, length=0)
        response.headers["Content-Range"] = f"bytes */{content.size}"
        return response
    start, stop = part or (0, content.size)
    status = HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK
    is_head = environ["REQUEST_METHOD"] == "HEAD"
    body = () if is_head else _body(content, start, stop - start)
    _note_pull(content, environ, counts=not is_head and start == 0)
    response = _respond(content, status, length=stop - start, body=body)
    if part:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
    return response


def _note_pull(content: Content, environ: Environ, *, counts: bool) -> None:
    """Note the pull, once it is sure, and again whenever the response is repeated.

    One of several parts of a download counts: the first.
    """
    note: Callable[[tuple[Pull, bool]], None] | None = environ.get(PULLS)
    if content.pull is None or note is None:
        return
    pull = (content.pull, counts)
    note(pull)
    if content.is_cacheable:
        environ[CACHEABLE].note_pull = partial(note, pull)


def _is_unchanged(content: Content, environ: Environ) -> bool:
    known = environ.get("HTTP_IF_NONE_MATCH")
    if known is not None:
        return is_named(content.etag, known)
    since = parse_date(environ.get("HTTP_IF_MODIFIED_SINCE"))
    if since is None or content.last_modified is None:
        return False
    return int(content.last_modified) <= since.timestamp()


def _may_range(content: Content, environ: Environ) -> bool:
    condition = environ.get("HTTP_IF_RANGE")
    if condition is None:
        return True
    if condition.strip('"') == content.etag:
        return True
    date = parse_date(condition)
    return (
        date is not None
        and content.last_modified is not None
        and (int(content.last_modified) == date.timestamp())
    )


def _body(content: Content, start: int, length: int) -> Any:
    file = content.open()
    if isinstance(file, bytes):
        return [file[start : start + length]]
    if isinstance(file, Stream):
        return _stream(file, start, length)
    file.seek(start)
    if content.is_cacheable:
        request.environ[CACHEABLE].reopen = partial(_reopened, content, start)
    wrapper = request.environ.get("wsgi.file_wrapper")
    return wrapper(file, CHUNK) if wrapper is not None else _Pieces(file, length)


def _reopened(content: Content, start: int) -> BinaryIO:
    """Return the file of a body once more, for an answer that is repeated."""
    file = cast("BinaryIO", content.open())
    file.seek(start)
    return file


def _stream(stream: Stream, start: int, length: int) -> Any:
    send_growing = request.environ.get(SEND_GROWING)
    if send_growing is not None and isinstance(stream, GrowingFile):
        return send_growing(stream, start, length)
    return stream.pieces(start, length)


class _Pieces:
    """The next ``length`` bytes of a file; closes it, as a generator not begun would not."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length

    def __iter__(self) -> Iterator[bytes]:
        while self._left > 0 and (data := self._file.read(min(self._left, CHUNK))):
            self._left -= len(data)
            yield data

    def close(self) -> None:
        self._file.close()


@lru_cache(maxsize=1000)
def _date(seconds: float) -> str:
    return http_date(seconds)


def _respond(content: Content, status: int, length: int | None, body: Any = ()) -> Response:
    headers = {
        "Content-Type": content.media_type,
        "ETag": f'"{content.etag}"',
        "Accept-Ranges": "bytes",
    }
    if length is not None:
        headers["Content-Length"] = str(length)
    if content.last_modified is not None:
        headers["Last-Modified"] = _date(content.last_modified)
    headers |= content.headers
    return Response(body, status, headers, direct_passthrough=True)


class RangeNotSatisfiable(Exception):
    """The range lies outside of the content, or ends before it begins."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the part asked for as (start, stop), in bytes and exclusive; None means all.

    Several ranges, other units and what is not a range mean all, as the RFC allows.

    Raises:
        RangeNotSatisfiable: one range, and no byte of the content is in it.
    """
    match = _RANGE.fullmatch(header) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        stop = min(size, int(match[2]) + 1) if match[2] else size
    if start >= stop:
        raise RangeNotSatisfiable
    return start, stop


def protect_content(response: Response) -> Response:
    """Give a response with what somebody stored the headers that take its powers away.

    A format may set another policy, which counts on connectors alone: on the main port the pages of
    the administrator have the same origin.
    """
    headers = response.headers
    # A look for one that is not there raises an error in the headers themselves.
    given = set(map(str.lower, dict([*headers])))
    put = headers.set if NO_SNIFFING.lower() in given else headers.add
    put(NO_SNIFFING, "nosniff")
    if POLICY.lower() not in given:
        headers.add(POLICY, CONTENT_POLICY)
    elif is_on_main_port():
        headers[POLICY] = CONTENT_POLICY
    return response
