"""The ranges of uploads: the chunk that is sent, and the bytes that have arrived.

This is not about the Range header of downloads, which is plain HTTP.
Source: OCI distribution-spec, Pushing a blob in chunks.
"""

import re

from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted

_CONTENT_RANGE = re.compile(
    r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:\*|[0-9]{1,18}))?", re.IGNORECASE
)


def parse_content_range(text: str) -> tuple[int, int]:
    """Return the first and the last byte of the chunk, both inclusive, counted from 0.

    Clients send ``a-b``; ``bytes a-b/total`` of HTTP is accepted too, its total is ignored.

    Raises:
        RegistryError: BLOB_UPLOAD_INVALID, it is malformed or ends before it begins.
    """
    found = _CONTENT_RANGE.fullmatch(text.strip())
    start, end = (int(found[1]), int(found[2])) if found else (0, -1)
    if end < start:
        raise RegistryError(
            ErrorCode.BLOB_UPLOAD_INVALID,
            f"The Content-Range {quoted(text)} is not valid. Write it as first-last, in bytes.",
        )
    return start, end


def check_length(start: int, end: int, length: int) -> None:
    """Check that a chunk of ``length`` bytes fills ``start`` to ``end``, both inclusive.

    Raises:
        RegistryError: SIZE_INVALID, it does not.
    """
    expected = end - start + 1
    if length != expected:
        raise RegistryError(
            ErrorCode.SIZE_INVALID,
            f"The Content-Range announces {expected} bytes, but the chunk has {length}.",
        )


def render_range(offset: int) -> str:
    """Return the value of the Range header of an upload that has ``offset`` bytes.

    It has no unit, and is one byte too long for an empty upload, because docker expects that.
    """
    return f"0-{max(offset - 1, 0)}"
