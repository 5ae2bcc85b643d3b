"""Actors, their credentials, and what a request needs of their rights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

LOCAL = "local"  # the realm of the users in this server's own database
RESERVED = ("anonymous", "cli", "system")  # Who else acts, in logs: no user may have these names.


class Action(StrEnum):
    """What somebody does to the content of a repository."""

    BROWSE = "browse"
    READ = "read"
    EDIT = "edit"
    ADD = "add"
    DELETE = "delete"


READING = frozenset({Action.BROWSE, Action.READ})
WRITING = frozenset({Action.ADD, Action.EDIT})


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs: all of ``actions`` on one thing in a repository.

    Attributes:
        actions: none, if it is enough to be somebody who may do anything here at all.
        path: of the thing, as content selectors see it; it begins with a slash.
        name: of the thing, as the patterns of tokens see it.
        is_beginning: not this path is meant, but that there is one below it where that is allowed.
    """

    actions: frozenset[Action] = frozenset()
    path: str = ""
    name: str = ""
    is_beginning: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryRef:
    """A repository as rights see it: its format, name and access without a login.

    Attributes:
        anonymous: whether anybody may read here without a login; None: as in the whole server.
    """

    format: str
    name: str
    anonymous: bool | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password as a client presents them."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a bearer token may be used for: ``actions`` on the thing ``name`` of a type.

    Types, names and actions are the format's own words.
    """

    type: str
    name: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a user token may be used for; patterns as in file names (``acme/*``).

    Attributes:
        repositories: patterns of repository names; none: all.
        names: patterns of names within them; none: all.
        actions: none: all that its user may do.
    """

    repositories: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    actions: frozenset[Action] = frozenset()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request. The name alone says little: each realm may have a user of that name.

    Attributes:
        name: of the user.
        is_anonymous: nobody has logged in.
        scopes: what a bearer token narrows them to; None where there is none.
        limit: what a user token narrows them to; None where there is none.
        realm: which realm knows them.
        roles: those that a realm other than the local one gives them.
        token: id of the user token they came with; else empty.
    """

    name: str
    is_anonymous: bool = False
    scopes: tuple[Scope, ...] | None = None
    limit: Limit | None = None
    realm: str = LOCAL
    roles: tuple[str, ...] = ()
    token: str = ""

    @property
    def owner(self) -> str:
        """Return what is stored with that which belongs to them: realm and name as one text.

        It is the name alone for local users, whose names have no colon, and for anonymous ones.
        """
        return self.name if self.realm == LOCAL else f"{self.realm}:{self.name}"

    def has_scope(self, kind: str, name: str, action: str) -> bool:
        """Return whether the bearer token, if there is one, may be used for this."""
        if self.scopes is None:
            return True
        return any(
            (each.type, each.name) == (kind, name) and bool({action, "*"} & each.actions)
            for each in self.scopes
        )


ANONYMOUS = Actor("anonymous", is_anonymous=True)


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class RealmType:
    """What a realm is called.

    Attributes:
        name: in ``realms.active``; that of its plugin, if it checks names and passwords.
        id: in the REST API, as clients of Sonatype Nexus Repository 3 know it.
        title: for people.
        is_used: returns whether it can let anybody in, as it is set up.
    """

    name: str
    id: str
    title: str
    is_used: Callable[[], bool] = _always
