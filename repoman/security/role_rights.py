"""The rights of a role as lines of matrices, and the privileges that these stand for.

A line is about the content or the settings of repositories: of all, of those of a format, of one;
or about the paths that a content selector picks there. Everything but the latter is a privilege
whose name says what it is, so a tick is nothing but that name in the role.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from repoman.errors import Invalid
from repoman.security import rights_records as records
from repoman.security.actors import Action
from repoman.security.permissions import (
    ADMIN,
    ADMINISTERED,
    ANY,
    DOMAIN,
    SELECTOR,
    SHIPPED_PRIVILEGES,
    VIEW,
    RepositoryRight,
    admin_name,
    parse_repository_right,
    view_name,
)
from repoman.security.rights import Grant
from repoman.security.rights_records import Privilege

KINDS = {"content": VIEW, "settings": ADMIN}
LINE_ACTIONS = (ANY, *map(str, Action))
SUBJECT_ACTIONS = (ANY, "create", "read", "update", "delete", "run")
# Parts of the server that are not administered, and the privileges whose names say less.
SUBJECTS = {"search": "search", "component": "uploads by form", **ADMINISTERED}
_NAMES = {
    ("component", "create"): "nx-component-upload",
    ("tasks", "run"): "nx-tasks-run",
}


@dataclass(frozen=True, slots=True, order=True)
class RightLine:
    """What a line of a matrix is about; ``*`` stands for any.

    Attributes:
        kind: ``content`` or ``settings``.
        selector: the content selector; empty: all paths.
    """

    kind: str
    format: str
    repository: str
    selector: str = ""

    @classmethod
    def parse(cls, key: str) -> "RightLine":
        """Return the line with this key (Invalid)."""
        parts = key.split(":")
        if len(parts) != len(cls.__slots__) or parts[0] not in KINDS or not all(parts[1:3]):
            raise Invalid(f"{key!r} is not a line of rights.")
        return cls(*parts)

    @property
    def key(self) -> str:
        """The line as text."""
        return ":".join((self.kind, self.format, self.repository, self.selector))

    def name(self, action: str) -> str:
        """Return the name of the privilege for an action; there is none if there is a selector."""
        name_of = view_name if self.kind == "content" else admin_name
        return name_of(self.format, self.repository, action)

    def is_covered(self, action: str, grants: Iterable[Grant]) -> bool:
        """Return whether grants give an action of this line."""
        where = tuple(each.lower() for each in (self.format, self.repository, action))
        needed = [(DOMAIN, KINDS[self.kind], *where)]
        if self.selector:
            needed.append((DOMAIN, SELECTOR, self.selector.lower(), *where))
        return any(each.permission.implies(*one) for each in grants for one in needed)


@dataclass(frozen=True, slots=True)
class SelectedRight:
    """The right to an action on the paths that a content selector picks."""

    selector: str
    format: str
    repository: str
    action: str

    def is_granted_by(self, privilege: Privilege) -> bool:
        """Return whether a privilege grants this, and nothing else."""
        wanted = {
            "selector": self.selector,
            "format": self.format,
            "repository": self.repository,
            "actions": [self.action],
        }
        return privilege.type == SELECTOR and privilege.properties == wanted

    @property
    def name(self) -> str:
        """What a privilege for it is called."""
        parts = (self.selector, self.format, self.repository, self.action)
        return "-".join("all" if each == ANY else each for each in parts)


class RoleRights:
    """Names of privileges, sorted into lines, parts of the server, and others.

    Attributes:
        lines: the actions that are granted, by line.
        subjects: names of privileges for parts of the server.
        others: the other names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        names = sorted(set(names))
        made = {each.name: each for each in records.find_privileges(names)}
        self.lines: dict[RightLine, set[str]] = {}
        self.subjects: set[str] = set()
        self.others: list[str] = []
        self._by_line: dict[RightLine, dict[str, frozenset[str]]] = {}
        for name in names:
            self._sort_in(name, made.get(name))

    def without(self, lines: Iterable[RightLine]) -> list[str]:
        """Return the names of all lines but these."""
        gone = set(lines)
        return [name for line, names in self._by_line.items() if line not in gone for name in names]

    def granting(self, line: RightLine, actions: Iterable[str]) -> dict[str, frozenset[str]]:
        """Return the privileges of a line that grant some of these actions, and no others."""
        wanted = frozenset(actions)
        return {
            name: granted
            for name, granted in self._by_line.get(line, {}).items()
            if granted <= wanted
        }

    def _sort_in(self, name: str, made: Privilege | None) -> None:
        line = _line_of(name) if made is None else _line_made(made)
        if line is not None:
            right = parse_repository_right(name)
            actions = [right.action] if right else made.properties["actions"] if made else []
            self.lines.setdefault(line, set()).update(actions)
            self._by_line.setdefault(line, {})[name] = frozenset(actions)
        elif name in _SUBJECT_NAMES:
            self.subjects.add(name)
        else:
            self.others.append(name)


def subject_names() -> Mapping[str, Mapping[str, str]]:
    """Return the names of privileges for parts of the server, by domain and action."""
    found: dict[str, dict[str, str]] = {}
    for domain in SUBJECTS:
        for action in SUBJECT_ACTIONS:
            usual = f"nx-{domain}-{'all' if action == ANY else action}"
            name = _NAMES.get((domain, action), usual)
            if name in SHIPPED_PRIVILEGES:
                found.setdefault(domain, {})[action] = name
    return found


def is_subject_covered(name: str, grants: Iterable[Grant]) -> bool:
    """Return whether grants give all that one of these privileges does."""
    properties, given = SHIPPED_PRIVILEGES[name].properties, list(grants)
    return all(
        any(each.permission.implies(DOMAIN, properties["domain"], action) for each in given)
        for action in properties["actions"]
    )


_SUBJECT_NAMES = {name for names in subject_names().values() for name in names.values()}


def _line_of(name: str) -> RightLine | None:
    right: RepositoryRight | None = parse_repository_right(name)
    if right is None:
        return None
    kind = "content" if right.kind == VIEW else "settings"
    return RightLine(kind, right.format, right.repository)


def _line_made(privilege: Privilege) -> RightLine | None:
    if privilege.type != SELECTOR:
        return None
    values = privilege.properties
    return RightLine("content", values["format"], values["repository"], values["selector"])
