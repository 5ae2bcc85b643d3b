"""What the tests of rights play on: repositories of each type, users, and ways in."""

import secrets
from collections.abc import Iterable

from repoman.core import Repoman
from repoman.security.rights_records import Role, SelectorRow
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.driver import Login, Registry
from tests.functional.docker.wires import InProcess


class Stage:
    """A Repoman in process, with a hosted repository behind a connector and on the main port."""

    def __init__(self, repoman: Repoman) -> None:
        self.repoman = repoman
        self._connectors: dict[str, HttpClient] = {}
        self._main = HttpClient(repoman)

    def make_repository(self, recipe: str = "docker-hosted", **settings: object) -> str:
        """Make a repository and return its name."""
        name = f"{recipe.rpartition('-')[2]}-{secrets.token_hex(4)}"
        nested: dict[str, dict[str, object]] = {}
        for path, value in settings.items():
            section, _, key = path.partition("__")
            nested.setdefault(section, {})[key] = value
        self.repoman.repositories.create(name, recipe, nested)
        return name

    def make_user(self, *privileges: str) -> Login:
        """Make a user with these privileges and return the login."""
        name = f"user-{secrets.token_hex(4)}"
        roles = []
        if privileges:
            self.repoman.security.roles.create(Role(name, "", privileges=privileges))
            roles = [name]
        self.repoman.users.create(name, "a password", roles)
        return name, "a password"

    def make_selected(self, repository: str, expression: str, actions: Iterable[str]) -> str:
        """Make a privilege on what an expression picks in a repository, and return its name."""
        name = f"selected-{secrets.token_hex(4)}"
        self.repoman.security.selectors.create(SelectorRow(name, expression))
        properties = {"selector": name, "repository": repository, "actions": list(actions)}
        self.repoman.security.privileges.create(name, "repository-content-selector", properties)
        return name

    def connector(self, repository: str, login: Login | None = ADMIN) -> Registry:
        """A repository as it is reached on its connector."""
        if repository not in self._connectors:
            self._connectors[repository] = HttpClient(self.repoman, connector=repository)
        return Registry(InProcess(self._connectors[repository]), "", login)

    def mounted(self, repository: str, login: Login | None = ADMIN) -> Registry:
        """A repository as it is reached on the main port."""
        return Registry(InProcess(self._main), f"/repository/{repository}", login)


def view(repository: str, *actions: str) -> tuple[str, ...]:
    """Names of the privileges on the content of a repository."""
    return tuple(f"nx-repository-view-docker-{repository}-{each}" for each in actions)
