"""Which paths a file may have. No I/O."""

import re

from repoman.plugin import Invalid

LIMIT = 1024  # characters of a path
# Control characters, and the character that replaces bytes that are not UTF-8.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")


def check_path(path: str) -> None:
    """Check the path of a file, relative to the root of its repository.

    Raises:
        Invalid: the path is not allowed; the message says why.
    """
    if len(path) > LIMIT:
        raise Invalid(f"The path has {len(path)} characters; at most {LIMIT} are allowed.")
    if _FORBIDDEN.search(path):
        raise Invalid("The path contains a control character or is not UTF-8.")
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            raise Invalid(f"The path {path!r} contains the segment {segment!r}.")
