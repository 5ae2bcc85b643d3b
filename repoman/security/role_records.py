"""The rows of roles and privileges; values in, values out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from repoman.db.models import PrivilegeRecord, RoleRecord


@dataclass(frozen=True, slots=True)
class Role:
    """A role: names of privileges, and ids of the roles it includes."""

    id: str
    name: str
    description: str = ""
    privileges: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Privilege:
    """A privilege that somebody made; ``properties`` depend on its type."""

    name: str
    type: str
    description: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


def find_roles(ids: Iterable[str]) -> list[Role]:
    """Return the roles with these ids."""
    return [
        Role(each.id, each.name, each.description, tuple(each.privileges), tuple(each.roles))
        for each in RoleRecord.select().where(RoleRecord.id.in_(list(ids)))
    ]


def find_privileges(names: Iterable[str]) -> list[Privilege]:
    """Return the privileges with these names, as far as somebody made them."""
    return [
        Privilege(each.name, each.type, each.description, dict(each.properties))
        for each in PrivilegeRecord.select().where(PrivilegeRecord.name.in_(list(names)))
    ]
