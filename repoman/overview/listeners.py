"""The ports of the server with their state, and the certificates that they show."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes

from repoman.config import ServerSettings, TlsSettings
from repoman.errors import Invalid
from repoman.repositories.connectors import ConnectorStatus, report_connectors
from repoman.repositories.model import Connector
from repoman.security.certificates import names_of, read_certificate

MAIN = "*"  # What stands in place of a repository for the main port.


@dataclass(frozen=True, slots=True)
class Port:
    """A port at which the server listens, or should.

    Attributes:
        repository: the name of its repository; empty: it is the main port.
        problem: why it is not open; empty if it is, or was not tried yet.
    """

    number: int
    scheme: str
    repository: str
    state: ConnectorStatus
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """A certificate of the HTTPS ports.

    Attributes:
        hosts: the host names for which clients get it; none: for all others.
        ends_at: in seconds since the epoch.
        problem: why it cannot be used; the other values are empty then.
    """

    file: str
    hosts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    issuer: str = ""
    ends_at: float = 0.0
    sha256: str = field(default="", repr=False)
    problem: str = ""


def list_ports(server: ServerSettings, connectors: Iterable[Connector]) -> list[Port]:
    """Return all ports, those of the main port first, then by number.

    The connectors are those of the repositories.
    """
    mains = []
    if server.https_port:
        mains.append(Connector(MAIN, "https", server.host, server.https_port))
    listed = [*mains, *connectors]
    reports = report_connectors(listed)
    found = [
        Port(
            one.port,
            one.scheme,
            "" if one.repository == MAIN else one.repository,
            report.state,
            report.problem,
        )
        for one, report in zip(listed, reports, strict=True)
    ]
    # Whoever asks came through it, or another server could not have its data.
    found.append(Port(server.port, "http", "", ConnectorStatus.OPEN))
    return sorted(found, key=lambda each: (each.repository != "", each.number))


def list_certificates(tls: TlsSettings, data: Path) -> list[ShownCertificate]:
    """Return the certificates of the settings, those that hosts have of their own too.

    Paths are relative to ``data``.
    """
    hosts: dict[Path, list[str]] = {tls.certificate: []}
    for host, each in tls.hosts.items():
        hosts.setdefault(each.certificate, []).append(host)
    return [_read(data / path, tuple(names)) for path, names in hosts.items()]


def _read(path: Path, hosts: tuple[str, ...]) -> ShownCertificate:
    try:
        found = read_certificate(path)
    except Invalid as error:
        return ShownCertificate(str(path), hosts, problem=str(error))
    return ShownCertificate(
        str(path),
        hosts,
        tuple(names_of(found)),
        found.issuer.rfc4514_string(),
        found.not_valid_after_utc.timestamp(),
        found.fingerprint(hashes.SHA256()).hex(":").upper(),
    )
