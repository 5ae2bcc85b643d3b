"""Why a connection failed, in sentences for the administrator.

Libraries wrap one error into the next; what tells the reason is somewhere in the chain.
"""

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest, RequestException
from urllib3 import exceptions

from repoman.proxy.connections import BundleError, UnknownName

# Reasons of OpenSSL when the answer to a TLS greeting is not TLS: mostly a line of plain HTTP.
NO_TLS = {
    "WRONG_VERSION_NUMBER",
    "PACKET_LENGTH_TOO_LONG",
    "HTTP_REQUEST",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
}
NO_COMMON_VERSION = {
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "NO_PROTOCOLS_AVAILABLE",
    "VERSION_TOO_LOW",
}
# Codes of OpenSSL (x509_vfy.h): why a certificate was refused.
EXPIRED, NOT_YET_VALID, OTHER_HOST, OTHER_ADDRESS = 10, 9, 62, 64
TLS_ALERT = "\x15\x03"  # how an answer begins that is a TLS alert and no HTTP
UNROUTED_ERRNOS = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}

Kind = TypeVar("Kind", bound=BaseException)

TIMEOUT_ERRORS = (requests.Timeout, exceptions.TimeoutError, TimeoutError)
# After these nothing at all can be asked of the host, whatever the address.
UNREACHABLE_ERRORS = (
    exceptions.NewConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ProxyError,
    requests.exceptions.ProxyError,
    requests.exceptions.InvalidProxyURL,
    exceptions.ProxySchemeUnknown,
    ssl.SSLError,
    socket.gaierror,
    BundleError,
)


def explain(error: Exception, url: str, timeout: float, http_proxy: str = "") -> str:
    """Return why a request failed, as the rest of a sentence.

    Args:
        error: what the HTTP library raised.
        url: what was asked for.
        timeout: the longest wait, in seconds.
        http_proxy: address of the HTTP proxy in between, if there is one.
    """
    if _find(error, (exceptions.ProxyError, requests.exceptions.ProxyError)) is not None:
        return _proxy_reason(error, http_proxy, timeout)
    if (bundle := _find(error, BundleError)) is not None:
        return f"http_client.ca_bundle: {bundle}"
    bad_address = (requests.exceptions.InvalidProxyURL, exceptions.ProxySchemeUnknown)
    if _find(error, bad_address) is not None:
        return "the address of the HTTP proxy in the environment is not valid"
    if (untrusted := _find(error, ssl.SSLCertVerificationError)) is not None:
        return _certificate_reason(untrusted, url)
    if (failed := _find(error, ssl.SSLError)) is not None:
        return _tls_reason(failed, url)
    return _connection_reason(error, url, timeout)


def is_unreachable(error: Exception) -> bool:
    """Return whether there was no connection that can be used, whatever is asked for."""
    return _find(error, UNREACHABLE_ERRORS) is not None or _is_tls_alert(error)


def host_of(url: str) -> str:
    """Return host and port of an address as they are shown: no user, no password, no path."""
    return urlsplit(url).netloc.rpartition("@")[2]


def ascii_host_of(url: str) -> str:
    """Return host and port as a header can have them: a name in another script as in DNS."""
    request = PreparedRequest()
    with suppress(RequestException):  # It can be no name in DNS.
        request.prepare_url(url, None)  # as the request itself has it
    return host_of(request.url or url).encode("ascii", "backslashreplace").decode()


def without_secrets(url: str) -> str:
    """Return an address as it may be shown: a user, a password and a query may let somebody in."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{host_of(url)}{parts.path}"


def _connection_reason(error: Exception, url: str, timeout: float) -> str:
    if _find(error, (UnknownName, socket.gaierror, exceptions.NameResolutionError)) is not None:
        return f"the name {urlsplit(url).hostname} cannot be resolved"
    if _find(error, ConnectionRefusedError) is not None:
        return f"{_host_and_port(url)} refused the connection; nothing listens on this port"
    if any(isinstance(each, OSError) and each.errno in UNROUTED_ERRNOS for each in _chain(error)):
        return f"there is no route to {urlsplit(url).hostname}"
    if _find(error, TIMEOUT_ERRORS) is not None:
        return f"no answer within {timeout:g} s"
    if _is_tls_alert(error):
        return (
            f"{_host_and_port(url)} requires TLS, but was contacted with plain HTTP; use https://"
        )
    if _find(error, http.client.BadStatusLine) is not None or _find(error, ConnectionError):
        is_plain = urlsplit(url).scheme == "http"
        hint = "; it may accept TLS (https://) only" if is_plain else ""
        return f"{_host_and_port(url)} closed the connection without an answer{hint}"
    return "the connection failed"


def _certificate_reason(error: ssl.SSLCertVerificationError, url: str) -> str:
    if error.verify_code == EXPIRED:
        return "its certificate has expired"
    if error.verify_code == NOT_YET_VALID:
        return "its certificate is not valid yet; check the clocks of both machines"
    if error.verify_code in (OTHER_HOST, OTHER_ADDRESS):
        return f"its certificate is not valid for the host {urlsplit(url).hostname}"
    return (
        "its certificate is signed by an unknown authority; to trust it, set "
        "http_client.ca_bundle to a file with its certificate, or add the certificate to the trust "
        "store and set http_client.use_trust_store"
    )


def _tls_reason(error: ssl.SSLError, url: str) -> str:
    reason = str(error.reason or "")
    if reason in NO_TLS:
        return f"{_host_and_port(url)} speaks plain HTTP where TLS was expected; use http://"
    if reason in NO_COMMON_VERSION:
        return "it supports no TLS version that is accepted here"
    if "CERTIFICATE_REQUIRED" in reason:
        return "it requires a client certificate"
    told = reason.replace("_", " ").lower()
    return f"the TLS handshake failed ({told})" if told else "the TLS handshake failed"


def _proxy_reason(error: Exception, http_proxy: str, timeout: float) -> str:
    name = f"the HTTP proxy {host_of(http_proxy)}".rstrip()
    told = next((str(each) for each in _chain(error) if "Tunnel connection" in str(each)), "")
    status = told.rpartition("Tunnel connection failed: ")[2][:3]
    if told and status.isdecimal():
        wants = " (authentication required)" if status == "407" else ""
        return f"{name} refused the request with status {status}{wants}"
    failed = _find(error, ssl.SSLError)
    reason = (
        _connection_reason(error, http_proxy, timeout)
        if failed is None
        else _tls_reason(failed, http_proxy)
    )
    return f"{name} does not work: {reason}"


def _is_tls_alert(error: Exception) -> bool:
    return any(
        isinstance(each, http.client.BadStatusLine)
        and str(getattr(each, "line", "")).startswith(TLS_ALERT)
        for each in _chain(error)
    )


def _host_and_port(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _find(error: BaseException, kind: type[Kind] | tuple[type[Kind], ...]) -> Kind | None:
    return next((each for each in _chain(error) if isinstance(each, kind)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came from."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (getattr(each, "reason", None), getattr(each, "original_error", None), *each.args)
        waiting += [
            found
            for found in (*inner, each.__cause__, each.__context__)
            if isinstance(found, BaseException)
        ]
