"""Permissions: what privileges come down to, as strings with wildcards.

A permission is parts joined by colons; a part is alternatives joined by commas, or ``*``. What is
granted with fewer parts than are needed grants all of the rest. Names of privileges on repositories
say which permission they are, so they need no rows and are there as soon as the repository is.

Source: the permission strings of Apache Shiro, as the reference product uses them.
"""

import re
from dataclasses import dataclass

from repoman.security.actors import Action

DOMAIN = "nexus"
VIEW = "repository-view"
ADMIN = "repository-admin"
SELECTOR = "repository-content-selector"
ALL = f"{DOMAIN}:*"

_BUILTIN = re.compile(
    rf"nx-(?P<kind>{VIEW}|{ADMIN})-(?P<format>\*|[a-z0-9]+)-(?P<repository>.+)"
    rf"-(?P<action>\*|{'|'.join(Action)})"
)


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission that was granted; ``parts`` are sets of alternatives, each maybe ``*``."""

    parts: tuple[frozenset[str], ...]

    @classmethod
    def parse(cls, text: str) -> "Permission":
        """Return the permission a string means; letters have no case."""
        parts = (part.split(",") for part in text.strip().lower().split(":"))
        return cls(tuple(frozenset(each.strip() for each in part) for part in parts))

    def implies(self, *needed: str) -> bool:
        """Return whether this grants a permission, given by its parts in lower case."""
        if any(not ({"*", part} & own) for own, part in zip(self.parts, needed, strict=False)):
            return False
        return all("*" in own for own in self.parts[len(needed) :])

    def reaches(self, *beginning: str) -> bool:
        """Return whether this grants some permission with this prefix."""
        return all({"*", part} & own for own, part in zip(self.parts, beginning, strict=False))


def view_name(format_: str, repository: str, action: str) -> str:
    """Return the name of the privilege for an action on a repository's content."""
    return f"nx-{VIEW}-{format_}-{repository}-{action}"


def admin_name(format_: str, repository: str, action: str) -> str:
    """Return the name of the privilege for an action on a repository's settings."""
    return f"nx-{ADMIN}-{format_}-{repository}-{action}"


def repository_permission(privilege: str) -> Permission | None:
    """Return what the name of a privilege on a repository grants; None if it is no such name."""
    found = _BUILTIN.fullmatch(privilege)
    if found is None:
        return None
    parts = (DOMAIN, found["kind"], found["format"], found["repository"], found["action"])
    return Permission(tuple(frozenset({part.lower()}) for part in parts))


def repository_of(privilege: str) -> str | None:
    """Return which repository such a name is about, in lower case; None if it is no such name."""
    found = _BUILTIN.fullmatch(privilege)
    return None if found is None else found["repository"].lower()
