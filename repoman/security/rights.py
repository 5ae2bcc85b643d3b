"""Rights: what roles come down to, worked out once and remembered until something changes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.errors import Conflict, Invalid
from repoman.security import rights_records as records
from repoman.security.actors import Action, RepositoryRef
from repoman.security.expressions import ANYHOW, Expression, Subject, parse_expression
from repoman.security.permissions import (
    ADMIN,
    DOMAIN,
    PRIVILEGE_TYPES,
    SELECTOR,
    SHIPPED_PRIVILEGES,
    SHIPPED_ROLES,
    VIEW,
    Permission,
    parse_repository_right,
)
from repoman.security.rights_records import Privilege, Role
from repoman.security.user_records import has_holder_with_password


@dataclass(frozen=True, slots=True)
class Selected:
    """Actions on what an expression picks."""

    actions: frozenset[Action]
    expression: Expression


@dataclass(frozen=True, slots=True)
class Allowed:
    """What somebody may do in a repository: with everything, and with what selectors pick."""

    everything: frozenset[Action] = frozenset()
    selected: tuple[Selected, ...] = ()

    def __or__(self, other: "Allowed") -> "Allowed":
        """Return what either allows."""
        return Allowed(self.everything | other.everything, self.selected + other.selected)

    def __bool__(self) -> bool:
        """Return whether it is anything at all."""
        return bool(self.everything or self.selected)

    @property
    def anything(self) -> frozenset[Action]:
        """The actions that are allowed on something at least."""
        return self.everything.union(*(each.actions for each in self.selected))

    def prefixes(self, actions: frozenset[Action], format_: str) -> tuple[str, ...]:
        """Return how all paths begin on which these actions may be allowed, in a format."""
        if actions <= self.everything:
            return ANYHOW
        return tuple(
            prefix
            for each in self.selected
            if each.actions & actions
            for prefix in each.expression.prefixes(format_)
        )

    def covers(self, actions: frozenset[Action], subject: Subject) -> bool:
        """Return whether all these actions are allowed on one thing."""
        missing = actions - self.everything
        for each in self.selected if missing else ():
            if missing & each.actions and each.expression.holds(subject):
                missing -= each.actions
        return not missing


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission that somebody has, and how they got it.

    Attributes:
        privilege: the name of the privilege that grants it.
        roles: the roles on the way to it: the first one is that of the user, each one includes the
            next one, and the last one has the privilege.
    """

    permission: Permission
    privilege: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may do.

    Attributes:
        permissions: those that all roles grant together.
        selectors: the content selectors, with their names in lower case; none if no permission is
            about any, or one grants everything.
    """

    permissions: tuple[Permission, ...]
    selectors: tuple[tuple[str, Expression], ...] = ()

    def allowed(self, ref: RepositoryRef) -> Allowed:
        """Return what they may do in a repository."""
        everything = self.actions(ref)
        selected = (
            Selected(self._actions(ref, SELECTOR, name), expression)
            for name, expression in self.selectors
        )
        return Allowed(everything, tuple(each for each in selected if each.actions - everything))

    def actions(self, ref: RepositoryRef) -> frozenset[Action]:
        """Return what they may do with everything in a repository."""
        return self._actions(ref, VIEW)

    def may_configure(self, ref: RepositoryRef, action: Action) -> bool:
        """Return whether they may do something with the settings of a repository."""
        return action in self._actions(ref, ADMIN)

    def may_configure_some(self, action: Action, format_: str | None = None) -> bool:
        """Return whether they may do something with the settings of some repository.

        There need not be one; ``format_`` is its format, None any.
        """
        where = (DOMAIN, ADMIN, format_ and format_.lower(), None, action)
        return any(each.reaches(*where) for each in self.permissions)

    def _actions(self, ref: RepositoryRef, *domain: str) -> frozenset[Action]:
        where = (DOMAIN, *domain, ref.format.lower(), ref.name.lower())
        return frozenset(
            action
            for action in Action
            if any(each.implies(*where, action) for each in self.permissions)
        )

    def is_everything(self) -> bool:
        """Return whether they may do all there is."""
        return any(each.implies(DOMAIN) for each in self.permissions)

    def permits(self, domain: str, action: str) -> bool:
        """Return whether they may administer something."""
        return any(each.implies(DOMAIN, domain, action) for each in self.permissions)


class RightsBook:
    """Finds the rights behind roles; thread safe."""

    def __init__(self, database: Database) -> None:
        self._found: ReadCache[Rights] = ReadCache(database)

    def of(self, roles: Iterable[str]) -> Rights:
        """Return the rights that roles give together; unknown ones give none."""
        key = frozenset(roles)
        return self._found.get(key, lambda: work_out_rights(key))


def work_out_rights(roles: frozenset[str]) -> Rights:
    """Return the rights that roles give together, as they are stored now."""
    return rights_from(list_grants(roles))


def rights_from(grants: Iterable[Grant]) -> Rights:
    """Return the rights that grants give together."""
    permissions = tuple(dict.fromkeys(each.permission for each in grants))
    # Most people have no use for selectors: either they may do everything, or no part of anything.
    is_picked = any(each.reaches(DOMAIN, SELECTOR) for each in permissions)
    needs_selectors = is_picked and not Rights(permissions).is_everything()
    return Rights(permissions, _selectors() if needs_selectors else ())


def list_grants(roles: Iterable[str]) -> list[Grant]:
    """Return what roles grant, as it is stored now, by privilege; unknown ones grant nothing."""
    found = sorted((name, way) for role, way in _reach(roles) for name in role.privileges)
    names = dict.fromkeys(name for name, _ in found)
    made = {each.name: each for each in records.find_privileges(names)}
    permissions = {name: _permission(name, made) for name in names}
    return [
        Grant(permission, name, way)
        for name, way in found
        if (permission := permissions[name]) is not None
    ]


def _selectors() -> tuple[tuple[str, Expression], ...]:
    return tuple(
        (each.name.lower(), parse_expression(each.expression)) for each in records.list_selectors()
    )


def _reach(wanted: Iterable[str]) -> Iterator[tuple[Role, tuple[str, ...]]]:
    """Yield the roles and all that they include, each with the shortest way to it."""
    ways: dict[str, tuple[str, ...]] = {}
    waiting: dict[str, tuple[str, ...]] = {each: (each,) for each in wanted}
    while waiting:
        ways |= waiting
        found = {role.id: role for role in (*records.find_roles(waiting), *SHIPPED_ROLES)}
        level = [(found[each], way) for each, way in waiting.items() if each in found]
        yield from level
        waiting = {
            each: (*way, each) for role, way in level for each in role.roles if each not in ways
        }


def _permission(name: str, made: dict[str, Privilege]) -> Permission | None:
    privilege = SHIPPED_PRIVILEGES.get(name) or made.get(name)
    if privilege is None:
        right = parse_repository_right(name)
        return None if right is None else right.permission()
    model = PRIVILEGE_TYPES.get(privilege.type)
    if model is None:  # of a newer version
        return None
    return Permission.parse(model.model_validate(privilege.properties).permission())


def check_roles(ids: Iterable[str]) -> None:
    """Return if there are roles with all these ids (else Invalid)."""
    wanted, shipped = set(ids), {role.id for role in SHIPPED_ROLES}
    rest = wanted - shipped - {each.id for each in records.find_roles(wanted)}
    if rest:
        # It does not name the others: who may give roles need not be allowed to list them.
        raise Invalid(
            f"roles: there is no role {min(rest)!r}; use the id of an existing role.", field="roles"
        )


@contextmanager
def keeping_administrator() -> Iterator[None]:
    """Let the block take the rights of some, but not of the last one who may do everything.

    To be used inside a transaction, which fails with it.

    Raises:
        Conflict: nobody would be left to administer the server.
    """
    there_was_one = has_administrator()
    yield
    if there_was_one and not has_administrator():
        raise Conflict(
            "This would leave no active local user with all permissions, so nobody could "
            "administer the server. Give another user the role nx-admin first."
        )


def has_administrator() -> bool:
    """Return whether there is an active local user who may do everything.

    What a directory says of its users may change without us, so those do not count; nor do robots,
    whose tokens administer nothing.
    """
    return has_holder_with_password(_roles_with_everything())


def _roles_with_everything() -> set[str]:
    """Return the ids of the roles that grant everything, by themselves or by one they include.

    One permission has to grant it, so it does not matter what else a user has. It takes the same
    few queries however many roles there are.
    """
    roles = {each.id: each for each in (*records.list_roles(), *SHIPPED_ROLES)}
    made = {each.name: each for each in records.list_privileges()}
    names = {name for role in roles.values() for name in role.privileges}
    wanted = {
        name
        for name in names
        if (permission := _permission(name, made)) is not None and permission.implies(DOMAIN)
    }
    found = {each.id for each in roles.values() if not wanted.isdisjoint(each.privileges)}
    count = -1
    while len(found) > count:
        count = len(found)
        found |= {each.id for each in roles.values() if not found.isdisjoint(each.roles)}
    return found
