"""The address and the path under which others know the server or a repository, as settings."""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

HOST_MAX_CHARS = 300  # Characters of a host with its port; names have at most 253 (RFC 1035).
# A host name, also with the underscores of container networks, or an address; and a port.
HOST = re.compile(
    r"(?:(?=[-_.]*[A-Za-z0-9])(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?"
    r"|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{0,5}))?"
)
PORT_MAX = 65_535
PATH_PART = re.compile(r"[A-Za-z0-9._-]{1,100}")


@lru_cache(maxsize=1000)
def is_host(text: str) -> bool:
    """Return whether a text is a host, with or without a port, of which an address can be made.

    Texts from clients must not be longer than ``HOST_MAX_CHARS``: they are kept.
    """
    found = HOST.fullmatch(text)
    if (
        found is None
        or len(text) > HOST_MAX_CHARS
        or not (not found[2] or 1 <= int(found[2]) <= PORT_MAX)
    ):
        return False
    try:
        # After xn-- there may be what nobody can have encoded.
        return bool(IPv6Address(found[1]) if found[1] else text.encode().decode("idna"))
    except ValueError:
        return False


def check_external_url(url: str) -> str:
    """Return an address without a slash at its end (ValueError: it is none)."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and is_host(parts.netloc)
    except ValueError:  # such as http://[
        is_address = False
    if not is_address:
        raise ValueError("must be an http or https address such as https://registry.example.com")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError("must not have a query or a fragment")
    if not (url.isascii() and url.isprintable()) or any(each in url for each in ' "\\<>'):
        raise ValueError("must be an ASCII address without spaces and quotation marks")
    return url.rstrip("/")


# An http or https address, without a slash at its end; empty: none.
ExternalUrl = Annotated[str, AfterValidator(check_external_url)]


def check_context_path(path: str) -> str:
    """Return a path with a slash at its begin and none at its end (ValueError: it is none)."""
    path = path.strip("/")
    if not path:
        return ""
    if not all(PATH_PART.fullmatch(part) and part.strip(".") for part in path.split("/")):
        raise ValueError("must be a path of letters, digits, dots, dashes and underscores")
    return f"/{path}"


# A path such as /nexus; empty: none.
ContextPath = Annotated[str, AfterValidator(check_context_path)]
