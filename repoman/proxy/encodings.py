"""Answers that a remote compresses although it was asked not to (the header Content-Encoding).

Source: RFC 9110, 8.4. Known are gzip and deflate, which is what web servers do by themselves.
"""

import zlib
from collections.abc import Iterator, Mapping

from repoman.errors import UpstreamUnavailable
from repoman.proxy.order import Body

PIECE_BYTES = 1 << 20
"""At most so many bytes are unpacked at a time, however well they were packed."""

_GZIP = ("gzip", "x-gzip")
_EITHER = 32 + zlib.MAX_WBITS  # the header tells gzip from zlib
_NO_HEADER = -zlib.MAX_WBITS
_MEMBER = b"\x1f\x8b"  # how each member of a gzip file begins; it may have several


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
            piece = self._inflater.decompress(data, PIECE_BYTES)
            data = self._inflater.unconsumed_tail
            if piece:
                yield piece
            if self._inflater.eof or not (data or len(piece) == PIECE_BYTES):
                return


class DecodedBody:
    """What a compressed body unpacks to; a :class:`repoman.proxy.order.Body` from the start on.

    Args:
        body: a whole answer, not a part of one.
        size: of what it unpacks to, in bytes, if that is known.
    """

    def __init__(self, body: Body, size: int | None) -> None:
        self._body = body
        self._decoder = Decoder(encoding_of(body.headers))
        self._pieces: Iterator[bytes] = iter(())
        self.status = 200
        self.headers: Mapping[str, str] = {}
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
