"""Explanations of rights: which role, privilege and content selector allow something.

A reason is found by asking the rules of :mod:`repoman.security.rights` about one privilege at a
time, so an explanation cannot differ from the decision that it explains.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from repoman.errors import NotFound
from repoman.security.actors import ANONYMOUS, READING, Action, Actor, RepositoryRef
from repoman.security.expressions import Subject
from repoman.security.permissions import DOMAIN, SELECTOR
from repoman.security.rights import Allowed, Rights, list_grants, rights_from
from repoman.security.user_records import find_user


class Source(StrEnum):
    """Whose right it is."""

    USER = "user"  # by the roles of the user
    ANONYMOUS = "anonymous"  # by the roles of those without a login: anybody has them
    REPOSITORY = "repository"  # the settings of the repository open it to anybody


@dataclass(frozen=True, slots=True)
class Reason:
    """Why somebody may do something.

    Attributes:
        roles: from a role of the user to the one with the privilege; each includes the next one.
        privilege: the name of the privilege; empty if none is needed.
        selector: the content selector that matches the path, in lower case; empty if the privilege
            is for everything in the repository.
    """

    action: Action
    source: Source
    roles: tuple[str, ...] = ()
    privilege: str = ""
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether somebody may do something, and all the reasons why they may.

    Attributes:
        is_within_limit: whether the user token, if there is one, may be used for it.
    """

    action: Action
    is_allowed: bool
    is_within_limit: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Extent:
    """What somebody may do in a repository, or with a part of the server.

    Attributes:
        everything: the actions that are allowed with everything there.
        partly: those that are allowed with what content selectors pick, or may be.
        roles: the roles of the user that allow something.
        anybody: whether some of it is allowed to anybody.
    """

    everything: frozenset[str] = frozenset()
    partly: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ()
    anybody: bool = False


@dataclass(frozen=True, slots=True)
class _Holding:
    """What one role of somebody gives."""

    source: Source
    role: str
    rights: Rights


class RightsOverview:
    """What somebody may do in many repositories, and by which roles; read once when it is made.

    Args:
        roles: those of the user.
        anonymous: the roles of those without a login; none if there is no such access.
    """

    def __init__(self, roles: Iterable[str], anonymous: Iterable[str] = ()) -> None:
        self._holdings = (
            *_holdings(roles, Source.USER),
            *_holdings(anonymous, Source.ANONYMOUS),
        )

    def of_repository(self, ref: RepositoryRef) -> Extent:
        """Return what they may do with the content of a repository."""
        found = Allowed(READING) if ref.anonymous else Allowed()
        anybody, roles = bool(ref.anonymous), []
        for each in self._holdings:
            if each.source is Source.ANONYMOUS and ref.anonymous is not None:
                continue
            if allowed := each.rights.allowed(ref):
                found |= allowed
                anybody |= each.source is Source.ANONYMOUS
                roles += [each.role] if each.source is Source.USER else []
        everything = found.everything
        return Extent(everything, found.anything - everything, tuple(roles), anybody)

    def of_server(self, domain: str, actions: Iterable[str]) -> Extent:
        """Return which of some actions they may do with a part of the server."""
        found: dict[str, list[str]] = {}
        for action in actions:
            holders = [each for each in self._holdings if each.source is Source.USER]
            names = [each.role for each in holders if each.rights.permits(domain, action)]
            if names:
                found[action] = names
        roles = dict.fromkeys(name for names in found.values() for name in names)
        return Extent(frozenset(found), roles=tuple(roles))


def _holdings(roles: Iterable[str], source: Source) -> Iterator[_Holding]:
    grants = list_grants(roles)
    selectors = rights_from(grants).selectors
    for role in dict.fromkeys(each.roles[0] for each in grants):
        own = tuple(dict.fromkeys(each.permission for each in grants if each.roles[0] == role))
        reached = tuple(
            each for each in selectors if any(one.reaches(DOMAIN, SELECTOR, each[0]) for one in own)
        )
        yield _Holding(source, role, Rights(own, reached))


def find_actor(name: str) -> tuple[Actor, bool]:
    """Return a user, or ``anonymous``, as the one who acts, and whether they can log in.

    Raises:
        NotFound: there is no such user.
    """
    if name == ANONYMOUS.name:
        return ANONYMOUS, True
    user = find_user(name)
    if user is None:
        raise NotFound(f"There is no user {name!r}.")
    return Actor(user.name, realm=user.realm, roles=user.external_roles), user.is_active


def reasons_for(
    roles: Iterable[str], source: Source, ref: RepositoryRef, subject: Subject
) -> Iterator[Reason]:
    """Yield why somebody with these roles may do something with a path in a repository."""
    grants = list_grants(roles)
    selectors = rights_from(grants).selectors
    for grant in grants:
        everything = Rights((grant.permission,)).allowed(ref).everything
        for action in everything:
            yield Reason(action, source, grant.roles, grant.privilege)
        for selector in selectors:
            allowed = Rights((grant.permission,), (selector,)).allowed(ref)
            for action in allowed.anything - everything:
                if allowed.covers(frozenset({action}), subject):
                    yield Reason(action, source, grant.roles, grant.privilege, selector[0])
