"""Where a request came from and to: trusted proxies, the Host header, and pages of other sites.

The address that a request came to is checked, and put in terms of the external address: addresses
that clients are told (the realm of tokens, links, hints) are made of it.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Request
from werkzeug.datastructures import EnvironHeaders, Headers, ImmutableMultiDict, MultiDict
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.utils import cached_property
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_host

from repoman.doctor.sightings import ProxySightings
from repoman.errors import Denied
from repoman.external_url import HOST_MAX_CHARS, is_host
from repoman.http.body import WSGI, Environ

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Another host by which clients know this server: the one that they sent, where the external address
# replaces it; the external one, where it does not.
ALIAS = "repoman.alias"
PORTS = {"http": ":80", "https": ":443"}  # What an address leaves out.
PREFIX = "HTTP_X_FORWARDED_"
SCHEME = PREFIX + "PROTO"
SCHEMES = ("http", "https")
_NO_ARGS: ImmutableMultiDict[str, str] = ImmutableMultiDict()
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class HostRequest(Request):
    """A request whose host may have an underscore, as in container networks.

    What few routes look at is made when they do: Werkzeug's own takes five times as many calls.
    """

    def __init__(
        self, environ: Environ, populate_request: bool = True, shallow: bool = False
    ) -> None:
        self.environ = environ
        self.shallow = shallow
        if populate_request and not shallow:
            environ["werkzeug.request"] = self
        self.method = environ["REQUEST_METHOD"].upper()
        self.scheme = environ["wsgi.url_scheme"]
        root, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        if not (root.isascii() and path.isascii()):
            root, path = _decode(root), _decode(path)
        self.root_path = root.rstrip("/")
        self.path = "/" + path.lstrip("/")
        self.query_string = environ.get("QUERY_STRING", "").encode("latin-1")
        self.remote_addr = environ.get("REMOTE_ADDR")

    @cached_property
    def headers(self) -> Headers:
        """The header of the request."""
        return EnvironHeaders(self.environ)

    @cached_property
    def server(self) -> tuple[str, int | None]:
        """The address that the request came to."""
        port = str(self.environ.get("SERVER_PORT", ""))
        return self.environ["SERVER_NAME"], int(port) if port.isdecimal() else None

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The parameters of the address."""
        return super().args if self.query_string else _NO_ARGS

    @property
    def host(self) -> str:
        """Return the host and port of the request, without the usual port."""
        host: str | None = self.environ.get("HTTP_HOST")
        return host.removesuffix(PORTS[self.scheme]) if host else get_host(self.environ)

    @host.setter
    def host(self, host: str) -> None:
        """Leave what Flask makes of Host: it is the same."""

    @cached_property
    def root_url(self) -> str:
        """Return the address of the application, with a slash at its end."""
        path = quote(self.root_path.rstrip("/"), safe="!$&'()*+,/:;=@%")
        return f"{self.scheme}://{self.host}{path}/"


def _decode(text: str) -> str:
    """Return a text of the environment, which has bytes as latin-1 (PEP 3333)."""
    return text.encode("latin-1").decode(errors="replace")


def names_of(request: Request) -> set[str]:
    """Return by which hosts the client may know this server, in lower case."""
    return {request.host.lower(), request.environ.get(ALIAS, request.host).lower()}


def check_host(environ: Environ) -> Response | None:
    """Return the refusal for a request whose Host is none; a port that is left empty goes."""
    host: str | None = environ.get("HTTP_HOST")
    if host is None:  # HTTP/1.0 needs none.
        return None
    if len(host) > HOST_MAX_CHARS or not is_host(host):
        return Response("The Host header must be a host name or an address.\n", 400)
    if host.endswith(":"):
        environ["HTTP_HOST"] = host[:-1]
    return None


def apply_external_url(environ: Environ, url: str) -> None:
    """Have all addresses be made as if the request had come to this one; empty: as it came."""
    if not url:
        return
    parts = urlsplit(url)
    environ[ALIAS] = environ.get("HTTP_HOST", "")
    environ["wsgi.url_scheme"] = parts.scheme
    environ["HTTP_HOST"] = parts.netloc
    environ["SCRIPT_NAME"] = parts.path


def note_external_url(environ: Environ, url: str) -> None:
    """Let pages of this address send requests, which come under another Host; empty: none."""
    if url:
        parts = urlsplit(url)
        environ[ALIAS] = parts.netloc.removesuffix(PORTS[parts.scheme])


class Forwarded:
    """WSGI middleware in front of everything that looks at scheme, host or address.

    Only trusted proxies say who the client is and how it reached us. From any other address the
    ``X-Forwarded-`` headers are dropped, so that nobody can choose the address in the logs or the
    host in a link.
    """

    def __init__(self, app: WSGI, proxies: Sequence[Network], sightings: ProxySightings) -> None:
        self._app = app
        self._proxies = proxies
        self._sightings = sightings
        self._fixed = ProxyFix(app, x_for=0, x_proto=1, x_host=1, x_port=1, x_prefix=1)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        address = environ.get("REMOTE_ADDR", "")
        if self._proxies and self._is_proxy(address):
            has_scheme = bool(environ.get(SCHEME))
            self._sightings.note(address, is_trusted=True, has_scheme=has_scheme)
            environ["REMOTE_ADDR"] = self._client(environ)
            _tidy(environ)
            return self._fixed(environ, start_response)
        if PREFIX in " ".join(environ):  # faster than a look at each of them
            sent = [key for key in environ if key.startswith(PREFIX)]
            self._sightings.note(address, is_trusted=False, has_scheme=SCHEME in sent)
            for key in sent:
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
        parsed = _parse(address)
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


def check_origin(request: Request) -> None:
    """Return if no page of another origin has made the request; what only reads is free.

    A browser sends along cookies, and passwords it was given once, whoever makes it send a request.
    It also says which site did: in ``Sec-Fetch-Site`` (over HTTPS and on loopback), and in
    ``Origin``. Other clients send neither.

    Raises:
        Denied: it has.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        origin = request.environ.get("HTTP_ORIGIN")
        is_ours = origin is None or _host_of(origin) in names_of(request)
    if not is_ours:
        raise Denied(
            "The request was sent by a page of another site. If this server is behind a reverse "
            "proxy, the proxy has to pass on the Host header of the browser."
        )


def _host_of(origin: str) -> str | None:
    """Return the host of an origin, or None if it has none.

    The scheme is left out: a proxy that does TLS and does not say so is not an attack.
    """
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:  # such as http://[
        return None
