"""Which certificates of remotes are trusted: by public authorities, the system's, and private ones.

The file that an administrator names is added to the public authorities, since a registry with a
private authority may still redirect to a public host.
"""

import logging
import os
import ssl
import threading
from functools import lru_cache
from pathlib import Path

from requests import adapters
from urllib3.util.ssl_ import create_urllib3_context

# Where distributions keep the authorities of the system: Debian and Alpine, Red Hat, SUSE.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
# These name files or directories of authorities; OpenSSL itself reads SSL_CERT_FILE and _DIR.
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
OPENSSL_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
CONTEXTS_MAX = 64  # TLS contexts that are kept; proxies with the same bundle share one.

Stamp = tuple[object, ...]

_log = logging.getLogger(__name__)


class BundleError(ValueError):
    """A file of authorities cannot be used; the text says why."""


class Trust:
    """The TLS context of a proxy, made when it is first needed; thread safe.

    Args:
        bundle: PEM file or directory of further authorities; empty for none.
    """

    def __init__(self, bundle: str = "") -> None:
        self._bundle = bundle
        self._lock = threading.Lock()
        self._last: tuple[Stamp, ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context for a connection; another one once the bundle's file has changed.

        Raises:
            BundleError: the bundle is missing or damaged, and was never read before.
        """
        stamp = (_stamp(self._bundle), *map(os.environ.get, (*VARIABLES, *OPENSSL_VARIABLES)))
        last = self._last
        if last is None or last[0] != stamp:
            with self._lock:
                last = self._last = stamp, self._renewed(stamp)
        return last[1]

    def _renewed(self, stamp: Stamp) -> ssl.SSLContext:
        try:
            return _make_context(self._bundle, stamp)
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
def _make_context(bundle: str, _: Stamp) -> ssl.SSLContext:
    context: ssl.SSLContext = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_default_certs()
    public = adapters.DEFAULT_CA_BUNDLE_PATH
    for path in (public, *SYSTEM_BUNDLES, *map(os.environ.get, VARIABLES)):
        if path and Path(path).exists():
            _load(context, path)
    if bundle:
        _load(context, bundle)
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
