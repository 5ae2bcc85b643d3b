"""Which paths a file may have. No I/O."""

import re

from repoman.plugin import Invalid

LIMIT = 1024  # characters of a path
# Control characters, and what the server reads in place of bytes that are no UTF-8.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")


def check_path(path: str) -> None:
    """Return if a file may have this path, as seen from the root of its repository.

    Raises:
        Invalid: it may not, and the text says why.
    """
    if len(path) > LIMIT:
        raise Invalid(f"The path has {len(path)} characters; at most {LIMIT} are allowed.")
    if _FORBIDDEN.search(path):
        raise Invalid("The path contains a control character, or is no UTF-8.")
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            raise Invalid(f"The path {path!r} contains the segment {segment!r}.")
