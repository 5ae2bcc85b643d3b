"""What requests tell of reverse proxies in front of the server; nobody is asked for it."""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ADDRESSES_MAX = 100  # Addresses that are remembered.
PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ],
    )
)
FORGOTTEN_S = 86_400.0  # Seconds without a sighting after which an address is forgotten.


@dataclass(frozen=True, slots=True)
class Sighting:
    """A machine that sends requests of others.

    Attributes:
        at: when it was last seen, in seconds since the epoch.
        is_trusted: whether its headers are believed.
        has_scheme: whether it tells by which scheme the client came.
    """

    at: float
    is_trusted: bool
    has_scheme: bool


class ProxySightings:
    """The proxies that requests came through; thread safe.

    An address outside of private networks is not noted unless it is trusted: anybody can send the
    headers of a proxy, and nobody should be advised to trust them.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, Sighting] = OrderedDict()

    def note(self, address: str, *, is_trusted: bool, has_scheme: bool) -> None:
        """Remember that a request came through this address."""
        now = self._clock()
        known = self._seen.get(address)
        if known is not None and known.has_scheme == has_scheme and now - known.at < 1:
            return  # Each request comes here.
        if not (is_trusted or _is_private(address)):
            return
        with self._lock:
            self._seen[address] = Sighting(now, is_trusted, has_scheme)
            self._seen.move_to_end(address)
            if len(self._seen) > ADDRESSES_MAX:
                self._seen.popitem(last=False)

    def recent(self) -> Mapping[str, Sighting]:
        """Return the proxies of the last day, by their addresses."""
        now = self._clock()
        with self._lock:
            return {key: each for key, each in self._seen.items() if now - each.at < FORGOTTEN_S}


def _is_private(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in PRIVATE)
