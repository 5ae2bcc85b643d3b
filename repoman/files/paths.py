"""The paths of files: which of them are allowed, and what their names suggest."""

import mimetypes
import re

from repoman.errors import Invalid
from repoman.files.format import DOCUMENTS, STATES

PATH_MAX_CHARS = 1024  # A longer path is refused.
# Control characters, and the character that replaces bytes that are not UTF-8.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")


def guess_media_type(path: str) -> str:
    """Return the media type that the name of a file suggests."""
    guess, encoding = mimetypes.guess_type(path)
    if guess is None or encoding is not None:  # app.tar.gz does not have the type of app.tar
        guess = "application/octet-stream"
    return guess


def check_free(path: str) -> None:
    """Return if no path of the server's own begins like this one (Invalid)."""
    if path.startswith((STATES, DOCUMENTS)):
        raise Invalid(f"Paths such as {path!r} are kept for what the server itself stores.")


def check_path(path: str) -> None:
    """Check the path of a file, relative to the root of its repository.

    Raises:
        Invalid: the path is not allowed; the message says why.
    """
    if len(path) > PATH_MAX_CHARS:
        raise Invalid(f"The path has {len(path)} characters; at most {PATH_MAX_CHARS} are allowed.")
    if _FORBIDDEN.search(path):
        raise Invalid("The path contains a control character or is not UTF-8.")
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            raise Invalid(f"The path {path!r} contains the segment {segment!r}.")
