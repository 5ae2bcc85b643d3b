"""Where a remote may send us: redirects and token services must not lead into private networks.

Else a remote could have this server ask what only this server can reach (SSRF), or could draw
credentials to a host of its choice.
"""

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from repoman.errors import UpstreamUnavailable

PORTS = {"http": 80, "https": 443}
# Registries of names hand out names below these: two more labels are needed to tell owners apart.
_SECOND_LEVEL = {"ac", "co", "com", "edu", "gov", "net", "org"}

Resolve = Callable[[str], list[str]]


def resolve_host(host: str) -> list[str]:
    """Return the addresses of a host name; none if it has none."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None)]
    except (OSError, UnicodeError):
        return []


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host in lower case, and port.

    Raises:
        ValueError: it is no address that can be asked.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is no http or https address")
    return parts.scheme, parts.hostname.lower(), parts.port or PORTS[parts.scheme]


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
    """Judges where one remote sends us.

    Args:
        remote: its address.
        allow_private: whether anything goes.
        resolve: from a host name to its addresses.
    """

    def __init__(
        self, remote: str, *, allow_private: bool = False, resolve: Resolve = resolve_host
    ) -> None:
        self._remote = remote
        self._origin = origin_of(remote)
        self._allow_private = allow_private
        self._resolve = resolve

    def check(self, url: str, source: str) -> None:
        """Return if we may follow from ``source`` to ``url``.

        Raises:
            UpstreamUnavailable: it leads from https to http, or to where the remote is not.
        """
        try:
            scheme, host, _ = origin_of(url)
        except ValueError as error:
            raise self._refusal("an address that cannot be asked") from error
        if scheme == "http" and urlsplit(source).scheme == "https":
            raise self._refusal(f"{host} without TLS")
        if self._allow_private or host == self._origin[1]:
            return
        if strange := self._networks(host) - self._networks(self._origin[1]):
            raise self._refusal(f"{host}, a {min(strange)} address")

    def may_have_credentials(self, url: str) -> bool:
        """Return whether the remote's credentials may be sent to this token service."""
        scheme, host, _ = origin_of(url)
        is_as_safe = scheme == "https" or self._origin[0] == "http"
        return is_as_safe and is_same_owner(host, self._origin[1])

    def _networks(self, host: str) -> set[str]:
        """Return the kinds of networks, besides the public one, that a host is in."""
        found = {_network(address) for address in self._resolve(host)}
        return found - {""}

    def _refusal(self, target: str) -> UpstreamUnavailable:
        return UpstreamUnavailable(
            f"The remote {self._remote} sends us to {target}, which is refused."
        )


def _network(text: str) -> str:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    return "" if address.is_global and not address.is_multicast else "private"
