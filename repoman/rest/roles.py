"""Roles over REST, as clients of Sonatype Nexus Repository 3 know them."""

from collections.abc import Mapping

from pydantic import Field

from repoman.errors import Conflict, Invalid, NotFound
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Query, Resource
from repoman.rest.users import DEFAULT, NAMES_MAX, Filled, list_user_sources
from repoman.rest.wording import BODY, PARAMETER, worded
from repoman.security.rights_records import Role

FIELDS: Mapping[str, str] = {"privileges": BODY, "roles": BODY, "description": BODY}

roles = Area("Roles", "Roles: privileges under one name, for users and other roles.")


class RoleQuery(Query):
    """Selects roles by who defines them."""

    source: str = Field(
        DEFAULT,
        description=f"Whose roles: `{DEFAULT}` for those of this server; other sources have none.",
    )


LOCAL_ROLES = RoleQuery()


class RoleBody(Resource):
    """A role as it is to be."""

    id: Filled = Field(description="The id, which cannot be changed.")
    name: Filled = Field(description="What the role is called.")
    description: str | None = Field(None, description="What it is for; by default the id.")
    privileges: list[str] = Field(
        default_factory=list, max_length=NAMES_MAX, description="Names of privileges."
    )
    roles: list[str] = Field(
        default_factory=list, max_length=NAMES_MAX, description="Ids of the roles that it includes."
    )

    def role(self) -> Role:
        """Return it as the service knows it."""
        description = self.id if self.description is None else self.description
        return Role(self.id, self.name, description, tuple(self.privileges), tuple(self.roles))


class RoleView(Resource):
    """A role."""

    id: str = Field(description="The id.")
    source: str = Field(DEFAULT, description="Who defines it.")
    name: str = Field(description="What the role is called.")
    description: str = Field(description="What it is for.")
    read_only: bool = Field(description="Whether it is built in and cannot be changed.")
    privileges: list[str] = Field(description="Names of privileges.")
    roles: list[str] = Field(description="Ids of the roles that it includes.")


@roles.get("/v1/security/roles", Permission("roles", "read"))
def list_roles(call: Call, query: RoleQuery) -> list[RoleView]:
    """List the roles by id."""
    _check_source(call, query)
    if query.source != DEFAULT:
        return []
    return [_view(call, each) for each in call.repoman.security.roles.all()]


@roles.get("/v1/security/roles/{role_id}", Permission("roles", "read"))
def show_role(call: Call, role_id: str, query: RoleQuery = LOCAL_ROLES) -> RoleView:
    """Show a role."""
    _check_source(call, query)
    if query.source != DEFAULT:
        raise NotFound(f"There is no role {role_id!r} in the source {query.source!r}.")
    return _view(call, call.repoman.security.roles.get(role_id))


@roles.post("/v1/security/roles", Permission("roles", "create"))
def create_role(call: Call, body: RoleBody) -> RoleView:
    """Create a role."""
    with worded({**FIELDS, "name": f"{PARAMETER}id"}, taken=BODY):
        call.repoman.security.roles.create(body.role())
    return _view(call, call.repoman.security.roles.get(body.id))


@roles.put("/v1/security/roles/{role_id}", Permission("roles", "update"), matches=show_role)
def update_role(call: Call, role_id: str, body: RoleBody) -> None:
    """Replace a role."""
    if body.id != role_id:
        raise Conflict(f"The path is that of the role {role_id!r}, but the body is not.")
    with worded({**FIELDS, "name": f"{PARAMETER}name"}):
        call.repoman.security.roles.change(body.role())


@roles.delete("/v1/security/roles/{role_id}", Permission("roles", "delete"), matches=show_role)
def delete_role(call: Call, role_id: str) -> None:
    """Delete a role, and take it from all users and roles that have it."""
    call.repoman.security.roles.delete(role_id)


def _check_source(call: Call, query: RoleQuery) -> None:
    if query.source not in {each.id for each in list_user_sources(call)}:
        raise Invalid(f"There is no source {query.source!r} of roles.")


def _view(call: Call, role: Role) -> RoleView:
    return RoleView(
        id=role.id,
        name=role.name,
        description=role.description,
        read_only=call.repoman.security.roles.is_built_in(role.id),
        privileges=list(role.privileges),
        roles=list(role.roles),
    )
