"""Rights: what roles come down to, worked out once and remembered until something changes."""

from collections.abc import Iterable
from dataclasses import dataclass

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.security import role_records as records
from repoman.security.actors import Action, Place
from repoman.security.permissions import (
    ALL,
    DOMAIN,
    VIEW,
    Permission,
    repository_permission,
    view_name,
)
from repoman.security.role_records import Privilege, Role

ADMIN_ROLE = "nx-admin"
ANONYMOUS_ROLE = "nx-anonymous"
DEVELOPER_ROLE = "nx-developer"

# They are part of the program, so nobody can lock everybody out by changing them.
SHIPPED_ROLES = (
    Role(ADMIN_ROLE, ADMIN_ROLE, "May do everything.", ("nx-all",)),
    Role(
        ANONYMOUS_ROLE,
        ANONYMOUS_ROLE,
        "May find and read all content.",
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
        "May find, read, write and delete all content.",
        ("nx-search-read", "nx-healthcheck-read", view_name("*", "*", "*")),
    ),
)
SHIPPED_PRIVILEGES = {
    "nx-all": ALL,
    "nx-search-read": f"{DOMAIN}:search:read",
    "nx-healthcheck-read": f"{DOMAIN}:healthcheck:read",
}


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may do."""

    permissions: tuple[Permission, ...]

    def actions(self, place: Place) -> frozenset[Action]:
        """Return what they may do with everything in a repository."""
        where = (DOMAIN, VIEW, place.format.lower(), place.name.lower())
        return frozenset(
            action
            for action in Action
            if any(each.implies(*where, action) for each in self.permissions)
        )

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
        return self._found.get(key, lambda: self._work_out(key))

    def _work_out(self, wanted: frozenset[str]) -> Rights:
        reached: dict[str, Role] = {}
        waiting = wanted
        while waiting:
            found = {role.id: role for role in (*records.find_roles(waiting), *SHIPPED_ROLES)}
            level = [found[each] for each in waiting if each in found]
            reached |= {role.id: role for role in level}
            waiting = frozenset(each for role in level for each in role.roles) - reached.keys()
        names = sorted({name for role in reached.values() for name in role.privileges})
        made = {each.name: each for each in records.find_privileges(names)}
        permissions = (_permission(name, made) for name in names)
        return Rights(tuple(each for each in permissions if each is not None))


def _permission(name: str, privileges: dict[str, Privilege]) -> Permission | None:
    if name in SHIPPED_PRIVILEGES:
        return Permission.parse(SHIPPED_PRIVILEGES[name])
    made = privileges.get(name)
    if made is not None:
        return Permission.parse(str(made.properties.get("pattern", "")))
    return repository_permission(name)
