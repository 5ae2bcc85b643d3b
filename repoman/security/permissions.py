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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, StringConstraints

from repoman.sections import Section
from repoman.security.actors import Action
from repoman.security.rights_records import Privilege, Role

DOMAIN = "nexus"
VIEW = "repository-view"
ADMIN = "repository-admin"
SELECTOR = "repository-content-selector"
WILDCARD = "wildcard"
APPLICATION = "application"
SCRIPT = "script"
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

    def reaches(self, *beginning: str | None) -> bool:
        """Return whether this grants some permission with this prefix; None stands for any part."""
        return all(
            part is None or {"*", part} & own
            for own, part in zip(self.parts, beginning, strict=False)
        )


def view_name(format_: str, repository: str, action: str) -> str:
    """Return the name of the privilege for an action on a repository's content."""
    return f"nx-{VIEW}-{format_}-{repository}-{action}"


def admin_name(format_: str, repository: str, action: str) -> str:
    """Return the name of the privilege for an action on a repository's settings."""
    return f"nx-{ADMIN}-{format_}-{repository}-{action}"


class RepositoryRight(NamedTuple):
    """What the name of a privilege on a repository says; ``kind`` is its type."""

    kind: str
    format: str
    repository: str
    action: str

    def permission(self) -> Permission:
        """Return the permission that it grants."""
        return Permission(tuple(frozenset({part.lower()}) for part in (DOMAIN, *self)))

    def privilege(self, name: str) -> Privilege:
        """Return it as the privilege of that name."""
        properties = {
            "format": self.format,
            "repository": self.repository,
            "actions": [self.action],
        }
        return Privilege(name, self.kind, self._description(), properties)

    def _description(self) -> str:
        what = "views" if self.kind == VIEW else "administration"
        which = self.repository
        if which == ANY:
            which = "all" if self.format == ANY else f"all {self.format!r}-format"
        verb = "All privileges" if self.action == ANY else f"{self.action.capitalize()} privilege"
        return f"{verb} for {which} repository {what}"


def parse_repository_right(name: str) -> RepositoryRight | None:
    """Return what the name of a privilege says; None if it is not that of one on a repository."""
    found = _BUILTIN.fullmatch(name)
    return None if found is None else RepositoryRight(*found.group(*RepositoryRight._fields))


ANY = "*"

RUN = "run"
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,49}$")]
DomainName = Annotated[str, StringConstraints(pattern=r"^(\*|[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99})$")]
ScriptName = Annotated[str, StringConstraints(pattern=r"^(\*|[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99})$")]
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

    domain: DomainName = Field(description="The area it covers, such as users; *: any.")
    actions: tuple[Word | Literal["*"], ...] = Field(
        min_length=1, description="The allowed actions: create, read, update, delete, …, or *."
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


class ScriptPrivilege(PrivilegeSection):
    """To do something with scripts, as clients of Sonatype Nexus Repository 3 define it."""

    script: ScriptName = Field(ANY, description="The name of the script; *: any.")
    actions: tuple[Action | Literal["run", "*"], ...] = Field(
        min_length=1, description="browse, read, edit, add, delete, run, or *."
    )

    def permission(self) -> str:
        """Return the permission that it grants."""
        return f"{DOMAIN}:{SCRIPT}:{self.script}:{','.join(self.actions)}"


PRIVILEGE_TYPES: dict[str, type[PrivilegeSection]] = {
    WILDCARD: WildcardPrivilege,
    APPLICATION: ApplicationPrivilege,
    VIEW: ViewPrivilege,
    ADMIN: AdminPrivilege,
    SELECTOR: SelectorPrivilege,
    SCRIPT: ScriptPrivilege,
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
ADMINISTERED = {
    "audit": "the audit log",
    "blobstores": "blob stores",
    "capabilities": "capabilities",
    "ldap": "LDAP servers",
    "logging": "logs",
    "metrics": "metrics",
    "privileges": "privileges",
    "roles": "roles",
    "selectors": "content selectors",
    "settings": "the options of the server",
    "ssl-truststore": "trusted certificates",
    "tasks": "tasks",
    "users": "users",
}
# What is granted as a whole only. Nothing here needs some of it; clients name them all the same.
_WHOLES = {
    "analytics": "analytics",
    "apikey": "API keys",
    "atlas": "system information",
    "bundles": "bundles",
    "licensing": "licenses",
    "wonderland": "Wonderland",
}
# What the patterns of names above do not give: the description, the domain and the actions.
_SINGLE = {
    "nx-bundles-read": ("Read permission for bundles", "bundles", ("read",)),
    "nx-component-upload": ("Upload permission for components", "component", ("create",)),
    "nx-healthcheck-read": ("Read permission for health checks", "healthcheck", ("read",)),
    "nx-licensing-create": ("Create permission for licenses", "licensing", ("create",)),
    "nx-licensing-read": ("Read permission for licenses", "licensing", ("read",)),
    "nx-licensing-uninstall": ("Delete permission for licenses", "licensing", ("delete",)),
    "nx-logging-mark": ("Permission to mark the log", "logging", ("create",)),
    "nx-search-read": ("Read permission for searches", "search", ("read",)),
    "nx-tasks-run": ("Permissions to run and stop tasks", "tasks", ("start", "stop")),
    "nx-userschangepw": (
        "Permission to change the own password",
        "userschangepw",
        ("create", "read"),
    ),
    "nx-usertoken-settings": (
        "All permissions for the options of user tokens",
        "usertoken-settings",
        (ANY,),
    ),
}


def _ship() -> Iterator[Privilege]:
    yield Privilege("nx-all", WILDCARD, "All permissions", {"pattern": ALL})
    for name, (text, domain, actions) in _SINGLE.items():
        yield _application(name, text, domain, actions)
    for domain, title in {**ADMINISTERED, **_WHOLES}.items():
        yield _application(f"nx-{domain}-all", f"All permissions for {title}", domain, (ANY,))
    for domain, title in ADMINISTERED.items():
        for action in ("create", "read", "update", "delete"):
            text = f"{action.capitalize()} permission for {title}"
            actions = (action,) if action == "read" else (action, "read")
            yield _application(f"nx-{domain}-{action}", text, domain, actions)
    for action in (ANY, *Action, RUN):
        verb = "All" if action == ANY else action.capitalize()
        given = [action] if action in (ANY, Action.READ, RUN) else [action, Action.READ]
        properties = {"script": ANY, "actions": [str(each) for each in given]}
        yield Privilege(
            f"nx-script-*-{action}", SCRIPT, f"{verb} permissions for Scripts", properties
        )


def _application(name: str, text: str, domain: str, actions: tuple[str, ...]) -> Privilege:
    return Privilege(name, APPLICATION, text, {"domain": domain, "actions": list(actions)})


SHIPPED_PRIVILEGES = {each.name: each for each in _ship()}
