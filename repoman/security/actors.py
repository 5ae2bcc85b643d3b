"""Actors, their credentials and the actions they may take."""

from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What somebody does to the content of a repository."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password as a client presents them."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token may be used for: ``actions`` on the thing ``name`` of a type.

    Types, names and actions are the format's own words.
    """

    type: str
    name: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request.

    Attributes:
        name: of the user; for the log and for what belongs to them.
        is_anonymous: nobody has logged in.
        scopes: what a token narrows them to; None where there is no token.
    """

    name: str
    is_anonymous: bool = False
    scopes: tuple[Scope, ...] | None = None

    def has_scope(self, kind: str, name: str, action: str) -> bool:
        """Return whether the token, if there is one, may be used for this."""
        if self.scopes is None:
            return True
        return any(
            (each.type, each.name) == (kind, name) and bool({action, "*"} & each.actions)
            for each in self.scopes
        )


ANONYMOUS = Actor("anonymous", is_anonymous=True)
