"""Privileges over REST, as clients of Sonatype Nexus Repository 3 know them.

Actions are upper case there. In privileges for the server itself, ADD stands for create and EDIT
for update.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from repoman.errors import Conflict, Invalid, NotFound
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import AnyCase, Resource
from repoman.rest.users import Filled
from repoman.rest.wording import BODY, PARAMETER, worded
from repoman.security.permissions import (
    ADMIN,
    ANY,
    APPLICATION,
    SCRIPT,
    SELECTOR,
    VIEW,
    WILDCARD,
)
from repoman.security.rights_records import Privilege

FIELDS: Mapping[str, str] = {
    "name": f"{PARAMETER}name",
    "pattern": f"{PARAMETER}pattern",
    "domain": f"{PARAMETER}domain",
    "script": f"{PARAMETER}scriptName",
    "description": BODY,
    "format": BODY,
    "repository": BODY,
    "selector": BODY,
}
# The names of properties of privileges that have others on the wire.
PROPERTIES = {"content_selector": "selector", "script_name": "script"}

privileges = Area("Privileges", "Privileges: what roles may be made of.")


class WireAction(AnyCase):
    """An action of a privilege."""

    READ = "READ"
    BROWSE = "BROWSE"
    EDIT = "EDIT"
    ADD = "ADD"
    DELETE = "DELETE"
    RUN = "RUN"
    START = "START"
    STOP = "STOP"
    ASSOCIATE = "ASSOCIATE"
    DISASSOCIATE = "DISASSOCIATE"
    ALL = "ALL"


ON_CONTENT = frozenset({"READ", "BROWSE", "EDIT", "ADD", "DELETE", "ALL"})
ON_SCRIPTS = ON_CONTENT | {"RUN"}
ON_SERVER = frozenset(WireAction) - {"BROWSE", "RUN"}


Actions = Annotated[
    list[WireAction],
    Field(min_length=1, description="The allowed actions, in any case."),
]
ShownActions = Annotated[list[str], Field(description="The allowed actions, in upper case.")]


class PrivilegeBody(Resource):
    """A privilege as it is to be."""

    name: Filled = Field(description="The name, which cannot be changed.")
    description: str | None = Field(None, description="What it is for.")


class WildcardBody(PrivilegeBody):
    """Any permission at all."""

    pattern: Filled = Field(description="The permission, such as `nexus:users:read`.")


class ApplicationBody(PrivilegeBody):
    """To do something with the server itself."""

    domain: Filled = Field(description="The area it covers, such as `users`.")
    actions: Actions


class RepositoryViewBody(PrivilegeBody):
    """To do something with the content of repositories."""

    format: Filled = Field(description="The format of the repositories; `*`: any.")
    repository: Filled = Field(description="The repository; `*`: all of the format.")
    actions: Actions


class RepositoryAdminBody(RepositoryViewBody):
    """To do something with the settings of repositories."""


class SelectorBody(RepositoryViewBody):
    """To do something with the content that a content selector picks."""

    content_selector: Filled = Field(description="The name of the content selector.")


class ScriptBody(PrivilegeBody):
    """To do something with scripts. This server has none, and keeps such privileges only."""

    script_name: Filled = Field(description="The name of the script; `*`: any.")
    actions: Actions


class _View(Resource):
    name: str = Field(description="The name.")
    description: str = Field(description="What it is for.")
    read_only: bool = Field(description="Whether it is built in and cannot be changed.")


class WildcardView(_View):
    """A privilege for any permission."""

    type: Literal["wildcard"]
    pattern: str = Field(description="The permission.")


class ApplicationView(_View):
    """A privilege to do something with the server itself."""

    type: Literal["application"]
    domain: str = Field(description="The area it covers.")
    actions: ShownActions


class _OnRepository(_View):
    format: str = Field(description="The format of the repositories; `*`: any.")
    repository: str = Field(description="The repository; `*`: all of the format.")
    actions: ShownActions


class RepositoryViewView(_OnRepository):
    """A privilege to do something with the content of repositories."""

    type: Literal["repository-view"]


class RepositoryAdminView(_OnRepository):
    """A privilege to do something with the settings of repositories."""

    type: Literal["repository-admin"]


class SelectorView(_OnRepository):
    """A privilege to do something with the content that a content selector picks."""

    type: Literal["repository-content-selector"]
    content_selector: str = Field(description="The name of the content selector.")


class ScriptView(_View):
    """A privilege to do something with scripts."""

    type: Literal["script"]
    script_name: str = Field(description="The name of the script; `*`: any.")
    actions: ShownActions


PrivilegeView = Annotated[
    WildcardView
    | ApplicationView
    | RepositoryViewView
    | RepositoryAdminView
    | SelectorView
    | ScriptView,
    Field(discriminator="type"),
]
_VIEWS: TypeAdapter[PrivilegeView] = TypeAdapter(PrivilegeView)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of privileges: its name, what makes one, and the actions that it knows."""

    name: str
    body: type[PrivilegeBody]
    actions: Set[str] = frozenset()

    def action_of(self, given: str) -> str:
        """Return what an action on the wire is called here."""
        if given == WireAction.ALL:
            return ANY
        found = {"ADD": "create", "EDIT": "update"} if self.name == APPLICATION else {}
        return found.get(given, given.lower())

    def wire_action_of(self, action: str) -> str:
        """Return what an action is called on the wire."""
        if action == ANY:
            return WireAction.ALL
        found = {"create": "ADD", "update": "EDIT"} if self.name == APPLICATION else {}
        return found.get(action, action.upper())

    def properties_of(self, body: PrivilegeBody) -> dict[str, Any]:
        """Return what a privilege is made of (Invalid: the type has no such action)."""
        values = body.model_dump(exclude={"name", "description"}, by_alias=False)
        values = {PROPERTIES.get(key, key): value for key, value in values.items()}
        given = dict.fromkeys(values.pop("actions", ()))
        if unknown := [each for each in given if each not in self.actions]:
            raise Invalid(
                f"A privilege of type {self.name!r} cannot have the actions {', '.join(unknown)}; "
                f"choose from: {', '.join(sorted(self.actions))}."
            )
        return {**values, "actions": [self.action_of(each) for each in given]} if given else values

    def view_of(self, privilege: Privilege, *, is_built_in: bool) -> PrivilegeView:
        """Return a privilege of this type as it is on the wire."""
        wire = {name: key for key, name in PROPERTIES.items()}
        values = {wire.get(key, key): value for key, value in privilege.properties.items()}
        if "actions" in values:
            values["actions"] = list(map(self.wire_action_of, values["actions"]))
        return _VIEWS.validate_python(
            {
                **values,
                "name": privilege.name,
                "type": privilege.type,
                "description": privilege.description,
                "read_only": is_built_in,
            }
        )


KINDS = {
    each.name: each
    for each in (
        Kind(WILDCARD, WildcardBody),
        Kind(APPLICATION, ApplicationBody, ON_SERVER),
        Kind(VIEW, RepositoryViewBody, ON_CONTENT),
        Kind(ADMIN, RepositoryAdminBody, ON_CONTENT),
        Kind(SELECTOR, SelectorBody, ON_CONTENT),
        Kind(SCRIPT, ScriptBody, ON_SCRIPTS),
    )
}


@privileges.get("/v1/security/privileges", Permission("privileges", "read"))
def list_privileges(call: Call) -> list[PrivilegeView]:
    """List all privileges by name, those that repositories bring with them too."""
    service = call.repoman.security.privileges
    found = sorted([*service.all(), *service.of_repositories()], key=lambda each: each.name)
    return [_view(call, each) for each in found if each.type in KINDS]


@privileges.get("/v1/security/privileges/{name}", Permission("privileges", "read"))
def show_privilege(call: Call, name: str) -> PrivilegeView:
    """Show a privilege."""
    return _view(call, call.repoman.security.privileges.get(name))


@privileges.delete(
    "/v1/security/privileges/{name}", Permission("privileges", "delete"), matches=show_privilege
)
def delete_privilege(call: Call, name: str) -> None:
    """Delete a privilege, and take it from all roles that have it."""
    call.repoman.security.privileges.delete(name)


def _view(call: Call, privilege: Privilege) -> PrivilegeView:
    is_built_in = call.repoman.security.privileges.is_built_in(privilege.name)
    if privilege.type not in KINDS:
        raise NotFound(f"The privilege {privilege.name!r} is of a later version.")
    return KINDS[privilege.type].view_of(privilege, is_built_in=is_built_in)


def _create(call: Call, kind: Kind, body: PrivilegeBody) -> None:
    with worded(FIELDS, taken=BODY):
        call.repoman.security.privileges.create(
            body.name, kind.name, kind.properties_of(body), body.description or ""
        )


def _update(call: Call, kind: Kind, name: str, body: PrivilegeBody) -> None:
    if body.name != name:
        raise Conflict(f"The path is that of the privilege {name!r}, but the body is not.")
    service = call.repoman.security.privileges
    if service.get(name).type != kind.name:
        raise Invalid(f"The privilege {name!r} is not of type {kind.name}, which cannot change.")
    with worded(FIELDS):
        service.change(name, kind.properties_of(body), body.description or "")


def _add(kind: Kind) -> None:
    """Add the endpoints that create and replace privileges of a type."""
    path = f"/v1/security/privileges/{kind.name}"
    word = kind.name.replace("-", "_")

    def create(call: Call, body: Any) -> None:
        _create(call, kind, body)

    def update(call: Call, name: str, body: Any) -> None:
        _update(call, kind, name, body)

    for function, verb in ((create, "create"), (update, "update")):
        function.__annotations__["body"] = kind.body
        function.__name__ = function.__qualname__ = f"{verb}_{word}_privilege"
        function.__doc__ = f"{verb.capitalize()} a privilege of the type {kind.name}."
    privileges.post(path, Permission("privileges", "create"), status=201)(create)
    right = Permission("privileges", "update")
    privileges.put(f"{path}/{{name}}", right, matches=show_privilege)(update)


for _kind in KINDS.values():
    _add(_kind)
