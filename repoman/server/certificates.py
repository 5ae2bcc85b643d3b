"""The certificates of the settings, loaded on demand, and again when the files change."""

import ssl
from pathlib import Path

from repoman.config import TlsSettings
from repoman.errors import Invalid
from repoman.server.tls_contexts import choose_by_name, load_context


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
