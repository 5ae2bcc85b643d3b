"""The state of connectors, as the server last recorded it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from repoman.repositories.model import Connector
from repoman.repositories.repository_records import list_states


class ConnectorStatus(StrEnum):
    """Whether clients can connect."""

    OPEN = "open"
    FAILED = "failed"
    CLOSED = "closed"  # no server has opened it yet


@dataclass(frozen=True, slots=True)
class ConnectorReport:
    """A connector and its state.

    Attributes:
        repository: the name of its repository.
        problem: why it could not be opened; empty if it was not tried, or is open.
    """

    repository: str
    url: str
    state: ConnectorStatus
    problem: str = ""


def report_connectors(
    connectors: Iterable[Connector], *, is_served: bool = True
) -> list[ConnectorReport]:
    """Return the state of connectors; without a server all are closed."""
    states = {each.key: each for each in list_states()} if is_served else {}
    found = []
    for each in connectors:
        state = states.get(each.key)
        if state is None:
            found.append(ConnectorReport(each.repository, each.url, ConnectorStatus.CLOSED))
            continue
        status = ConnectorStatus.FAILED if state.problem else ConnectorStatus.OPEN
        found.append(ConnectorReport(each.repository, state.url, status, state.problem))
    return found
