"""Checksums beside files and documents: texts that are never stored, and fit what is served."""

import hashlib
import re

from repoman.errors import Invalid
from repoman.files.format import Checksum, File
from repoman.files.service import FileRepository
from repoman.http.body import Stream
from repoman.http.content import Content

CHUNK_BYTES = 1 << 20  # Of what has to be hashed, so much is read at a time.
_HEX = re.compile(r"[0-9a-f]+")


def checksum_of(content: Content, algorithm: str) -> str:
    """Return the digest of a file, in hex: the one that is stored, or else of all its bytes.

    Raises:
        RepomanError: its bytes cannot be read, or do not arrive.
    """
    return content.checksums().get(algorithm) or _hashed(content, algorithm)


def verify(repository: FileRepository, checksum: Checksum, text: bytes) -> None:
    """Compare a file that was stored with the checksum that its client has computed.

    That of a document is not compared: the documents that are served are made here.

    Raises:
        Invalid: they differ, or the text is no checksum.
        NotFound: there is no such file.
    """
    given = read_checksum(text, checksum.algorithm)
    if not given:
        raise Invalid(f"This is no {checksum.algorithm} in hexadecimal digits.")
    if not isinstance(checksum.of, File):
        return
    if checksum_of(repository.get(checksum.of), checksum.algorithm) != given:
        raise Invalid(
            f"The {checksum.algorithm} {given} is not that of {checksum.of.path!r} as it is stored "
            "here. Delete that file, and upload it again."
        )


def read_checksum(text: bytes, algorithm: str) -> str:
    """Return the digest in a text, which may name the file after it; empty: there is none."""
    first = text.decode("latin-1").lower().split(maxsplit=1)[:1]
    size = 2 * hashlib.new(algorithm).digest_size
    return next((each for each in first if len(each) == size and _HEX.fullmatch(each)), "")


def _hashed(content: Content, algorithm: str) -> str:
    body, state = content.open(), hashlib.new(algorithm)
    if isinstance(body, bytes):
        state.update(body)
    elif isinstance(body, Stream):
        for piece in body.pieces(0, content.size):
            state.update(piece)
    else:
        with body as file:
            while data := file.read(CHUNK_BYTES):
                state.update(data)
    return state.hexdigest()
