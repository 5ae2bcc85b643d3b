"""What an actor may see of the repositories, as scopes of the catalog."""

from functools import partial

from repoman.catalog.model import Scope
from repoman.content_rules import ContentRules
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository
from repoman.security.actors import Access, Action, Actor, RepositoryRef
from repoman.security.authorization import Authorizer

BROWSE = frozenset({Action.BROWSE})


class ActorViewer:
    """Somebody who asks the catalog; implements :class:`repoman.catalog.model.Viewer`."""

    def __init__(
        self, authorizer: Authorizer, repositories: RepositoryManager, actor: Actor
    ) -> None:
        self._authorizer = authorizer
        self._repositories = repositories
        self._actor = actor

    def scopes(self) -> list[Scope]:
        """Return the repositories in which the actor may browse anything, by id."""
        found = [self._scope(each) for each in self._repositories.all()]
        return sorted((each for each in found if each is not None), key=lambda each: each.id)

    def _scope(self, repository: Repository) -> Scope | None:
        ref, config = repository.ref, repository.config
        if not self._authorizer.may_do_somewhere(self._actor, ref, BROWSE):
            return None
        scope = Scope(config.id, config.name, config.format, repository.rules)
        if self._authorizer.may_do_everywhere(self._actor, ref, BROWSE):
            return scope
        prefixes = self._authorizer.prefixes(self._actor, ref, BROWSE)
        sees = partial(self._sees, ref, repository.rules)
        return Scope(config.id, config.name, config.format, repository.rules, sees, prefixes)

    def _sees(self, ref: RepositoryRef, rules: ContentRules, path: str) -> bool:
        access = Access(BROWSE, path, rules.name_of(path))
        return self._authorizer.is_allowed(self._actor, ref, access)


class EveryViewer:
    """The program itself, which sees everything; implements the same."""

    def __init__(self, repositories: RepositoryManager) -> None:
        self._repositories = repositories

    def scopes(self) -> list[Scope]:
        """Return all repositories, by id."""
        return sorted(
            (
                Scope(each.config.id, each.name, each.config.format, each.rules)
                for each in self._repositories.all()
            ),
            key=lambda each: each.id,
        )
