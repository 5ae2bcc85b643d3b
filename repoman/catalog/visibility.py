"""What an actor may see of the repositories, as scopes of the catalog."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from repoman.catalog.model import Scope
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository, RepositoryType
from repoman.repositories.sections import GroupSection, RoutingSection
from repoman.security.actors import Action, Actor
from repoman.security.authorization import Authorizer

BROWSE = frozenset({Action.BROWSE})

Filter = Callable[[str, str], bool]
"""Takes a path as content selectors see it, and the name of what is there."""


@dataclass(frozen=True, slots=True)
class ScopeViewer:
    """A viewer of these scopes; implements :class:`repoman.catalog.model.Viewer`."""

    found: list[Scope]

    def scopes(self) -> list[Scope]:
        """Return the scopes."""
        return self.found


class ActorViewer:
    """Somebody who asks the catalog; implements :class:`repoman.catalog.model.Viewer`.

    Args:
        actions: each of them is enough to see something.
    """

    def __init__(
        self,
        authorizer: Authorizer,
        repositories: RepositoryManager,
        actor: Actor,
        actions: frozenset[Action] = BROWSE,
    ) -> None:
        self._authorizer = authorizer
        self._repositories = repositories
        self._actor = actor
        self._actions = [frozenset({each}) for each in actions]

    def scopes(self) -> list[Scope]:
        """Return the repositories in which the actor may see anything, by id."""
        found = [self._scope(each) for each in self._repositories.all()]
        return _sorted(each for each in found if each is not None)

    def scopes_of(self, repository: Repository) -> list[Scope]:
        """Return what the actor may see of one repository.

        The scopes of a group are its members in their order, seen with the rights in the group.
        One that the actor may not know of has the name of the group.
        """
        whole = self._scope(repository)
        if whole is None or repository.config.type is not RepositoryType.GROUP:
            return [] if whole is None else [whole]
        found: dict[int, Scope] = {}
        for member, is_served in _members(self._repositories, repository):
            is_known = self._authorizer.knows(self._actor, member.ref)
            scope = Scope(
                member.config.id,
                member.name if is_known else repository.name,
                member.config.format,
                member.rules,
                _both(whole.sees, is_served),
                whole.prefixes,
                group=repository.name,
            )
            found.setdefault(scope.id, scope)
        return list(found.values())

    def _scope(self, repository: Repository) -> Scope | None:
        ref, config, may = repository.ref, repository.config, self._authorizer
        if not any(may.may_do_somewhere(self._actor, ref, each) for each in self._actions):
            return None
        scope = Scope(config.id, config.name, config.format, repository.rules)
        if any(may.may_do_everywhere(self._actor, ref, each) for each in self._actions):
            return scope
        prefixes = tuple(
            prefix for each in self._actions for prefix in may.prefixes(self._actor, ref, each)
        )
        sees = self._filter_of(repository)
        return Scope(config.id, config.name, config.format, repository.rules, sees, prefixes)

    def _filter_of(self, repository: Repository) -> Filter:
        find = self._authorizer.path_filter
        filters = [find(self._actor, repository.ref, each) for each in self._actions]
        if len(filters) == 1:
            return filters[0]
        return lambda path, name: any(may(path, name) for may in filters)


class EveryViewer:
    """The program itself, which sees everything; implements the same."""

    def __init__(self, repositories: RepositoryManager) -> None:
        self._repositories = repositories

    def scopes(self) -> list[Scope]:
        """Return all repositories, by id."""
        return _sorted(map(_whole, self._repositories.all()))

    def scopes_of(self, repository: Repository) -> list[Scope]:
        """Return one repository, or the members of a group in their order."""
        if repository.config.type is not RepositoryType.GROUP:
            return [_whole(repository)]
        found: dict[int, Scope] = {}
        for member, is_served in _members(self._repositories, repository):
            scope = _whole(member, sees=is_served, group=repository.name)
            found.setdefault(scope.id, scope)
        return list(found.values())


def _whole(repository: Repository, sees: Filter | None = None, group: str = "") -> Scope:
    config, rules = repository.config, repository.rules
    return Scope(config.id, config.name, config.format, rules, sees, group=group)


def _sorted(scopes: Iterable[Scope]) -> list[Scope]:
    return sorted(scopes, key=lambda each: each.id)


def _members(
    repositories: RepositoryManager, group: Repository, served: Filter | None = None
) -> Iterator[tuple[Repository, Filter | None]]:
    """Yield the members of a group, and those of groups in it, in order.

    Each has a function that tells whether the group serves something from it; None: it does.
    """
    settings = group.config.sections.get("group")
    if not isinstance(settings, GroupSection):  # Its format is not installed: it serves nothing.
        return
    for name in settings.members:
        member = repositories.find(name)
        if member is None:
            continue
        is_served = _both(served, _rule_of(group, settings, member))
        if member.config.type is RepositoryType.GROUP:
            yield from _members(repositories, member, is_served)
        else:
            yield member, is_served


def _rule_of(group: Repository, settings: GroupSection, member: Repository) -> Filter | None:
    """Return whether pins and the routing rule of a group let a member serve something."""
    routing = group.config.sections.get("routing")
    rule = routing if isinstance(routing, RoutingSection) and routing.is_restricted else None
    if rule is None and not settings.pins:
        return None
    key = member.name.lower()

    def serves(_path: str, name: str) -> bool:
        pinned = settings.pinned(name)
        is_free = pinned is None or key in pinned
        return is_free and (rule is None or rule.allows(name))

    return serves


def _both(one: Filter | None, other: Filter | None) -> Filter | None:
    if one is None or other is None:
        return one or other
    return lambda path, name: one(path, name) and other(path, name)
