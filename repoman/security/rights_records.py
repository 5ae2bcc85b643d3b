"""The rows of roles, privileges and content selectors; values in, values out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from peewee import fn

from repoman.db.models import (
    PrivilegeRecord,
    RepositoryRecord,
    RoleRecord,
    SelectorRecord,
    database_proxy,
)

# The roles that have a name in one of their lists.
_WITH = "SELECT id FROM role r WHERE ?1 IN (SELECT value FROM json_each(r.{})) ORDER BY id"


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


def list_roles() -> list[Role]:
    """Return all roles by id."""
    return [_role(each) for each in RoleRecord.select().order_by(RoleRecord.id)]


def page_roles(text: str, after: str | None, limit: int) -> list[Role]:
    """Return roles behind an id, by id; with a part of the id, the name or the description."""
    query = RoleRecord.select().order_by(RoleRecord.id).limit(limit)
    if text:
        columns = (RoleRecord.id, RoleRecord.name, RoleRecord.description)
        query = query.where(_has_part(columns, text))
    if after is not None:
        query = query.where(RoleRecord.id > after)
    return [_role(each) for each in query]


def _has_part(columns: Iterable[Any], text: str) -> Any:
    """Return the condition that one of some columns has a part, in any case of ASCII letters."""
    return reduce(or_, (fn.instr(fn.lower(each), fn.lower(text)) > 0 for each in columns))


def find_roles(ids: Iterable[str]) -> list[Role]:
    """Return the roles with these ids."""
    return [_role(each) for each in RoleRecord.select().where(RoleRecord.id.in_(list(ids)))]


def save_role(role: Role) -> None:
    """Store a role, in place of the one with its id."""
    RoleRecord.replace(**asdict(role)).execute()


def delete_role(role_id: str) -> bool:
    """Remove a role; return whether there was one."""
    return bool(RoleRecord.delete().where(RoleRecord.id == role_id).execute())


def list_privileges() -> list[Privilege]:
    """Return all privileges that somebody made, by name."""
    return [_privilege(each) for each in PrivilegeRecord.select().order_by(PrivilegeRecord.name)]


def page_privileges(text: str, kind: str | None, after: str | None, limit: int) -> list[Privilege]:
    """Return privileges behind a name, by name; with a part of the name or the description."""
    query = PrivilegeRecord.select().order_by(PrivilegeRecord.name).limit(limit)
    if text:
        columns = (PrivilegeRecord.name, PrivilegeRecord.description)
        query = query.where(_has_part(columns, text))
    if kind is not None:
        query = query.where(PrivilegeRecord.type == kind)
    if after is not None:
        query = query.where(PrivilegeRecord.name > after)
    return [_privilege(each) for each in query]


def roles_with_privilege(name: str) -> list[str]:
    """Return the ids of the roles that have a privilege, by id."""
    return [id_ for (id_,) in database_proxy.execute_sql(_WITH.format("privileges"), (name,))]


def roles_including(role_id: str) -> list[str]:
    """Return the ids of the roles that include a role, by id."""
    return [id_ for (id_,) in database_proxy.execute_sql(_WITH.format("roles"), (role_id,))]


def find_privileges(names: Iterable[str]) -> list[Privilege]:
    """Return the privileges with these names, as far as somebody made them."""
    query = PrivilegeRecord.select().where(PrivilegeRecord.name.in_(list(names)))
    return [_privilege(each) for each in query]


def save_privilege(privilege: Privilege) -> None:
    """Store a privilege, in place of the one with its name."""
    PrivilegeRecord.replace(**asdict(privilege)).execute()


def delete_privilege(name: str) -> bool:
    """Remove a privilege; return whether there was one."""
    return bool(PrivilegeRecord.delete().where(PrivilegeRecord.name == name).execute())


def list_repositories() -> list[tuple[str, str]]:
    """Return the format and name of each repository, as of now and not of the snapshot."""
    query = RepositoryRecord.select(RepositoryRecord.format, RepositoryRecord.name).where(
        RepositoryRecord.deleted_at.is_null()
    )
    return list(query.order_by(RepositoryRecord.key).tuples())


def _role(row: Any) -> Role:
    return Role(row.id, row.name, row.description, tuple(row.privileges), tuple(row.roles))


def _privilege(row: Any) -> Privilege:
    return Privilege(row.name, row.type, row.description, dict(row.properties))


@dataclass(frozen=True, slots=True)
class SelectorRow:
    """A content selector as it is stored: its expression is text."""

    name: str
    expression: str
    description: str = ""


def list_selectors() -> list[SelectorRow]:
    """Return all content selectors by name."""
    return [_selector(each) for each in SelectorRecord.select().order_by(SelectorRecord.name)]


def save_selector(row: SelectorRow) -> None:
    """Store a content selector, in place of the one with its name."""
    SelectorRecord.replace(**asdict(row)).execute()


def delete_selector(name: str) -> bool:
    """Remove a content selector; return whether there was one."""
    return bool(SelectorRecord.delete().where(SelectorRecord.name == name).execute())


def _selector(record: Any) -> SelectorRow:
    return SelectorRow(record.name, record.expression, record.description)
