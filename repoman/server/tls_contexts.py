"""TLS contexts for listeners."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from repoman.errors import Invalid


def load_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context for servers, TLS 1.2 or later, from a PEM certificate chain and its key.

    To renew a certificate, load a new context and give it to ``Server.swap_tls``: loading another
    certificate into a context in use may add it beside the old one instead of replacing it.

    Raises:
        Invalid: the files cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # costs the server far more than the client
    context.set_alpn_protocols(["http/1.1"])

    def refuse() -> str:  # or OpenSSL would ask for the password on the terminal
        raise Invalid(
            f"The TLS key {key} is encrypted, and the server cannot ask for its password. Decrypt "
            "it with 'openssl pkey' and make it readable for the server only."
        )

    try:
        context.load_cert_chain(certificate, key, refuse)
    except ssl.SSLError as error:
        raise Invalid(
            f"{certificate} and {key} are not a certificate and its key: {error}"
        ) from error
    except OSError as error:
        raise Invalid(f"Cannot read the TLS certificate or key: {error}") from error
    return context


def choose_by_name(default: ssl.SSLContext, others: Mapping[str, ssl.SSLContext]) -> ssl.SSLContext:
    """Make ``default`` switch to another context for clients that ask for its host name (SNI)."""
    known = {name.lower(): context for name, context in others.items()}

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: object) -> None:
        context = known.get((name or "").lower())
        if context is not None:
            connection.context = context

    default.sni_callback = choose
    return default
