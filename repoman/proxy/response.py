"""What a remote answers: read raw, as it is on the wire, and with an end to all patience."""

import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress

import requests
import urllib3

from repoman.errors import UpstreamTimeout, UpstreamUnavailable
from repoman.proxy.connections import ANSWER_TIMEOUTS
from repoman.proxy.failures import TIMEOUT_ERRORS
from repoman.proxy.fetching import Body

CHUNK_BYTES = 1 << 20  # Bytes that are read, or unpacked, at a time.
DRAIN_MAX_BYTES = 4096  # A body is read up to here to keep its connection, or for its message.
DRAIN_TIMEOUT_S = 2.0  # The time for that.
MESSAGE_MAX_CHARS = 300  # Characters of a remote's own message that are passed on.

TRANSPORT_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)

_DECODED_HEADERS = ("Content-Type", "Last-Modified")
_COUNT = re.compile(r"[0-9]{1,18}")  # Python reads no number of thousands of digits
_GZIP = ("gzip", "x-gzip")
_EITHER = 32 + zlib.MAX_WBITS  # the header tells gzip from zlib
_NO_HEADER = -zlib.MAX_WBITS
_MEMBER = b"\x1f\x8b"  # how each member of a gzip file begins; it may have several


class UpstreamResponse(AbstractContextManager["UpstreamResponse"]):
    """An answer of a remote whose body is still on its way; to be closed.

    Attributes:
        host: who answered, as the subject of a sentence; errors name it as ``error_host``.
        url: the address that answered, after redirects.
    """

    def __init__(
        self, host: str, error_host: str, response: requests.Response, url: str, timeout: float
    ) -> None:
        self.host = host
        self._error_host = error_host
        self._timeout = timeout
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = url

    @property
    def length(self) -> int | None:
        """Bytes of the body as announced, if they were."""
        return parse_count(self.headers.get("Content-Length"))

    def read(self, amount: int = CHUNK_BYTES) -> bytes:
        """Return the next bytes that are there, at most ``amount``; none at the end.

        Raises:
            UpstreamUnavailable: the connection ended before the body.
            UpstreamTimeout: nothing more came.
        """
        return self._read(self._response.raw.read1, amount)

    def _read(self, read: Callable[..., bytes], amount: int) -> bytes:
        try:
            return read(amount, decode_content=False)
        except TIMEOUT_ERRORS as error:
            raise failed(
                UpstreamTimeout,
                f"{self.host} sent no data for {self._timeout:g} s.",
                self._error_host,
            ) from error
        except TRANSPORT_ERRORS as error:
            raise failed(
                UpstreamUnavailable,
                f"{self.host} closed the connection while sending its response.",
                self._error_host,
            ) from error

    def read_all(self, limit: int) -> bytes:
        """Return the whole body, decompressed if it was compressed in spite of the request.

        Raises:
            UpstreamUnavailable: it is longer than ``limit`` bytes, or cut off.
            UpstreamTimeout: it is sent too slowly.
        """
        parts: list[bytes] = []
        size = 0
        end = time.monotonic() + ANSWER_TIMEOUTS * self._timeout
        while data := self._read(self._response.raw.read1, CHUNK_BYTES):
            size += len(data)
            if time.monotonic() > end:
                raise failed(
                    UpstreamTimeout, f"{self.host} takes too long to answer.", self._error_host
                )
            if size > limit:
                raise self._excess(limit)
            parts.append(data)
        body = decode(b"".join(parts), self.headers, limit)
        if body is None:
            raise self._excess(limit)
        return body

    def _excess(self, limit: int) -> UpstreamUnavailable:
        return failed(
            UpstreamUnavailable,
            f"{self.host} sent more than the {limit} bytes allowed.",
            self._error_host,
        )

    def close(self) -> None:
        """Let go of the connection."""
        let_go(self._response)

    def __exit__(self, *_: object) -> None:
        self.close()


def failed(kind: type[UpstreamUnavailable], text: str, host: str) -> UpstreamUnavailable:
    """Return an error of a host: host and port, or empty for the remote's own."""
    error = kind(text)
    error.host = host
    return error


def words_of(response: requests.Response) -> str:
    """Return what the remote said, as far as it is a short text, and let go of the answer."""
    text = read_little(response, DRAIN_MAX_BYTES).decode("utf-8", "replace")
    response.close()
    in_json = re.search(r'"message"\s*:\s*"([^"]*)"', text)
    words = " ".join((in_json[1] if in_json else text).split())
    return "".join(filter(str.isprintable, words))[
        :MESSAGE_MAX_CHARS
    ]  # it may end in somebody's terminal


def let_go(response: requests.Response) -> None:
    """Close an answer; its connection is used again if next to nothing is left of the body."""
    length = parse_count(response.headers.get("Content-Length"))
    if response.request.method == "HEAD" or (length is not None and length <= DRAIN_MAX_BYTES):
        read_little(response, DRAIN_MAX_BYTES + 1)
    response.close()


def read_little(response: requests.Response, limit: int) -> bytes:
    """Return at most so many bytes of a body, and those alone that come within a moment."""
    data, end = b"", time.monotonic() + DRAIN_TIMEOUT_S
    with suppress(*TRANSPORT_ERRORS):
        sock = getattr(response.raw.connection, "sock", None)
        if sock is not None:
            sock.settimeout(DRAIN_TIMEOUT_S)  # the next request sets its own
        while len(data) < limit and time.monotonic() < end:
            more: bytes = response.raw.read1(limit - len(data), decode_content=False)
            if not more:
                break
            data += more
    return data


def parse_count(text: str | None) -> int | None:
    """Return the number that a text is, or None if it is none that can be meant."""
    return int(text) if text is not None and _COUNT.fullmatch(text.strip()) else None


def encoding_of(headers: Mapping[str, str]) -> str:
    """Return the compression of a body in lower case, empty if there is none that is known."""
    name = headers.get("Content-Encoding", "").strip().lower()
    return name if name in (*_GZIP, "deflate") else ""


def decode(data: bytes, headers: Mapping[str, str], limit: int) -> bytes | None:
    """Return the body that was compressed into ``data``; ``data`` itself if it is not compressed.

    Some remotes send the header with a body that is not compressed, or is meant as it is.

    Returns:
        At most ``limit`` bytes; None if there would be more.
    """
    encoding = encoding_of(headers)
    if not encoding:
        return data
    found = bytearray()
    decoder = Decoder(encoding)
    try:
        for piece in decoder.feed(data):
            found += piece
            if len(found) > limit:
                return None
    except zlib.error:
        return data
    return bytes(found) if decoder.is_complete else data


class Decoder:
    """Unpacks one body, piece by piece."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._inflater = zlib.decompressobj(_EITHER)
        self._has_begun = False

    @property
    def is_complete(self) -> bool:
        """Whether the body ended where its compression says so."""
        return self._inflater.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what ``data`` unpacks to (zlib.error)."""
        if data and not self._has_begun:
            self._has_begun = True
            if self._encoding == "deflate" and data[0] & 0x0F != zlib.DEFLATED:
                self._inflater = zlib.decompressobj(_NO_HEADER)
        while data:
            if self._inflater.eof:
                if not data.startswith(_MEMBER):
                    return  # padding
                self._inflater = zlib.decompressobj(_EITHER)
            yield from self._inflate(data)
            data = self._inflater.unused_data

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        while True:
            piece = self._inflater.decompress(data, CHUNK_BYTES)
            data = self._inflater.unconsumed_tail
            if piece:
                yield piece
            if self._inflater.eof or not (data or len(piece) == CHUNK_BYTES):
                return


class DecodedBody:
    """What a compressed body unpacks to; a :class:`repoman.proxy.fetching.Body` from the start on.

    Args:
        body: a whole answer, not a part of one.
        size: of what it unpacks to, in bytes, if that is known.
    """

    def __init__(self, body: Body, size: int | None) -> None:
        self._body = body
        self._decoder = Decoder(encoding_of(body.headers))
        self._pieces: Iterator[bytes] = iter(())
        self.status = 200
        # Not its ETag, which is of the compressed form, nor what tells lengths.
        self.headers: Mapping[str, str] = {
            name: body.headers[name] for name in _DECODED_HEADERS if name in body.headers
        }
        self.length = size

    def read(self) -> bytes:
        """Return the next bytes, none at the end.

        Raises:
            UpstreamUnavailable: the body is not compressed as its header says, or is cut off.
        """
        try:
            while not (piece := next(self._pieces, b"")):
                data = self._body.read()
                if not data:
                    if not self._decoder.is_complete:
                        raise UpstreamUnavailable(
                            "The remote closed the connection while sending a compressed response."
                        )
                    return b""
                self._pieces = self._decoder.feed(data)
        except zlib.error as error:
            raise UpstreamUnavailable(
                "The remote sent a response that is not compressed as its Content-Encoding says."
            ) from error
        return piece

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()
