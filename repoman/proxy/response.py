"""What a remote answers: read raw, as it is on the wire, and with an end to all patience."""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress

import requests
import urllib3

from repoman.errors import UpstreamTimeout, UpstreamUnavailable
from repoman.proxy.connections import PATIENCE
from repoman.proxy.counts import parse_count
from repoman.proxy.encodings import decode
from repoman.proxy.failures import TIMEOUTS

CHUNK = 1 << 20  # most bytes taken at a time
LITTLE = 4096  # bytes of a body that is read for the sake of its connection, or its words
MOMENT = 2.0  # seconds for that
MESSAGE = 300  # characters of a remote's own words that are passed on

TRANSPORT = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class UpstreamResponse(AbstractContextManager["UpstreamResponse"]):
    """An answer of a remote whose body is still on its way; to be closed.

    Attributes:
        host: who answered, as the subject of a sentence.
        url: the address that answered, after redirects.
    """

    def __init__(
        self, host: str, place: str, response: requests.Response, url: str, timeout: float
    ) -> None:
        self.host = host
        self._place = place
        self._timeout = timeout
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = url

    @property
    def length(self) -> int | None:
        """Bytes of the body as announced, if they were."""
        return parse_count(self.headers.get("Content-Length"))

    def read(self, amount: int = CHUNK) -> bytes:
        """Return the next bytes that are there, at most ``amount``; none at the end.

        Raises:
            UpstreamUnavailable: the connection ended before the body.
            UpstreamTimeout: nothing more came.
        """
        return self._read(self._response.raw.read1, amount)

    def _read(self, read: Callable[..., bytes], amount: int) -> bytes:
        try:
            return read(amount, decode_content=False)
        except TIMEOUTS as error:
            raise failed(
                UpstreamTimeout,
                f"{self.host} sent no data for {self._timeout:g} s.",
                self._place,
            ) from error
        except TRANSPORT as error:
            raise failed(
                UpstreamUnavailable,
                f"{self.host} closed the connection while sending its response.",
                self._place,
            ) from error

    def read_all(self, limit: int) -> bytes:
        """Return the whole body, decompressed if it was compressed in spite of the request.

        Raises:
            UpstreamUnavailable: it is longer than ``limit`` bytes, or cut off.
            UpstreamTimeout: it is sent too slowly.
        """
        parts: list[bytes] = []
        size = 0
        end = time.monotonic() + PATIENCE * self._timeout
        while data := self._read(self._response.raw.read1, CHUNK):
            size += len(data)
            if time.monotonic() > end:
                raise failed(UpstreamTimeout, f"{self.host} takes too long to answer.", self._place)
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
            self._place,
        )

    def close(self) -> None:
        """Let go of the connection."""
        let_go(self._response)

    def __exit__(self, *_: object) -> None:
        self.close()


def failed(kind: type[UpstreamUnavailable], text: str, place: str) -> UpstreamUnavailable:
    """Return an error of the host at a place."""
    error = kind(text)
    error.host = place
    return error


def words_of(response: requests.Response) -> str:
    """Return what the remote said, as far as it is a short text, and let go of the answer."""
    text = read_little(response, LITTLE).decode("utf-8", "replace")
    response.close()
    in_json = re.search(r'"message"\s*:\s*"([^"]*)"', text)
    words = " ".join((in_json[1] if in_json else text).split())
    return "".join(filter(str.isprintable, words))[:MESSAGE]  # it may end in somebody's terminal


def let_go(response: requests.Response) -> None:
    """Close an answer; its connection is used again if next to nothing is left of the body."""
    length = parse_count(response.headers.get("Content-Length"))
    if response.request.method == "HEAD" or (length is not None and length <= LITTLE):
        read_little(response, LITTLE + 1)
    response.close()


def read_little(response: requests.Response, limit: int) -> bytes:
    """Return at most so many bytes of a body, and those alone that come within a moment."""
    data, end = b"", time.monotonic() + MOMENT
    with suppress(*TRANSPORT):
        sock = getattr(response.raw.connection, "sock", None)
        if sock is not None:
            sock.settimeout(MOMENT)  # the next request sets its own
        while len(data) < limit and time.monotonic() < end:
            more: bytes = response.raw.read1(limit - len(data), decode_content=False)
            if not more:
                break
            data += more
    return data
