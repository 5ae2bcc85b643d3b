"""The rights of endpoints on repositories, which tell nobody what exists.

Who lacks a right gets the same answer for a repository that does not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from repoman.errors import Denied, NotFound
from repoman.repositories.model import Repository
from repoman.rest.endpoints import Call
from repoman.security.actors import READING, Action, RepositoryRef

NO_FORMAT = ""  # The format of a repository that does not exist: no right is about it alone.


@dataclass(frozen=True, slots=True)
class ConfigureRepository:
    """The right to an action on the settings of the repository in the path."""

    action: Action

    @property
    def text(self) -> str:
        """Return it as a sentence."""
        return f"Needs `nexus:repository-admin:<format>:<name>:{self.action}`."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied, NotFound)."""
        call.require_login()
        found, ref = _find(call, values["name"])
        if not call.repoman.security.authorizer.may_configure(call.actor, ref, self.action):
            raise Denied(f"{call.actor.name} is not allowed to {self.action} the settings.")
        call.repository = _existing(found)


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """The right to read the settings of the repository in the path."""

    text: str = "Needs `nexus:repository-admin:<format>:<name>:read`."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, NotFound)."""
        call.require_login()
        found, ref = _find(call, values["name"])
        may = call.repoman.security.authorizer.may_configure(call.actor, ref, Action.READ)
        call.repository = _existing(found if may else None)


@dataclass(frozen=True, slots=True)
class AddRepository:
    """The right to add some repository of a format; the function checks the name."""

    format: str

    @property
    def text(self) -> str:
        """Return it as a sentence."""
        return f"Needs `nexus:repository-admin:{self.format}:<name>:add`."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied)."""
        call.require_login()
        may = call.repoman.security.authorizer.may_configure_some
        if not may(call.actor, Action.ADD, self.format):
            raise Denied(f"{call.actor.name} is not allowed to add repositories.")


@dataclass(frozen=True, slots=True)
class ViewRepository:
    """The right to see something in the repository in the path, or in a group that has it."""

    text: str = "Needs `browse` or `read` in the repository or in a group that contains it."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied, NotFound)."""
        found, ref = _find(call, values["name"])
        refs = [ref]
        if found is not None:
            refs += [each.ref for each in call.repoman.repositories.groups_with(found.name)]
        may = call.repoman.security.authorizer.may_do_somewhere
        if not any(
            may(call.actor, each, frozenset({action})) for each in refs for action in READING
        ):
            call.require_login()
            raise Denied(f"{call.actor.name} is not allowed to see this repository.")
        call.repository = _existing(found)


def _find(call: Call, name: str) -> tuple[Repository | None, RepositoryRef]:
    found = call.repoman.repositories.find(name)
    nothing = RepositoryRef(NO_FORMAT, name, anonymous=False)
    return found, nothing if found is None else found.ref


def _existing(found: Repository | None) -> Repository:
    if found is None:
        raise NotFound("The repository was not found.")
    return found
