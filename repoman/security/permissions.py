"""Permissions, and what grants them: the types of privileges, and the built-in roles.

A permission is parts joined by colons; a part is alternatives joined by commas, or ``*``. What is
granted with fewer parts than are needed grants all of the rest. Names of privileges on repositories
say which permission they are, so they need no rows and are there as soon as the repository is.

Built-in roles and privileges have no rows and cannot be changed, so nobody can lock everybody out
by changing them.

Source: the permission strings of Apache Shiro, and the names and properties of privileges, as
Sonatype Nexus Repository 3 uses them.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from repoman.sections import Section
from repoman.security.actors import Action
from repoman.security.rights_records import Role

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


ANY = "*"

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,49}$")]
Actions = Annotated[tuple[Action | Literal["*"], ...], Field(min_length=1)]


def _check_pattern(text: str) -> str:
    parts = text.split(":")
    if parts[0] not in (DOMAIN, ANY):
        raise ValueError(f"must begin with {DOMAIN}: or be {ANY}")
    if any(not each for part in parts for each in part.split(",")):
        raise ValueError("has an empty part; write * for any")
    return text


Pattern = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9*_.,:-]{1,1000}$"),
    AfterValidator(_check_pattern),
]


class PrivilegeSection(Section):
    """What a privilege is made of."""

    def permission(self) -> str:
        """Return the permission that it grants."""
        raise NotImplementedError


class WildcardPrivilege(PrivilegeSection):
    """Any permission at all."""

    pattern: Pattern = Field(description="The permission, such as nexus:users:read.")

    def permission(self) -> str:
        """Return the permission that it grants."""
        return self.pattern


class ApplicationPrivilege(PrivilegeSection):
    """To do something with the server itself."""

    domain: Word = Field(description="The area it covers, such as users.")
    actions: tuple[Word | Literal["*"], ...] = Field(
        min_length=1, description="The allowed actions: create, read, update, delete, or *."
    )

    def permission(self) -> str:
        """Return the permission that it grants."""
        return f"{DOMAIN}:{self.domain}:{','.join(self.actions)}"


class RepositoryPrivilege(PrivilegeSection):
    """To do something in or with repositories."""

    format: Word | Literal["*"] = Field(ANY, description="The format of the repositories; *: any.")
    repository: str = Field(ANY, description="The repository; *: every repository of the format.")
    actions: Actions = Field(description="browse, read, edit, add, delete, or *.")

    def _permission(self, domain: str) -> str:
        return f"{DOMAIN}:{domain}:{self.format}:{self.repository}:{','.join(self.actions)}"


class ViewPrivilege(RepositoryPrivilege):
    """To do something with the content of repositories."""

    def permission(self) -> str:
        """Return the permission that it grants."""
        return self._permission(VIEW)


class AdminPrivilege(RepositoryPrivilege):
    """To do something with the settings of repositories."""

    def permission(self) -> str:
        """Return the permission that it grants."""
        return self._permission(ADMIN)


class SelectorPrivilege(RepositoryPrivilege):
    """To do something with the content that a content selector picks."""

    selector: str = Field(description="The content selector.")

    def permission(self) -> str:
        """Return the permission that it grants."""
        return self._permission(f"{SELECTOR}:{self.selector}")


PRIVILEGE_TYPES: dict[str, type[PrivilegeSection]] = {
    "wildcard": WildcardPrivilege,
    "application": ApplicationPrivilege,
    VIEW: ViewPrivilege,
    ADMIN: AdminPrivilege,
    SELECTOR: SelectorPrivilege,
}


RESERVED = "nx-"  # how the names of the program begin, and no others

ADMIN_ROLE = "nx-admin"
ANONYMOUS_ROLE = "nx-anonymous"
DEVELOPER_ROLE = "nx-developer"

SHIPPED_ROLES = (
    Role(ADMIN_ROLE, ADMIN_ROLE, "All permissions.", ("nx-all",)),
    Role(
        ANONYMOUS_ROLE,
        ANONYMOUS_ROLE,
        "Search and read all content.",
        (
            "nx-search-read",
            "nx-healthcheck-read",
            view_name("*", "*", Action.BROWSE),
            view_name("*", "*", Action.READ),
        ),
    ),
    Role(
        DEVELOPER_ROLE,
        DEVELOPER_ROLE,
        "Search, read, write and delete all content.",
        ("nx-search-read", "nx-healthcheck-read", view_name("*", "*", "*")),
    ),
)

# What is administered, and what it is called to people.
_DOMAINS = {
    "audit": "the audit log",
    "blobstores": "blob stores",
    "logging": "logs",
    "metrics": "metrics",
    "privileges": "privileges",
    "roles": "roles",
    "selectors": "content selectors",
    "settings": "the options of the server",
    "tasks": "tasks",
    "users": "users",
}
_VERBS = {"all": "*", "create": "create", "read": "read", "update": "update", "delete": "delete"}

# From a name to what it is for, and the permission it grants.
SHIPPED_PRIVILEGES = {
    "nx-all": ("Everything.", ALL),
    "nx-search-read": ("Search.", f"{DOMAIN}:search:read"),
    "nx-healthcheck-read": ("Health checks.", f"{DOMAIN}:healthcheck:read"),
    "nx-tasks-run": ("Run and stop tasks.", f"{DOMAIN}:tasks:start,stop"),
    **{
        f"nx-{domain}-{verb}": (
            f"{'Everything about' if verb == 'all' else verb.capitalize()} {title}.",
            f"{DOMAIN}:{domain}:{action}",
        )
        for domain, title in _DOMAINS.items()
        for verb, action in _VERBS.items()
    },
}
