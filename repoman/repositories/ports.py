"""The ports of connectors: whose they are, whether they are free, and which ones near them are."""

import errno
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

from repoman.config import ServerSettings
from repoman.errors import Conflict, Invalid
from repoman.repositories import repository_records as records
from repoman.repositories.model import connector_key
from repoman.sections import Section

PORTS_TRIED = 20  # Ports above a taken one that are tried.
PORTS_TOLD = 3  # Free ports that are proposed.


class PortState(StrEnum):
    """What would become of a connector at a port."""

    OPEN = "open"
    CLOSED = "closed"  # The connector is stored, and no server has opened it yet.
    FAILED = "failed"
    FREE = "free"
    TAKEN = "taken"  # by another repository, or the main port
    REFUSED = "refused"  # Another program listens there, or the system lets nobody.


@dataclass(frozen=True, slots=True)
class PortReport:
    """A port that a connector has, or could have.

    Attributes:
        text: the state in a sentence.
        owner: the other repository that has the port.
        free: free ports near it, if it cannot be had.
    """

    state: PortState
    text: str
    owner: str = ""
    free: tuple[int, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether clients can connect, or could."""
        return self.state in (PortState.OPEN, PortState.FREE)

    @property
    def advice(self) -> str:
        """Return the state, and which ports are free, in a text."""
        told = f" Free ports near it: {', '.join(map(str, self.free))}." if self.free else ""
        return f"{self.text}{told}"


def report_port(port: int, scheme: str, name: str, server: ServerSettings) -> PortReport:
    """Return how a port is for a connector of the repository ``name``, which may be new."""
    owners = records.port_owners()
    report = _report(port, scheme, name, owners.get(port, ""), server)
    if report.state not in (PortState.TAKEN, PortState.REFUSED, PortState.FAILED):
        return report
    taken = {*owners, server.port, server.https_port or 0}
    return replace(report, free=tuple(free_ports(server.host, port, taken)))


def _report(port: int, scheme: str, name: str, owner: str, server: ServerSettings) -> PortReport:
    if port in (server.port, server.https_port):
        return PortReport(PortState.TAKEN, f"Port {port} is the main port of this server.")
    if owner and owner.lower() != name.lower():
        return PortReport(PortState.TAKEN, f"Port {port} belongs to {owner}.", owner)
    if owner:
        return _report_own(port, connector_key(owner, scheme))
    try:
        check_port_is_free(server.host, port, "")
    except (Conflict, Invalid) as error:
        text = str(error).removeprefix(": ")
        return PortReport(PortState.REFUSED, text[:1].upper() + text[1:])
    return PortReport(PortState.FREE, "Free.")


def _report_own(port: int, key: str) -> PortReport:
    """Return how a port is that the repository has, perhaps for the other scheme."""
    state = next((each for each in records.list_states() if each.key == key), None)
    if state is None or urlsplit(state.url).port != port:
        return PortReport(PortState.CLOSED, "Not open yet.")
    if state.problem:
        return PortReport(PortState.FAILED, f"Closed: {state.problem}")
    return PortReport(PortState.OPEN, "Open.")


def free_ports(host: str, port: int, taken: Iterable[int]) -> list[int]:
    """Return a few ports above ``port`` that nobody listens on, and that are not ``taken``."""
    tried = (each for each in range(port + 1, port + 1 + PORTS_TRIED) if each <= 65_535)
    used = set(taken)
    free = (each for each in tried if each not in used and is_free(host, each))
    return [found for _, found in zip(range(PORTS_TOLD), free, strict=False)]


def is_free(host: str, port: int) -> bool:
    """Return whether a server could listen on a port now."""
    try:
        check_port_is_free(host, port, "")
    except (Conflict, Invalid, UnicodeError):
        return False
    return True


def ports_of(sections: Mapping[str, Section]) -> list[tuple[str, str, int]]:
    """Return the connectors that settings ask for, as (path of the setting, scheme, port)."""
    return [
        (f"{name}.{key}", scheme, port)
        for name, section in sections.items()
        for key, scheme, port in section.ports()
    ]


def check_ports(name: str, sections: Mapping[str, Section], server: ServerSettings) -> None:
    """Return if no other repository has a port that the repository ``name`` asks for.

    Raises:
        Conflict: one has, or the server itself, or the port is given twice.
    """
    owners = records.port_owners()
    seen: set[int] = set()
    for key, _, port in ports_of(sections):
        owner = owners.get(port, name)
        if port in (server.port, server.https_port):
            raise Conflict(f"{key}: port {port} is the main port of this server.", key)
        if owner != name:
            problem = f"{key}: port {port} is used by the repository {owner!r}."
            raise Conflict(problem, key, owner)
        if port in seen:
            raise Conflict(f"{key}: port {port} is given twice.", key)
        seen.add(port)


def probe_ports(sections: Mapping[str, Section], server: ServerSettings) -> None:
    """Return if a listener could be opened on each port that is new (Conflict, Invalid)."""
    owned = {*records.port_owners(), server.port, server.https_port}
    for key, _, port in ports_of(sections):
        if port not in owned:
            check_port_is_free(server.host, port, key)


def check_port_is_free(host: str, port: int, field: str) -> None:
    """Return if a listener could be opened on the port now, or if only the server can tell.

    The server may have a right that this process lacks, such as that to a port below 1024.

    Raises:
        Conflict: another program listens there.
        Invalid: the system lets nobody listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                problem = f"{field}: another program listens on port {port}."
                raise Conflict(problem, field) from error
            if error.errno in (errno.EACCES, errno.EPERM):
                return
            reason = os.strerror(error.errno or 0)
            raise Invalid(f"{field}: cannot listen on {host}:{port}: {reason}.", field) from error
