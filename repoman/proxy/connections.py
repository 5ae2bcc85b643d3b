"""Connections to remotes: only to addresses that were judged, and with an end to all patience.

Trusted are the certificates of public authorities, the system's, and private ones: the file that an
administrator names and the trust store are added to the public authorities, since a registry with a
private authority may still redirect to a public host.
"""

import http.client
import io
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests
from requests import adapters
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context

from repoman.proxy.network import no_text
from repoman.proxy.redirects import Targets
from repoman.trust_store import trust_also

# The name under which a request carries its target, as in HTTP/2; it is not a header.
TARGET = ":path"

# A header or a small body may take this many times the timeout, which is for each wait.
ANSWER_TIMEOUTS = 5
DEFAULT_TIMEOUT_S = 60.0  # The timeout of connections that have none.
CONNECTIONS_PER_HOST = 64  # Connections that are kept open to each host.
ADDRESS_TIMEOUT_MIN_S = 0.1  # The time to connect to one address, however many there are.
# Where distributions keep the authorities of the system: Debian and Alpine, Red Hat, SUSE.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
# These name files or directories of authorities; OpenSSL itself reads SSL_CERT_FILE and _DIR.
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
OPENSSL_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# These name the HTTP proxies of the environment.
PROXY_VARIABLES = tuple(
    spelled
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for spelled in (name, name.upper())
)
SERVERS_MAX = 1_000  # Servers of which it is remembered how they are reached.
CONTEXTS_MAX = 64  # TLS contexts that are kept; proxies with the same bundle share one.

Stamp = tuple[object, ...]

_log = logging.getLogger(__name__)


class UnknownName(OSError):
    """A host name has no address."""


class BundleError(ValueError):
    """A file of authorities cannot be used; the text says why."""


class Trust:
    """The TLS context of a proxy, made when it is first needed; thread safe.

    Args:
        bundle: PEM file or directory of further authorities; empty for none.
        trusted: returns further certificates as PEM; empty for none.
    """

    def __init__(self, bundle: str = "", trusted: Callable[[], str] = no_text) -> None:
        self._bundle = bundle
        self._trusted = trusted
        self._lock = threading.Lock()
        self._last: tuple[Stamp, ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context for a connection; another one once what it trusts has changed.

        Raises:
            BundleError: the bundle is missing or damaged, and was never read before.
        """
        variables = map(os.environ.get, (*VARIABLES, *OPENSSL_VARIABLES))
        stamp = (self._trusted(), _stamp(self._bundle), *variables)
        last = self._last
        if last is None or last[0] != stamp:
            with self._lock:
                last = self._last = stamp, self._renewed(stamp)
        return last[1]

    def _renewed(self, stamp: Stamp) -> ssl.SSLContext:
        try:
            return _make_context(self._bundle, str(stamp[0]), stamp)
        except BundleError as error:
            if self._last is None:
                raise
            # While somebody writes the file again, the former one counts.
            _log.warning(
                "http_client.ca_bundle: %s; the previous certificates remain in use.", error
            )
            return self._last[1]


def check_bundle(bundle: str) -> None:
    """Return if authorities can be read from a PEM file or directory.

    Raises:
        BundleError: they cannot, and why.
    """
    _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), bundle)


@lru_cache(CONTEXTS_MAX)
def _make_context(bundle: str, trusted: str, _: Stamp) -> ssl.SSLContext:
    context: ssl.SSLContext = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_default_certs()
    public = adapters.DEFAULT_CA_BUNDLE_PATH
    for path in (public, *SYSTEM_BUNDLES, *map(os.environ.get, VARIABLES)):
        if path and Path(path).exists():
            _load(context, path)
    if bundle:
        _load(context, bundle)
    trust_also(context, trusted)
    return context


def _load(context: ssl.SSLContext, bundle: str) -> None:
    try:
        if Path(bundle).is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except FileNotFoundError as error:
        raise BundleError(f"the file {bundle} does not exist") from error
    except ssl.SSLError as error:
        raise BundleError(f"{bundle} contains no certificates in PEM format") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{bundle} cannot be read") from error


def _stamp(bundle: str) -> Stamp:
    """Return what changes when the file of a bundle does."""
    if not bundle:
        return ()
    try:
        found = Path(bundle).stat()
    except (OSError, ValueError):
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def environment_proxies(root: str) -> Mapping[str, str]:
    """Return the HTTP proxies that the environment names for a server, by its address."""
    return _environment_proxies(root, tuple(map(os.environ.get, PROXY_VARIABLES)))


@lru_cache(SERVERS_MAX)
def _environment_proxies(root: str, _: Stamp) -> Mapping[str, str]:
    # It goes through all variables, twice.
    proxies: Mapping[str, str] = get_environ_proxies(root)
    return proxies


class _Adapter(HTTPAdapter):
    """Connects to the addresses that were judged, without a second question to a name server."""

    def __init__(self, targets: Targets, trust: Trust, **options: Any) -> None:
        self._targets = targets
        self._trust = trust
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of connections; those to an HTTP proxy are made elsewhere."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = judged_pools(self._targets)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools of connections to an HTTP proxy."""
        is_new = proxy not in self.proxy_manager
        manager: Any = super().proxy_manager_for(proxy, **options)
        if is_new:
            manager.pool_classes_by_scheme = verbatim_pools(manager.pool_classes_by_scheme)
        return manager

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        """Return which pool a request belongs to: HTTPS has the one TLS context of this proxy."""
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            options["ssl_context"] = self._trust.context()
        return host, options

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Leave the context as it is: else files would be read again for each connection."""


def make_session(targets: Targets, trust: Trust) -> requests.Session:
    """Return a session that keeps no cookies, and reads no passwords from the user's files."""
    session = requests.Session()
    session.trust_env = False  # no passwords from ~/.netrc
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    for scheme in ("http://", "https://"):
        session.mount(
            scheme, _Adapter(targets, trust, pool_maxsize=CONNECTIONS_PER_HOST, max_retries=0)
        )
    return session


def judged_pools(targets: Targets) -> dict[str, Any]:
    """Return the classes of pools, by scheme, whose connections go where ``targets`` lets them."""
    return {
        "http": _pool_class(HTTPConnectionPool, HTTPConnection, targets),
        "https": _pool_class(HTTPSConnectionPool, HTTPSConnection, targets),
    }


def verbatim_pools(classes: Mapping[str, Any]) -> dict[str, Any]:
    """Return classes of pools, by scheme, that send the target of a request byte by byte."""
    return {scheme: _verbatim_class(pool, pool.ConnectionCls) for scheme, pool in classes.items()}


def _pool_class(pool: Any, connection: Any, targets: Targets) -> Any:
    class Judged(connection):  # type: ignore[misc]
        response_class = _Prompt

        def _new_conn(self) -> socket.socket:
            return _connect(self, targets)

    return _verbatim_class(pool, Judged)


def _verbatim_class(pool: Any, connection: Any) -> Any:
    class Verbatim(connection):  # type: ignore[misc]
        def request(
            self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any
        ) -> None:
            """Send a request; urllib3 alone would escape and normalise what ``url`` holds."""
            sent = dict(headers or {})
            target = sent.pop(TARGET, None)
            if target is not None:
                root = "" if url.startswith("/") else url.rstrip("/")  # for an HTTP proxy
                url = root + target
            super().request(method, url, body, sent, **options)

    return type("VerbatimPool", (pool,), {"ConnectionCls": Verbatim})


def _connect(connection: HTTPConnection, targets: Targets) -> socket.socket:
    """Return a socket to the first address of the connection's host that answers.

    All of them together have the time of the connection; each has its part of what is left.
    """
    last: OSError = UnknownName("the name does not resolve to an address")
    addresses = targets.addresses(connection.host.strip("[]"))
    timeout = connection.timeout or DEFAULT_TIMEOUT_S
    end = time.monotonic() + timeout
    for number, address in enumerate(addresses):
        part = max(ADDRESS_TIMEOUT_MIN_S, (end - time.monotonic()) / (len(addresses) - number))
        try:
            made = create_connection(
                (address, connection.port),
                part,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
            made.settimeout(timeout)
            return made
        except OSError as error:
            last = error
    if isinstance(last, TimeoutError):
        raise ConnectTimeoutError(connection, str(last)) from last
    raise NewConnectionError(connection, str(last)) from last


class _Prompt(http.client.HTTPResponse):
    """An answer whose header has to come within a time, and not only each byte of it."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        raw = _Timed(self.fp.detach(), ANSWER_TIMEOUTS * (sock.gettimeout() or DEFAULT_TIMEOUT_S))
        self._raw = raw
        self.fp = io.BufferedReader(raw)

    def _read_status(self) -> tuple[str, int, str]:
        """Return the first line of the answer itself, past the hints that may come before it."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not HTTPStatus.SWITCHING_PROTOCOLS < status < HTTPStatus.OK:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def begin(self) -> None:
        """Read the header."""
        super().begin()
        self._raw.end = None  # a body may take as long as it wants


class _Timed(io.RawIOBase):
    """Reads from a socket until a time has passed."""

    def __init__(self, raw: io.RawIOBase, seconds: float) -> None:
        self._raw = raw
        self.end: float | None = time.monotonic() + seconds

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there."""
        if self.end is not None and time.monotonic() > self.end:
            raise TimeoutError("the header takes too long")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the socket's side, too."""
        self._raw.close()
        super().close()
