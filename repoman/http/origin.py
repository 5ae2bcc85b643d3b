"""Whether a request that changes something was made by a page of this server, or by none at all.

A browser sends along cookies, and passwords it was given once, whoever makes it send a request.
It also says which site did: in ``Sec-Fetch-Site`` (over HTTPS and on loopback), and in ``Origin``.
Other clients send neither.
"""

from urllib.parse import urlsplit

from flask import Request

from repoman.errors import Denied
from repoman.http.hosts import names_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def check_origin(request: Request) -> None:
    """Return if no page of another origin has made the request; what only reads is free.

    Raises:
        Denied: it has.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        origin = request.headers.get("Origin")
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
