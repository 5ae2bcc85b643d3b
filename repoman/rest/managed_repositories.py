"""Repositories as an actor may see, create, change and try them, over REST or on pages."""

import builtins
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from repoman.catalog.model import Usage
from repoman.catalog.visibility import EveryViewer
from repoman.errors import Denied, Unsupported
from repoman.proxy.remote_health import RemoteState
from repoman.repositories.model import Capabilities, Repository, Step
from repoman.repositories.ports import PortReport
from repoman.repositories.recipes import Recipe, Settings
from repoman.rest.endpoints import Call
from repoman.rest.repository_deletion import RepositoryDeletion, plan_deletion
from repoman.rest.repository_rights import check_reach, hiding_owners, knows
from repoman.security.actors import Action, RepositoryRef


class ManagedRepositories:
    """What the actor of a call may do with the settings of repositories.

    The right to read or edit the settings of the repository of the call was checked before.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._repositories = call.repoman.repositories
        self._check = partial(check_reach, call)

    def list(self) -> builtins.list[tuple[Repository, Usage]]:
        """Return the repositories whose settings the actor may read, and what they take."""
        usages = self._call.repoman.catalog.usages(EveryViewer(self._repositories))
        return [
            (each, usages.get(each.name, Usage()))
            for each in self._repositories.all()
            if self.may(Action.READ, each)
        ]

    def may(self, action: Action, repository: Repository) -> bool:
        """Return whether the actor may do something with the settings of a repository."""
        may = self._call.repoman.security.authorizer.may_configure
        return may(self._call.actor, repository.ref, action)

    def knows(self, name: str) -> bool:
        """Return whether the actor may know that there is a repository of this name."""
        return knows(self._call, name)

    def recipes(self) -> builtins.list[Recipe]:
        """Return the recipes of which the actor may create some repository."""
        may = self._call.repoman.security.authorizer.may_configure_some
        found = self._repositories.list_recipes()
        return [each for each in found if may(self._call.actor, Action.ADD, each.format)]

    def create(
        self, name: str, recipe: Recipe, settings: Settings, *, is_online: bool = True
    ) -> Repository:
        """Create a repository and return it; errors as of the repository manager.

        Raises:
            Denied: the actor may not create one of this name.
        """
        actor, ref = self._call.actor, RepositoryRef(recipe.format, name)
        if not self._call.repoman.security.authorizer.may_configure(actor, ref, Action.ADD):
            raise Denied(f"{actor.name} is not allowed to add the repository {name}.")
        with hiding_owners(self._call):
            return self._repositories.create(
                name, recipe.name, settings, is_online=is_online, check=self._check
            )

    def change(self, settings: Settings, *, is_online: bool | None = None) -> Repository:
        """Change settings of the repository of the call; errors as of the repository manager."""
        with hiding_owners(self._call):
            return self._repositories.update(
                self._call.repository.name, settings, is_online=is_online, check=self._check
            )

    def plan_deletion(self) -> RepositoryDeletion:
        """Return what goes if the repository of the call is deleted now."""
        return plan_deletion(self._call.repoman, self._call.repository)

    def delete(self) -> None:
        """Delete the repository of the call; groups lose it as a member."""
        self._repositories.delete(self._call.repository.name, leaves_groups=True)

    def examine(self, recipe: Recipe, settings: Settings) -> RemoteState:
        """Return how the remote of a proxy is that would have these settings.

        Raises:
            Invalid: a setting is wrong.
            Unsupported: it would be no proxy.
        """
        with self._trial(recipe, settings) as capabilities:
            if capabilities.remote is None:
                raise Unsupported(f"A repository of the recipe {recipe.name} has no remote.")
            return capabilities.remote.examine()

    def trace(self, recipe: Recipe, settings: Settings, path: str) -> builtins.list[Step]:
        """Return what becomes of each member of a group that would have these settings.

        Raises:
            Invalid: a setting is wrong, or there is no such path.
            Unsupported: it would be no group.
            Denied: the actor may not browse the path in the group that there is already.
        """
        if not self._call.has_no_repository:
            self._call.check_content(Action.BROWSE, path)
        with self._trial(recipe, settings) as capabilities:
            if capabilities.trace is None:
                raise Unsupported(f"A repository of the recipe {recipe.name} is no group.")
            return capabilities.trace(path)

    def report_port(self, port: int, scheme: str) -> PortReport:
        """Return how a port is for a connector of the repository of the call, or of a new one."""
        report = self._repositories.report_port(port, scheme, self._name)
        if report.owner and not knows(self._call, report.owner):
            return replace(report, owner="", text=f"Port {port} belongs to another repository.")
        return report

    def _trial(self, recipe: Recipe, settings: Settings) -> AbstractContextManager[Capabilities]:
        return self._repositories.trial(recipe.name, settings, name=self._name, check=self._check)

    @property
    def _name(self) -> str:
        return "" if self._call.has_no_repository else self._call.repository.name
