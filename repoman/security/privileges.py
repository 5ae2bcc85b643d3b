"""Privileges: those of the program, those that come with each repository, and those somebody made.

A privilege on a repository is known by its name alone (:mod:`repoman.security.permissions`) as long
as there is the repository. Roles lose what is gone, so that no later repository of the same name
inherits anything.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import chain, count
from typing import Any

from repoman.db.database import Database
from repoman.errors import Conflict, Invalid, NotFound
from repoman.sections import parse_section
from repoman.security import rights_records as records
from repoman.security.actors import Action
from repoman.security.names import check_description, check_name
from repoman.security.permissions import (
    ADMIN,
    ANY,
    PRIVILEGE_TYPES,
    SELECTOR,
    SHIPPED_PRIVILEGES,
    VIEW,
    PrivilegeSection,
    RepositoryPrivilege,
    RepositoryRight,
    SelectorPrivilege,
    admin_name,
    parse_repository_right,
    view_name,
)
from repoman.security.rights import keeping_administrator
from repoman.security.rights_records import Privilege, list_selectors
from repoman.security.role_rights import SelectedRight

NAME_BASE_CHARS = 95  # Of the name of a privilege that is made with a role.


class Privileges:
    """All privileges; thread safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._formats: tuple[str, ...] = ()

    def add_formats(self, formats: Iterable[str]) -> None:
        """Have privileges on all repositories of these formats, even before there is one."""
        self._formats = tuple(sorted({*self._formats, *formats}))

    def formats(self) -> list[str]:
        """Return the formats that have privileges."""
        return sorted({format_ for format_, _ in self._repositories()} - {ANY})

    def all(self) -> list[Privilege]:
        """Return the privileges that do not come with a repository, by name."""
        shipped = SHIPPED_PRIVILEGES.values()
        return sorted([*shipped, *records.list_privileges()], key=lambda each: each.name)

    def page(self, text: str, kind: str | None, after: str | None, limit: int) -> list[Privilege]:
        """Return privileges that somebody made behind a name, by name; of a type, or of any."""
        return records.page_privileges(text, kind, after, limit)

    def of_repositories(self) -> Iterator[Privilege]:
        """Return the privileges that come with the repositories, and those for all of them."""
        for format_, name in self._repositories():
            for kind, name_of in ((VIEW, view_name), (ADMIN, admin_name)):
                for action in (ANY, *Action):
                    right = RepositoryRight(kind, format_, name, action)
                    yield right.privilege(name_of(format_, name, action))

    def find(self, names: Iterable[str]) -> dict[str, Privilege]:
        """Return those of these privileges that exist, of any kind, by name."""
        wanted = set(names)
        found = (*records.find_privileges(wanted), *self._built_in(wanted))
        return {each.name: each for each in found}

    def get(self, name: str) -> Privilege:
        """Return a privilege of any kind.

        Raises:
            NotFound: there is none of this name.
        """
        for found in (*self._built_in([name]), *records.find_privileges([name])):
            return found
        raise NotFound(f"There is no privilege {name!r}.")

    @staticmethod
    def is_built_in(name: str) -> bool:
        """Return whether a privilege of this name is of the program, or comes with a repository."""
        return name in SHIPPED_PRIVILEGES or parse_repository_right(name) is not None

    def create(
        self, name: str, kind: str, properties: Mapping[str, Any], description: str = ""
    ) -> None:
        """Make a privilege of a type.

        Raises:
            Invalid: the name, the type or a property is wrong.
            Conflict: the name is taken.
        """
        check_name("privilege", name)
        with self._database.transaction():
            if records.find_privileges([name]):
                raise Conflict(f"name: a privilege named {name!r} already exists.", field="name")
            made = self._save(Privilege(name, kind, description), properties)
            self._database.note_change("privilege.create", name, type=kind, **_told(made))

    def change(
        self, name: str, properties: Mapping[str, Any], description: str | None = None
    ) -> None:
        """Change properties of a privilege that somebody made; the others stay.

        Raises:
            NotFound: there is no such privilege.
            Invalid: it is of the program, or a property is wrong.
            Conflict: nobody would be left to administer the server.
        """
        with self._database.transaction(), keeping_administrator():
            old = self._get_made(name)
            new = old if description is None else replace(old, description=description)
            was, now = _told(old), _told(self._save(new, {**old.properties, **properties}))
            changed = {key: value for key, value in now.items() if was.get(key) != value}
            if changed:
                self._database.note_change("privilege.change", name, **changed)

    def delete(self, name: str) -> None:
        """Remove a privilege that somebody made, and take it from all roles.

        Raises:
            NotFound: there is no such privilege.
            Invalid: it is of the program.
            Conflict: nobody would be left to administer the server.
        """
        with self._database.transaction(), keeping_administrator():
            self._get_made(name)
            self._drop([name])
            self._database.note_change("privilege.delete", name)

    def ensure_selected(self, rights: Iterable[SelectedRight]) -> list[str]:
        """Return the names of privileges for what content selectors pick; new ones are made.

        To be used inside a transaction.

        Raises:
            Invalid: there is no such selector, repository or action.
        """
        wanted = list(dict.fromkeys(rights))
        made = records.list_privileges() if wanted else []
        names = []
        for right in wanted:
            found = next((each.name for each in made if right.is_granted_by(each)), None)
            names.append(found or self._create_selected(right, {each.name for each in made}))
        return names

    def _create_selected(self, right: SelectedRight, taken: Collection[str]) -> str:
        base = right.name[:NAME_BASE_CHARS]
        free = (
            each for each in chain([base], (f"{base}-{n}" for n in count(2))) if each not in taken
        )
        name = next(free)
        properties = {**asdict(right), "actions": [right.action]}
        del properties["action"]
        self.create(name, SELECTOR, properties)
        return name

    def forget_repository(self, name: str) -> None:
        """Remove the privileges on a repository that is being deleted; in its transaction."""
        self._drop(self.of_repository(name))

    def of_repository(self, name: str) -> set[str]:
        """Return the names of the privileges on a repository that were made, or that roles have."""
        key = name.lower()
        made = {each.name for each in _made_of("repository", key)}
        named = {each for role in records.list_roles() for each in role.privileges}
        return made | {each for each in named if _repository_of(each) == key}

    def made_of_selector(self, name: str) -> list[str]:
        """Return the names of the privileges on what a selector picks."""
        return [each.name for each in _made_of("selector", name.lower())]

    def forget_selector(self, name: str) -> None:
        """Remove the privileges on what a selector picks that is being deleted; likewise."""
        self._drop(self.made_of_selector(name))

    def check_known(self, names: Iterable[str]) -> None:
        """Return if there are privileges with all these names (else Invalid)."""
        wanted = set(names)
        known = (*self._built_in(wanted), *records.find_privileges(wanted))
        rest = wanted - {each.name for each in known}
        if rest:
            raise Invalid(
                f"privileges: there is no privilege {min(rest)!r}; use the name of an existing "
                "privilege.",
                field="privileges",
            )

    def _get_made(self, name: str) -> Privilege:
        found = self.get(name)
        if self.is_built_in(name):
            raise Invalid(f"The privilege {name} is built in and cannot be changed.")
        return found

    def _repositories(self) -> Iterator[tuple[str, str]]:
        """Return format and name of each repository that has privileges; ``*``: all of them."""
        repositories = records.list_repositories()
        formats = dict.fromkeys((*self._formats, *(format_ for format_, _ in repositories)))
        yield ANY, ANY
        yield from ((format_, ANY) for format_ in formats)
        yield from repositories

    def _built_in(self, names: Iterable[str]) -> Iterator[Privilege]:
        """Return the privileges with these names that have no rows."""
        rest = []
        for name in names:
            if name in SHIPPED_PRIVILEGES:
                yield SHIPPED_PRIVILEGES[name]
            else:
                rest.append(name)
        rights = {name: right for name in rest if (right := parse_repository_right(name))}
        there = set(self._repositories()) if rights else set()
        for name, right in rights.items():
            if (right.format, right.repository) in there:
                yield right.privilege(name)

    @staticmethod
    def _save(privilege: Privilege, properties: Mapping[str, Any]) -> Privilege:
        check_description(privilege.description)
        section = parse_properties(privilege.type, properties)
        _check_targets(section)
        saved = replace(privilege, properties=section.model_dump(mode="json"))
        records.save_privilege(saved)
        return saved

    @staticmethod
    def _drop(names: Iterable[str]) -> None:
        gone = set(names)
        for name in gone:
            records.delete_privilege(name)
        for role in records.list_roles():
            kept = tuple(each for each in role.privileges if each not in gone)
            if kept != role.privileges:
                records.save_role(replace(role, privileges=kept))


def parse_properties(kind: str, properties: Mapping[str, Any]) -> PrivilegeSection:
    """Return what a privilege of a type is made of (Invalid)."""
    model = PRIVILEGE_TYPES.get(kind)
    if model is None:
        known = ", ".join(PRIVILEGE_TYPES)
        raise Invalid(f"type: there is no privilege type {kind!r}; choose one of: {known}.", "type")
    return parse_section(model, properties)


def _check_targets(section: PrivilegeSection) -> None:
    """Return if there is what the privilege is for: nothing that comes later may fall under it."""
    if isinstance(section, RepositoryPrivilege) and section.repository != ANY:
        wanted = section.repository.lower()
        if not any(
            name.lower() == wanted and section.format in (ANY, format_)
            for format_, name in records.list_repositories()
        ):
            text = f"repository: there is no repository {section.repository!r} of this format."
            raise Invalid(text, field="repository")
    if isinstance(section, SelectorPrivilege) and section.selector.lower() not in {
        each.name.lower() for each in list_selectors()
    }:
        text = f"selector: there is no content selector {section.selector!r}."
        raise Invalid(text, field="selector")


def _made_of(key: str, value: str) -> list[Privilege]:
    """Return the privileges that have this property; letters have no case."""
    return [
        each
        for each in records.list_privileges()
        if str(each.properties.get(key, "")).lower() == value
    ]


def _repository_of(privilege: str) -> str | None:
    """Return which repository such a name is about, in lower case; None if it is no such name."""
    right = parse_repository_right(privilege)
    return None if right is None else right.repository.lower()


def _told(privilege: Privilege) -> dict[str, str]:
    """Return a privilege as the audit log has it."""
    values = {"description": privilege.description, **privilege.properties}
    return {
        key: " ".join(value) if isinstance(value, list) else str(value)
        for key, value in values.items()
    }
