"""The state of the connectors of a running server, as commands show it."""

import time
from dataclasses import dataclass

import click

from repoman.core import Repoman
from repoman.errors import Unavailable
from repoman.http.addresses import connector_urls
from repoman.http.router import connector_key
from repoman.repositories.model import Repository
from repoman.repositories.repository_records import FOLLOWED, list_states
from repoman.server.connectors import explain
from repoman.server.lock import is_served

VERDICT_S = 5.0  # Seconds that a command waits for the server to take a change over.
LOOK_S = 0.05  # Seconds between two looks at whether it has.


@dataclass(frozen=True, slots=True)
class Shown:
    """A connector as commands show it; ``state`` is open, error, or closed without a server."""

    url: str
    state: str
    problem: str = ""


class Connectors:
    """The connectors of all repositories, at the time when this is made."""

    def __init__(self, repoman: Repoman) -> None:
        self._repoman = repoman
        self.is_served = is_served(repoman.data)
        self._states = {each.key: each for each in list_states()} if self.is_served else {}

    def of(self, repository: Repository) -> list[Shown]:
        """Return the connectors of a repository."""
        wanted = self._repoman.repositories.connectors_of(repository)
        return [
            self._show(connector_key(each.repository, each.scheme), each.url) for each in wanted
        ]

    def problems(self) -> list[str]:
        """Return a sentence for each connector that the server could not open."""
        return [explain(state) for state in self._states.values() if state.problem]

    def _show(self, key: str, url: str) -> Shown:
        state = self._states.get(key)
        if state is None:
            return Shown(url, "closed")
        return Shown(state.url, "error" if state.problem else "open", state.problem)


def addresses_of(repoman: Repoman, repository: Repository) -> list[str]:
    """Return where clients reach the connectors of a repository, as far as the settings tell."""
    connectors = repoman.repositories.connectors_of(repository)
    root = repoman.settings.server.external_url
    if root or repository.external_url:
        return connector_urls(repository, connectors, root)
    return [each.url for each in connectors]


def check_connectors(repoman: Repoman, repository: Repository) -> None:
    """Return when the running server, if there is one, has opened the connectors of a repository.

    Raises:
        Unavailable: it could not.
    """
    if not is_served(repoman.data):
        return
    if not _wait_for_server(repoman):
        click.echo(
            f"The server has not applied this change within {VERDICT_S:.0f} seconds. Check its "
            "connectors with 'repoman repo list'.",
            err=True,
        )
        return
    own = [each for each in list_states() if each.repository == repository.name and each.problem]
    if own:
        raise Unavailable("\n".join(map(explain, own)))


def _wait_for_server(repoman: Repoman) -> bool:
    """Return whether the server follows what this process knows of the repositories."""
    deadline = time.monotonic() + VERDICT_S
    while repoman.database.revision(FOLLOWED) < repoman.repositories.revision():
        if time.monotonic() > deadline or not is_served(repoman.data):
            return False
        time.sleep(LOOK_S)
    return True
