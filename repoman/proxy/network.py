"""What all proxies use of the network settings: HTTP proxies, and the trust store."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class HttpProxies:
    """The HTTP proxies that an administrator has set.

    Attributes:
        addresses: of the HTTP proxies, by the scheme of what is asked for; they hold passwords.
        direct: patterns of hosts that are contacted without them, such as ``*.example.com``.
    """

    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)
    direct: tuple[str, ...] = ()

    def find(self, url: str) -> Mapping[str, str] | None:
        """Return the proxies to use for an address, maybe none; None: those of the environment."""
        if not self.addresses:
            return None
        host = (urlsplit(url).hostname or "").lower()
        is_direct = any(fnmatchcase(host, pattern.lower()) for pattern in self.direct)
        return {} if is_direct else self.addresses


def _unset() -> None:
    return None


def no_text() -> str:
    """Return an empty text, where there is nothing to add."""
    return ""


@dataclass(frozen=True, slots=True)
class Network:
    """The network settings as they are whenever they are needed.

    Attributes:
        http_proxies: returns the HTTP proxies.
        user_agent: returns a text to add to the User-Agent header; maybe empty.
        timeout: returns the timeout of remotes that set none, in seconds; None: the usual one.
        retries: returns the number of retries of remotes that set none; None: the usual one.
        trusted: returns the certificates of the trust store as PEM; maybe empty.
    """

    http_proxies: Callable[[], HttpProxies] = HttpProxies
    user_agent: Callable[[], str] = no_text
    timeout: Callable[[], float | None] = _unset
    retries: Callable[[], int | None] = _unset
    trusted: Callable[[], str] = no_text
