"""The address that a request came to: checked, and put in terms of the external address.

Addresses that clients are told (the realm of tokens, links, hints) are made of it.
"""

from urllib.parse import quote, urlsplit

from flask import Request
from werkzeug.utils import cached_property
from werkzeug.wrappers import Response

from repoman.external_url import is_host
from repoman.http.body import Environ

# Another host by which clients know this server: the one that they sent, where the external address
# replaces it; the external one, where it does not.
ALIAS = "repoman.alias"
PORTS = {"http": ":80", "https": ":443"}  # What an address leaves out.


class HostRequest(Request):
    """A request whose host may have an underscore, as in container networks."""

    _host = ""

    @property
    def host(self) -> str:
        """Return the host and port of the request, without the usual port."""
        host: str | None = self.environ.get("HTTP_HOST")
        return host.removesuffix(PORTS[self.scheme]) if host else self._host

    @host.setter
    def host(self, host: str) -> None:
        """Take what Flask makes of Host; it counts where a client has sent none."""
        self._host = host

    @cached_property
    def root_url(self) -> str:
        """Return the address of the application, with a slash at its end."""
        path = quote(self.root_path.rstrip("/"), safe="!$&'()*+,/:;=@%")
        return f"{self.scheme}://{self.host}{path}/"


def names_of(request: Request) -> set[str]:
    """Return by which hosts the client may know this server, in lower case."""
    return {request.host.lower(), request.environ.get(ALIAS, request.host).lower()}


def check_host(environ: Environ) -> Response | None:
    """Return the refusal for a request whose Host is none; a port that is left empty goes."""
    host: str | None = environ.get("HTTP_HOST")
    if host is None:  # HTTP/1.0 needs none.
        return None
    if not is_host(host):
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
