"""The state of the connectors of a running server, as commands show it."""

import time
from collections.abc import Collection

import click

from repoman.core import Repoman
from repoman.errors import Unavailable
from repoman.http.addresses import connector_urls
from repoman.repositories.connectors import ConnectorReport, report_connectors
from repoman.repositories.model import Repository
from repoman.repositories.repository_records import FOLLOWED, list_states
from repoman.server.connectors import explain
from repoman.server.lock import is_served

VERDICT_S = 5.0  # Seconds that a command waits for the server to take a change over.
LOOK_S = 0.05  # Seconds between two looks at whether it has.


def report_all(repoman: Repoman) -> dict[str, list[ConnectorReport]]:
    """Return the connectors with their state in the running server, if any, by repository."""
    connectors = repoman.repositories.connectors()
    found: dict[str, list[ConnectorReport]] = {}
    for each in report_connectors(connectors, is_served=is_served(repoman.data)):
        found.setdefault(each.repository, []).append(each)
    return found


def list_problems(repoman: Repoman) -> list[str]:
    """Return a sentence for each connector that the running server could not open."""
    states = list_states() if is_served(repoman.data) else []
    return [explain(each) for each in states if each.problem]


def addresses_of(repoman: Repoman, repository: Repository) -> list[str]:
    """Return where clients reach the connectors of a repository, as far as the settings tell."""
    connectors = repoman.repositories.connectors_of(repository)
    root = repoman.settings.server.external_url
    if root or repository.external_url:
        return connector_urls(repository, connectors, root)
    return [each.url for each in connectors]


def check_connectors(repoman: Repoman, names: Collection[str]) -> None:
    """Return when the running server, if there is one, has opened the connectors of repositories.

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
    own = [each for each in list_states() if each.repository in names and each.problem]
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
