"""Roles: names for privileges that belong together; a role may include others."""

from collections.abc import Iterable
from dataclasses import replace

from repoman.db.database import Database
from repoman.errors import Conflict, Invalid, NotFound
from repoman.options import Options
from repoman.security import rights_records as records
from repoman.security import user_records
from repoman.security.names import check_description, check_name, check_text
from repoman.security.options import named_roles
from repoman.security.permissions import SHIPPED_ROLES
from repoman.security.privileges import Privileges
from repoman.security.rights import check_roles, keeping_administrator
from repoman.security.rights_records import Role
from repoman.security.role_rights import SelectedRight

NAME_MAX_CHARS = 200  # The longest name of a role; its id is shorter.

_SHIPPED = {role.id: role for role in SHIPPED_ROLES}


class Roles:
    """All roles; thread safe."""

    def __init__(self, database: Database, options: Options, privileges: Privileges) -> None:
        self._database = database
        self._options = options
        self._privileges = privileges

    def all(self) -> list[Role]:
        """Return all roles by id."""
        return sorted([*SHIPPED_ROLES, *records.list_roles()], key=lambda each: each.id)

    def get(self, role_id: str) -> Role:
        """Return a role.

        Raises:
            NotFound: there is none with this id.
        """
        for found in (*records.find_roles([role_id]), *SHIPPED_ROLES):
            if found.id == role_id:
                return found
        raise NotFound(f"There is no role {role_id!r}.")

    @staticmethod
    def is_built_in(role_id: str) -> bool:
        """Return whether a role is of the program."""
        return role_id in _SHIPPED

    def page(self, text: str, after: str | None, limit: int) -> list[Role]:
        """Return roles behind an id, by id; with a part of the id, the name or the description."""
        wanted = text.casefold()
        shipped = [
            each
            for each in SHIPPED_ROLES
            if (after is None or each.id > after)
            and any(wanted in one.casefold() for one in (each.id, each.name, each.description))
        ]
        made = records.page_roles(text, after, limit)
        return sorted([*shipped, *made], key=lambda each: each.id)[:limit]

    def create(self, role: Role, selected: Iterable[SelectedRight] = ()) -> None:
        """Make a role; with privileges for what content selectors pick, which are made too.

        Raises:
            Invalid: the id will not do, or a privilege or an included role does not exist.
            Conflict: the id is taken.
        """
        check_name("role", role.id)
        with self._database.transaction():
            if records.find_roles([role.id]):
                raise Conflict(f"name: a role named {role.id!r} already exists.", field="name")
            role = self._with_selected(role, selected)
            self._database.note_change("role.create", role.id, **_told(self._save(role)))

    def change(self, role: Role, selected: Iterable[SelectedRight] = ()) -> None:
        """Give the role with this id other values; likewise.

        Raises:
            NotFound: there is no such role.
            Invalid: it is of the program, a privilege or an included role does not exist, or it
                would include itself.
            Conflict: nobody would be left to administer the server.
        """
        with self._database.transaction(), keeping_administrator():
            was = _told(self._get_made(role.id))
            now = _told(self._save(self._with_selected(role, selected)))
            changed = {key: value for key, value in now.items() if value != was[key]}
            if changed:
                self._database.note_change("role.change", role.id, **changed)

    def delete(self, role_id: str) -> None:
        """Remove a role, and take it from all users and roles that have it.

        Raises:
            NotFound: there is no such role.
            Invalid: it is of the program.
            Conflict: nobody would be left to administer the server, or an option names it.
        """
        with self._database.transaction(), keeping_administrator():
            self._get_made(role_id)
            self._check_unnamed(role_id)
            records.delete_role(role_id)
            self._take_away(role_id)
            self._database.note_change("role.delete", role_id)

    def _with_selected(self, role: Role, selected: Iterable[SelectedRight]) -> Role:
        names = self._privileges.ensure_selected(selected)
        return replace(role, privileges=(*role.privileges, *names))

    def _get_made(self, role_id: str) -> Role:
        found = self.get(role_id)
        if self.is_built_in(role_id):
            raise Invalid(
                f"The role {role_id} is built in and cannot be changed. Create a role that "
                "includes it, or one of your own."
            )
        return found

    def _check_unnamed(self, role_id: str) -> None:
        """Return if no option names a role: what is made by that name later must not get it."""
        for option, ids in named_roles(self._options).items():
            if role_id in ids:
                raise Conflict(
                    f"The option {option} uses the role {role_id!r}; remove it there first."
                )

    def _save(self, role: Role) -> Role:
        check_text("name", role.name, NAME_MAX_CHARS)
        check_description(role.description)
        role = replace(
            role,
            name=role.name or role.id,
            privileges=tuple(sorted(set(role.privileges))),
            roles=tuple(sorted(set(role.roles))),
        )
        self._privileges.check_known(role.privileges)
        check_roles(each for each in role.roles if each != role.id)
        records.save_role(role)
        self._check_no_circle(role.id)
        return role

    @staticmethod
    def _check_no_circle(role_id: str) -> None:
        """Return if a role does not include itself; the text shows the way from it to itself."""
        includes = {each.id: each.roles for each in records.list_roles()}
        waiting: list[tuple[str, ...]] = [(role_id,)]
        seen: set[str] = set()
        while waiting:
            way = waiting.pop()
            for each in includes.get(way[-1], ()):
                if each == role_id:
                    text = ", which includes ".join(f"{step!r}" for step in (*way[1:], each))
                    raise Invalid(f"roles: {role_id!r} would include {text}.", field="roles")
                if each not in seen:
                    seen.add(each)
                    waiting.append((*way, each))

    @staticmethod
    def _take_away(role_id: str) -> None:
        for role in records.list_roles():
            if role_id in role.roles:
                records.save_role(replace(role, roles=_without(role.roles, role_id)))
        for user in user_records.list_users():
            if role_id in (*user.roles, *user.external_roles):
                user_records.update_user(
                    user.name,
                    roles=list(_without(user.roles, role_id)),
                    external_roles=list(_without(user.external_roles, role_id)),
                )


def _told(role: Role) -> dict[str, str]:
    """Return a role as the audit log has it."""
    lists = {"privileges": " ".join(role.privileges), "roles": " ".join(role.roles)}
    return {"name": role.name, "description": role.description, **lists}


def _without(names: tuple[str, ...], gone: str) -> tuple[str, ...]:
    return tuple(each for each in names if each != gone)
