"""Redirects: which address a remote sends us to, byte for byte, and who is shown a login there.

Signed addresses of object stores hold only as they were written: ``%2f`` is not ``%2F`` to them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin

from repoman.proxy.targets import origin_of

REDIRECTS_MAX = 10
"""A request follows at most so many redirects."""

Authorize = Callable[[str], str | None]
"""Returns the Authorization header for an address, or None; see :meth:`UpstreamClient.open`."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_AUTHORITY = re.compile(r"[^/?#]*")


@dataclass(frozen=True, slots=True)
class RemoteRequest:
    """A request to a remote, with the redirects that it leads to."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    authorize: Authorize | None = field(default=None, repr=False)
    body: bytes | None = field(default=None, repr=False)

    def headers_for(self, url: str, home: str, *, was_elsewhere: bool) -> dict[str, str]:
        """Return the headers for an address, with no login of the first for any other.

        Who has sent us back to the first host, or to the remote at ``home``, does not get its login
        either: another host would choose what is read with it.
        """
        is_back = shares_login(self.url, url) or shares_login(home, url)
        if was_elsewhere and (is_back or self.authorize is None):
            return {k: v for k, v in self.headers.items() if k.lower() != "authorization"}
        header = None if self.authorize is None else self.authorize(url)
        return self.headers if header is None else {**self.headers, "Authorization": header}


def next_address(base: str, location: str) -> str:
    """Return the address that the header ``Location`` of an answer from ``base`` names.

    An absolute address is kept as it is, a relative one is resolved (RFC 3986, 5.2.2), and the
    query of both is kept. Only bytes that no request line may hold are escaped.
    """
    location = _printable(location.strip()).partition("#")[0]
    if _SCHEME.match(location):
        return location
    if location.startswith("//"):
        return f"{base.partition(':')[0]}:{location}"
    path, mark, query = location.partition("?")
    here = base.partition("#")[0].partition("?")[0]
    return (urljoin(here, path) if path else here) + mark + query


def split_address(url: str) -> tuple[str, str]:
    """Return the root of the host that an address names, and the target to ask it for."""
    scheme, _, rest = url.partition("://")
    found = _AUTHORITY.match(rest)
    authority = found[0] if found else ""
    target = _printable(rest[len(authority) :].partition("#")[0])
    return f"{scheme}://{authority}/", target if target.startswith("/") else f"/{target}"


def shares_login(url: str, target: str) -> bool:
    """Return whether the login for ``url`` may be shown at ``target``.

    It may at the same origin, and where the same host takes us from HTTP up to HTTPS.

    Raises:
        ValueError: one of them is not a valid address.
    """
    one, other = origin_of(url), origin_of(target)
    return one == other or (one[0], other[0], one[1]) == ("http", "https", other[1])


def _printable(text: str) -> str:
    """Return a text whose spaces, control characters and bytes beyond ASCII are escaped."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    try:
        data = text.encode("latin-1")  # as the bytes of a header are read
    except UnicodeEncodeError:
        data = text.encode("utf-8", "replace")
    return "".join(chr(byte) if 0x21 <= byte <= 0x7E else f"%{byte:02X}" for byte in data)
