"""Where a remote may send us: redirects and token services must not lead into private networks.

Else a remote could have this server ask what only this server can reach (SSRF), or could draw
credentials to a host of its choice. An address is judged twice: when a remote names it, for a good
text, and when a connection is made, to exactly the address that was judged.

A redirect is followed byte for byte: signed addresses of object stores hold only as they were
written, ``%2f`` is not ``%2F`` to them. Who is shown a login on the way is decided here as well.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from repoman.errors import UpstreamUnavailable

ADDRESSES_MAX = 128  # Addresses whose origins are remembered: a request asks for some repeatedly.
REDIRECTS_MAX = 10  # A request follows at most so many redirects.
DEFAULT_PORTS = {"http": 80, "https": 443}
# Registries of names hand out names below these: two more labels are needed to tell owners apart.
_SECOND_LEVEL = {"ac", "co", "com", "edu", "gov", "net", "org"}

PUBLIC = ""
HINT = "; http_client.allow_private would allow it"
_THIS_HOST = ipaddress.ip_network("0.0.0.0/8")  # connections to these end here as well
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # between a provider and its customers (RFC 6598)
_TRANSLATED = (
    ipaddress.ip_network("64:ff9b::/96"),  # NAT64 (RFC 6052)
    ipaddress.ip_network("::ffff:0:0:0/96"),  # SIIT (RFC 7915)
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str], list[str]]
# Returns the Authorization header for an address, or None; see UpstreamClient.open.
Authorize = Callable[[str], str | None]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_AUTHORITY = re.compile(r"[^/?#]*")


def resolve_host(host: str) -> list[str]:
    """Return the addresses of a host name; none if it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(each[4][0]) for each in found))
    except (OSError, UnicodeError):
        return []


@lru_cache(ADDRESSES_MAX)
def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host in lower case, and port.

    Raises:
        ValueError: it is not a valid address.
    """
    parts = urlsplit(url)
    # Libraries differ on where a host ends that has a backslash before it or in it.
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "\\" in parts.netloc:
        raise ValueError(f"{url!r} is not an http or https address")
    return parts.scheme, parts.hostname.lower(), parts.port or DEFAULT_PORTS[parts.scheme]


def is_same_owner(one: str, other: str) -> bool:
    """Return whether two hosts are one, or have the same registrable domain.

    Without the public suffix list this is a guess that errs towards the same owner only below
    suffixes which nobody runs a registry at.
    """
    return one == other or (
        not _is_address(one) and not _is_address(other) and _domain(one) == _domain(other) != ""
    )


def _domain(host: str) -> str:
    labels = host.rstrip(".").split(".")
    is_deep = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    count = 3 if is_deep else 2
    return ".".join(labels[-count:]) if len(labels) >= count else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Targets:
    """Judges where one remote sends us; thread safe.

    Which networks the remote itself is in is found out once, so that its owner cannot move it into
    ours later by what a name server says.

    Args:
        remote: its address.
        allow_private: whether all addresses are allowed.
        resolve: from a host name to its addresses.
    """

    def __init__(
        self, remote: str, *, allow_private: bool = False, resolve: Resolve = resolve_host
    ) -> None:
        self._remote = remote
        self._origin = origin_of(remote)
        self._allow_private = allow_private
        self._resolve = resolve
        self._home: frozenset[str] = frozenset()

    def check(self, url: str, source: str) -> None:
        """Return if we may follow from ``source`` to ``url``.

        Raises:
            UpstreamUnavailable: it leads from https to http, or to where the remote is not.
        """
        try:
            scheme, host, _ = origin_of(url)
        except ValueError as error:
            raise self._refusal("an address that is not valid") from error
        if scheme == "http" and urlsplit(source).scheme == "https":
            raise self._refusal(f"{host} without TLS")
        if self._allow_private or host == self._origin[1]:
            return
        found = frozenset(map(network_of, self._resolve(host)))
        if strange := found - self._allowed(host):
            raise self._refusal(f"{host}, a {min(strange)} address", HINT)

    def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host that may be connected to; none if it has none.

        Raises:
            UpstreamUnavailable: none of its addresses is allowed.
        """
        found = self._resolve(host)
        if self._allow_private:
            return found
        allowed = self._allowed(host.lower())
        good = [each for each in found if network_of(each) in allowed]
        if found and not good:
            raise self._refusal(f"{host}, a {network_of(found[0])} address", HINT)
        return good

    def may_have_credentials(self, url: str) -> bool:
        """Return whether the remote's credentials may be sent to this token service."""
        scheme, host, _ = origin_of(url)
        is_as_safe = scheme == "https" or self._origin[0] == "http"
        return is_as_safe and is_same_owner(host, self._origin[1])

    def _allowed(self, host: str) -> frozenset[str]:
        """Return the kinds of networks that a host may be in: the public one, and the remote's.

        A remote that is public as well is at home nowhere else: its owner may have put the other
        addresses there to be sent to them.
        """
        if not self._home:
            self._home = frozenset(map(network_of, self._resolve(self._origin[1])))
        is_elsewhere = PUBLIC in self._home and host != self._origin[1]
        return frozenset({PUBLIC}) if is_elsewhere else self._home | {PUBLIC}

    def _refusal(self, target: str, hint: str = "") -> UpstreamUnavailable:
        return UpstreamUnavailable(
            f"The remote {self._remote} redirects to {target}, which is refused{hint}."
        )


def network_of(text: str) -> str:
    """Return the kind of network that an address is in, in a word; empty for the public one.

    What carries an IPv4 address inside is judged by that.
    """
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        address = _carried(address) or address
    if address.is_loopback or address.is_unspecified or address in _THIS_HOST:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast or address.is_reserved:
        return "reserved"
    if address in _SHARED:
        return "shared"
    return PUBLIC if address.is_global else "private"


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a translator or tunnel would make of an IPv6 one."""
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


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
        is_back = is_same_server(self.url, url) or is_same_server(home, url)
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


def is_same_server(url: str, target: str) -> bool:
    """Return whether two addresses are of one server, which has one login and one health.

    They are at the same origin, and where the same host takes us from HTTP up to HTTPS.

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
