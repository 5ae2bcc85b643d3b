"""The rights of endpoints on repositories, which tell nobody what exists.

Who lacks a right gets the same answer for a repository that does not exist.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from repoman.errors import Conflict, Denied, Invalid, NotFound
from repoman.repositories.model import Repository
from repoman.repositories.sections import GroupSection
from repoman.rest.endpoints import Call
from repoman.sections import Section
from repoman.security.actors import READING, WRITING, Action, RepositoryRef

NO_FORMAT = ""  # The format of a repository that does not exist: no right is about it alone.


@dataclass(frozen=True, slots=True)
class ConfigureRepository:
    """The right to an action on the settings of the repository in the path."""

    action: Action

    @property
    def text(self) -> str:
        """Return it as a sentence."""
        return f"Needs `nexus:repository-admin:<format>:<name>:{self.action}`."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied, NotFound)."""
        call.require_login()
        found, ref = _find(call, values["name"])
        if not call.repoman.security.authorizer.may_configure(call.actor, ref, self.action):
            raise Denied(f"{call.actor.name} is not allowed to {self.action} the settings.")
        call.repository = _existing(found)


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """The right to read the settings of the repository in the path."""

    text: str = "Needs `nexus:repository-admin:<format>:<name>:read`."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, NotFound)."""
        call.require_login()
        found, ref = _find(call, values["name"])
        may = call.repoman.security.authorizer.may_configure(call.actor, ref, Action.READ)
        call.repository = _existing(found if may else None)


@dataclass(frozen=True, slots=True)
class AddRepository:
    """The right to add some repository of a format; the function checks the name."""

    format: str

    @property
    def text(self) -> str:
        """Return it as a sentence."""
        return f"Needs `nexus:repository-admin:{self.format}:<name>:add`."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied)."""
        call.require_login()
        may = call.repoman.security.authorizer.may_configure_some
        if not may(call.actor, Action.ADD, self.format):
            raise Denied(f"{call.actor.name} is not allowed to add repositories.")


@dataclass(frozen=True, slots=True)
class ViewRepository:
    """The right to see something in the repository in the path, or in a group that has it."""

    text: str = "Needs `browse` or `read` in the repository or in a group that contains it."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied, NotFound)."""
        found, ref = _find(call, values["name"])
        refs = [ref]
        if found is not None:
            refs += [each.ref for each in call.repoman.repositories.groups_with(found.name)]
        may = call.repoman.security.authorizer.may_do_somewhere
        if not any(
            may(call.actor, each, frozenset({action})) for each in refs for action in READING
        ):
            call.require_login()
            raise Denied(f"{call.actor.name} is not allowed to see this repository.")
        call.repository = _existing(found)


def check_reach(call: Call, sections: Mapping[str, Section]) -> None:
    """Return if settings of a repository let the actor reach nothing else (Invalid).

    A group hands on the content of its members to everybody with a right in the group. So it takes
    the right to read, or to write, everything in a member that is new, or the right to edit its
    settings. Who may not know that there is such a repository is told that there is none. Files of
    the server and private networks are the business of administrators.
    """
    old = {} if call.has_no_repository else call.repository.config.sections
    group, client = sections.get("group"), sections.get("http_client")
    if isinstance(group, GroupSection):
        former = old.get("group")
        _check_members(
            call, group, former if isinstance(former, GroupSection) else GroupSection(members=())
        )
    for key in ("ca_bundle", "allow_private") if client is not None else ():
        value = getattr(client, key, None)
        is_new = value and value != getattr(old.get("http_client"), key, None)
        may_administer = call.repoman.security.authorizer.may_administer
        if is_new and not may_administer(call.actor, "*", "*"):
            field = f"http_client.{key}"
            raise Invalid(f"{field}: only administrators can set it.", field=field)


def _check_members(call: Call, group: GroupSection, old: GroupSection) -> None:
    find, had = call.repoman.repositories.find, {each.lower() for each in old.members}
    for name in group.members:
        found = find(name)
        if found is None or name.lower() in had or _may_share(call, found, READING):
            continue
        if not knows(call, name):
            raise _no_member(f"{name!r} is not the name of another repository.")
        raise _no_member(f"you need the right to read everything in {name!r}.")
    name = group.writable_member
    found = find(name) if name.lower() != old.writable_member.lower() else None
    if found is not None and not _may_share(call, found, WRITING | {Action.DELETE}):
        field = "group.writable_member"
        problem = f"{field}: you need the right to write and delete everything in {name!r}."
        raise Invalid(problem, field=field)


def _may_share(call: Call, repository: Repository, actions: frozenset[Action]) -> bool:
    authorizer, ref = call.repoman.security.authorizer, repository.ref
    return authorizer.may_configure(call.actor, ref, Action.EDIT) or authorizer.may_do_everywhere(
        call.actor, ref, actions
    )


def _no_member(problem: str) -> Invalid:
    return Invalid(f"group.members: {problem}", field="group.members")


def knows(call: Call, name: str) -> bool:
    """Return whether the actor may know that there is a repository of this name."""
    found, authorizer = call.repoman.repositories.find(name), call.repoman.security.authorizer
    return found is not None and (
        authorizer.knows(call.actor, found.ref)
        or any(authorizer.may_configure(call.actor, found.ref, each) for each in Action)
    )


@contextmanager
def hiding_owners(call: Call) -> Iterator[None]:
    """Have conflicts with a repository that the actor may not know of leave out its name."""
    try:
        yield
    except Conflict as error:
        if not error.owner or knows(call, error.owner):
            raise
        problem = f"{error.field}: it is used by another repository."
        raise Conflict(problem, error.field) from error


def _find(call: Call, name: str) -> tuple[Repository | None, RepositoryRef]:
    found = call.repoman.repositories.find(name)
    nothing = RepositoryRef(NO_FORMAT, name, anonymous=False)
    return found, nothing if found is None else found.ref


def _existing(found: Repository | None) -> Repository:
    if found is None:
        raise NotFound("The repository was not found.")
    return found
