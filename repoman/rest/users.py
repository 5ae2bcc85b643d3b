"""Users over REST, as clients of Sonatype Nexus Repository 3 know them.

What is called a realm here is a source of users there. The user ``anonymous`` is no row but stands
for the options of access without a login: its roles are those.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from repoman.bootstrap import ADMIN, has_first_password
from repoman.errors import Denied, Invalid, NotFound
from repoman.mail import is_address
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Query, Resource, lower_case
from repoman.rest.wording import BODY, PARAMETER, worded
from repoman.security.actors import ANONYMOUS, LOCAL
from repoman.security.ldap import LDAP
from repoman.security.options import ANONYMOUS_OPTIONS, AnonymousOptions
from repoman.security.user_records import Status, User
from repoman.security.users import ABOUT_MAX_CHARS

DEFAULT = "default"  # The source of the users of the local realm.
SOURCES = {LOCAL: DEFAULT, LDAP: "LDAP"}  # Sources by realm; others are called as their realms.
TITLES = {DEFAULT: "Local"}  # What sources are called to people, if not by their names.
NAMES_MAX = 10_000  # Names of roles or privileges that a request may have.
FOUND_MAX_USERS = 100  # Users in a list that is not of the default source alone.
FIELDS: Mapping[str, str] = {
    "name": f"{PARAMETER}userId",
    "first_name": f"{PARAMETER}firstName",
    "last_name": f"{PARAMETER}lastName",
    "email": f"{PARAMETER}emailAddress",
}
ABOUT_ANONYMOUS = {
    "first_name": "Anonymous",
    "last_name": "User",
    "email_address": "anonymous@example.org",
}

users = Area("Users", "Users, their roles and their passwords.")


def check_filled(text: str) -> str:
    """Return a text that is not blank (ValueError)."""
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Filled = Annotated[str, AfterValidator(check_filled)]
StatusText = Annotated[Status, BeforeValidator(lower_case)]
RoleIds = Annotated[
    list[str],
    Field(min_length=1, max_length=NAMES_MAX, description="The ids of the user's roles."),
]


class UserQuery(Query):
    """Selects users."""

    user_id: str = Field("", description="Only users whose names begin with this, in any case.")
    source: str | None = Field(
        None,
        description=f"Only users of this source: `{DEFAULT}` for local users, `LDAP`, or the name "
        f"of a plugin's realm. Unless it is `{DEFAULT}`, the list has at most {FOUND_MAX_USERS} "
        "users.",
    )


class DeletionQuery(Query):
    """Says which user to delete."""

    realm: str | None = Field(
        None,
        description="The source of a user that is not a local one, see `source`; or the id of the "
        "realm, such as `LdapRealm`.",
    )


class NewUser(Resource):
    """A new local user."""

    user_id: Filled = Field(description="The name with which the user logs in.")
    first_name: Filled = Field(max_length=ABOUT_MAX_CHARS, description="The first name.")
    last_name: Filled = Field(max_length=ABOUT_MAX_CHARS, description="The last name.")
    email_address: Filled = Field(max_length=ABOUT_MAX_CHARS, description="The mail address.")
    password: SecretStr = Field(description="The password; write only.")
    status: StatusText = Field(description="Whether the user may log in.")
    roles: RoleIds

    @field_validator("email_address")
    @classmethod
    def _check_address(cls, text: str) -> str:
        return _check_address(text)


class ChangedUser(Resource):
    """A user as it is to be. Of a user of another source, only status and roles are changed."""

    source: Filled = Field(description="The source of the user, which cannot be changed.")
    user_id: Filled = Field(description="The name of the user, as in the path.")
    first_name: str | None = Field(
        None, validate_default=True, max_length=ABOUT_MAX_CHARS, description="The first name."
    )
    last_name: str | None = Field(
        None, validate_default=True, max_length=ABOUT_MAX_CHARS, description="The last name."
    )
    email_address: str | None = Field(
        None, validate_default=True, max_length=ABOUT_MAX_CHARS, description="The mail address."
    )
    status: StatusText = Field(description="Whether the user may log in.")
    roles: RoleIds

    @field_validator("first_name", "last_name", "email_address")
    @classmethod
    def _check_filled(cls, text: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("source") != DEFAULT:
            return text
        if text is None:
            raise ValueError("is required")
        return _check_address(text) if info.field_name == "email_address" else check_filled(text)


class UserView(Resource):
    """A user."""

    user_id: str = Field(description="The name with which the user logs in.")
    first_name: str = Field(description="The first name.")
    last_name: str = Field(description="The last name.")
    email_address: str = Field(description="The mail address.")
    source: str = Field(description="Who knows the user's password.")
    status: Status = Field(
        description="`locked` and `disabled` users may not log in; `changepassword` users may, and "
        "the pages ask them for a new password."
    )
    read_only: bool = Field(False, description="Always false.")
    roles: list[str] = Field(description="The ids of the roles that were given to the user here.")
    external_roles: list[str] = Field(description="Those that the source has given to the user.")


class UserSource(Resource):
    """A source of users."""

    id: str
    name: str


class OnboardingStep(Resource):
    """Something to do on a new server."""

    type: str = Field(description="What it is: `ChangeAdminPassword`.")
    priority: int = Field(0, description="The lower, the earlier.")


@users.get("/v1/security/users", Permission("users", "read"))
def list_users(call: Call, query: UserQuery) -> list[UserView]:
    """List users by name; those of other sources only after their first login."""
    realm = None if query.source is None else _realm_of(query.source)
    limit = None if realm == LOCAL else FOUND_MAX_USERS
    found = [_view(each) for each in call.repoman.users.search(query.user_id, realm, limit)]
    if realm in (None, LOCAL) and ANONYMOUS.name.startswith(query.user_id.lower()):
        found.append(_view_anonymous(call))
    return found


@users.post("/v1/security/users", Permission("users", "create"))
def create_user(call: Call, body: NewUser) -> UserView:
    """Create a local user."""
    password = body.password.get_secret_value()
    if not password.strip():
        raise Invalid("The password must not be empty.")
    if body.user_id == ANONYMOUS.name:
        raise Invalid(f"A user named {ANONYMOUS.name!r} already exists.")
    with worded(FIELDS, taken=BODY):
        call.repoman.users.create(
            body.user_id, password, body.roles, status=body.status, about=_about(body)
        )
    return _view(call.repoman.users.get(body.user_id))


@users.put("/v1/security/users/{user_id}", Permission("users", "update"))
def update_user(call: Call, user_id: str, body: ChangedUser) -> None:
    """Replace what is known of a user. Replacing the roles of `anonymous` changes the option."""
    if body.user_id != user_id:
        raise Invalid(f"The path is that of the user {user_id!r}, but the body is not.")
    if user_id == ANONYMOUS.name:
        _update_anonymous(call, body)
        return
    user = _find(call, user_id, body.source)
    about = _about(body) if user.realm == LOCAL else None
    with worded(FIELDS):
        call.repoman.users.change(user_id, roles=body.roles, status=body.status, about=about)


@users.delete("/v1/security/users/{user_id}", Permission("users", "delete"))
def delete_user(call: Call, user_id: str, query: DeletionQuery) -> None:
    """Delete a user, with the user's tokens and sessions."""
    if user_id == ANONYMOUS.name:
        raise Invalid("The user anonymous cannot be deleted; disable anonymous access instead.")
    user = call.repoman.users.get(user_id)
    if query.realm is None and user.realm != LOCAL:
        source = _source_of(user.realm)
        raise Invalid(f"{user_id} is not a local user. Name the source with '?realm={source}'.")
    realms = {each.id: each.name for each in call.repoman.security.realms.available()}
    if query.realm is not None and realms.get(query.realm, _realm_of(query.realm)) != user.realm:
        raise Invalid(f"The user {user_id} does not belong to {query.realm!r}.")
    call.repoman.users.delete(user_id, call.actor)


@users.put("/v1/security/users/{user_id}/change-password", Permission("*", "*"))
def change_password(call: Call, user_id: str, text: str) -> None:
    """Give a local user another password, which is the body; all logins of the user end.

    Nobody can change their own password with just the session of a browser.
    """
    if call.is_session and user_id == call.actor.name:
        raise Denied("A session is not enough to change its own password. Send the password.")
    if not text.strip():
        raise Invalid("The body must be the new password.")
    if user_id == ANONYMOUS.name:
        raise Invalid("The user anonymous has no password.")
    call.repoman.users.set_password(user_id, text)


@users.put("/internal/ui/onboarding/change-admin-password", Permission("*", "*"))
def change_admin_password(call: Call, text: str) -> None:
    """Give the user `admin` another password, as scripts do that set up a server."""
    change_password(call, ADMIN, text)


@users.get("/internal/ui/onboarding", Permission("*", "*"))
def list_onboarding_steps(call: Call) -> list[OnboardingStep]:
    """List what is left to do on a new server: to change the first password of `admin`."""
    is_new = has_first_password(call.repoman.data)
    return [OnboardingStep(type="ChangeAdminPassword")] if is_new else []


@users.get("/v1/security/user-sources", Permission("users", "read"))
def list_user_sources(call: Call) -> list[UserSource]:
    """List the sources that users have come from."""
    sources = sorted(map(_source_of, call.repoman.users.realms()))
    return [UserSource(id=each, name=TITLES.get(each, each)) for each in sources]


def _find(call: Call, user_id: str, source: str) -> User:
    user = call.repoman.users.get(user_id)
    if user.realm != _realm_of(source):
        raise NotFound(f"There is no user {user_id!r} in the source {source!r}.")
    return user


def _update_anonymous(call: Call, body: ChangedUser) -> None:
    fixed = {"source": DEFAULT, "status": Status.ACTIVE, **ABOUT_ANONYMOUS}
    if any(getattr(body, field) != value for field, value in fixed.items()):
        raise Invalid(
            "Only the roles of the user anonymous can be changed; enable and disable it with the "
            "settings of anonymous access."
        )
    call.repoman.options.update(ANONYMOUS_OPTIONS, {"roles": body.roles})


def _view(user: User) -> UserView:
    return UserView(
        user_id=user.name,
        first_name=user.first_name,
        last_name=user.last_name,
        email_address=user.email,
        source=_source_of(user.realm),
        status=user.status,
        roles=list(user.roles),
        external_roles=list(user.external_roles),
    )


def _view_anonymous(call: Call) -> UserView:
    roles = call.repoman.options.get(ANONYMOUS_OPTIONS, AnonymousOptions).roles
    return UserView(
        user_id=ANONYMOUS.name,
        source=DEFAULT,
        status=Status.ACTIVE,
        roles=list(roles),
        external_roles=[],
        **ABOUT_ANONYMOUS,
    )


def _about(body: NewUser | ChangedUser) -> dict[str, str]:
    values = (body.first_name, body.last_name, body.email_address)
    return dict(zip(("first_name", "last_name", "email"), map(str, values), strict=True))


def _check_address(text: str) -> str:
    if not is_address(text):
        raise ValueError("must be a mail address, such as ana@example.org")
    return text


def _source_of(realm: str) -> str:
    return SOURCES.get(realm, realm)


def _realm_of(source: str) -> str:
    """Return the realm of a source; empty, as no user's is: there is no such source."""
    if source in SOURCES:  # A realm that has another name here.
        return ""
    return next((realm for realm, each in SOURCES.items() if each == source), source)
