"""The address under which others know the server or a repository, as a setting."""

import re
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

# A host name, also with the underscores of container networks, or an address; and a port.
HOST = re.compile(
    r"(?:[._-]*[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\])(?::([0-9]{0,5}))?"
)
PORT_MAX = 65_535


@lru_cache(maxsize=1000)
def is_host(text: str) -> bool:
    """Return whether a text is a host, with or without a port, of which an address can be made."""
    found = HOST.fullmatch(text)
    if found is None or not (not found[1] or 1 <= int(found[1]) <= PORT_MAX):
        return False
    try:
        return bool(text.encode().decode("idna"))
    except UnicodeError:  # after xn--, what nobody can have encoded
        return False


def _check(url: str) -> str:
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not is_host(parts.netloc):
        raise ValueError("must be an http or https address such as https://registry.example.com")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError("must not have a query or a fragment")
    if not (url.isascii() and url.isprintable()) or any(each in url for each in ' "\\<>'):
        raise ValueError("must be an ASCII address without spaces and quotation marks")
    return url.rstrip("/")


# An http or https address, without a slash at its end; empty: none.
ExternalUrl = Annotated[str, AfterValidator(_check)]
