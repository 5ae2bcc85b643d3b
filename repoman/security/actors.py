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
class Actor:
    """Who makes a request."""

    name: str
    is_anonymous: bool = False


ANONYMOUS = Actor("anonymous", is_anonymous=True)
