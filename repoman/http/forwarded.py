"""Behind a proxy: who the client is and how it reached us, as reported by trusted proxies only.

From any other address the ``X-Forwarded-`` headers are dropped, so that nobody can choose the
address in the logs or the host in a link.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from repoman.http.access_log import WSGI
from repoman.http.body import Environ

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PREFIX = "HTTP_X_FORWARDED_"
SCHEMES = ("http", "https")


class Forwarded:
    """WSGI middleware in front of everything that looks at scheme, host or address."""

    def __init__(self, app: WSGI, proxies: Sequence[Network]) -> None:
        self._app = app
        self._proxies = proxies
        self._fixed = ProxyFix(app, x_for=0, x_proto=1, x_host=1, x_port=1, x_prefix=1)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        if self._is_proxy(environ.get("REMOTE_ADDR", "")):
            environ["REMOTE_ADDR"] = self._client(environ)
            _tidy(environ)
            return self._fixed(environ, start_response)
        for key in [key for key in environ if key.startswith(PREFIX)]:
            del environ[key]
        return self._app(environ, start_response)

    def _client(self, environ: Environ) -> str:
        """Return the last address that no proxy of ours has: what is before it may be invented."""
        address: str = environ["REMOTE_ADDR"]
        for hop in reversed(environ.get(PREFIX + "FOR", "").split(",")):
            found = _parse(hop.strip())
            if found is None:
                return address
            address = str(found)
            if not self._is_proxy(address):
                return address
        return address

    def _is_proxy(self, address: str) -> bool:
        parsed = _parse(address) if self._proxies else None
        return parsed is not None and any(parsed in network for network in self._proxies)


def _tidy(environ: Environ) -> None:
    """Leave out what no link can be made of, where a proxy passes on what its client has sent."""
    path = environ.get(PREFIX + "PREFIX", "").rpartition(",")[2].strip(" /")
    environ[PREFIX + "PREFIX"] = path and f"/{path}"
    if environ.get(PREFIX + "PROTO", "").rpartition(",")[2].strip().lower() not in SCHEMES:
        environ.pop(PREFIX + "PROTO", None)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address, or None if it is none.

    One of IPv4 that came in by a socket for both kinds is one of IPv4. A zone (``fe80::1%eth0``)
    means something on the sender's machine only, and may hold anything.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address
