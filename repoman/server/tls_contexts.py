"""TLS contexts for listeners, loaded from the certificates of the settings on demand."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from repoman.config import TlsSettings
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


class Certificates:
    """Makes TLS contexts from the files of the settings; used by one thread at a time."""

    def __init__(self, settings: TlsSettings, data: Path) -> None:
        self._default = (data / settings.certificate, data / settings.private_key)
        self._hosts = {
            name: (data / each.certificate, data / each.private_key)
            for name, each in settings.hosts.items()
        }
        self._seen: tuple[float, ...] = ()

    def load(self) -> ssl.SSLContext:
        """Return a context with the current certificates.

        Raises:
            Invalid: there is none, or a file is not a certificate with its key.
        """
        self._seen = self._times()
        certificate, key = self._default
        try:
            certificate.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Invalid(
                f"there is no TLS certificate at {certificate}. Create one with 'repoman cert "
                "create', or set tls.certificate to your own."
            ) from error
        except OSError as error:
            raise Invalid(f"Cannot read the TLS certificate: {error}") from error
        default = load_context(certificate, key)
        others = {name: load_context(*files) for name, files in self._hosts.items()}
        return choose_by_name(default, others) if others else default

    def have_changed(self) -> bool:
        """Return whether a file has changed since the last :meth:`load`."""
        return self._seen != () and self._times() != self._seen

    def _times(self) -> tuple[float, ...]:
        files = [file for pair in (self._default, *self._hosts.values()) for file in pair]
        return tuple(_time_of(file) for file in files)


def _time_of(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # it is not there now, or not for us
        return 0.0
