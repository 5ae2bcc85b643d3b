"""Explanations of rights: which role, privilege and content selector allow something.

A reason is found by asking the rules of :mod:`repoman.security.rights` about one privilege at a
time, so an explanation cannot differ from the decision that it explains.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from repoman.errors import NotFound
from repoman.security.actors import ANONYMOUS, Action, Actor, RepositoryRef
from repoman.security.expressions import Subject
from repoman.security.rights import Rights, list_grants, rights_from
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
