"""Who is let in, over REST: access without a login, realms, and user tokens."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from repoman.errors import Invalid, NotFound
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Resource
from repoman.security.options import (
    ANONYMOUS_OPTIONS,
    AUTHORIZING_REALM,
    USER_TOKEN_OPTIONS,
    AnonymousOptions,
    UserTokenOptions,
)

READ = Permission("settings", "read")
UPDATE = Permission("settings", "update")
NAME_MAX_CHARS = 200  # The longest name of a user or a realm that is kept.

realms = Area("Realms", "Access without a login, realms, and user tokens.")


class AnonymousAccess(Resource):
    """Access without a login."""

    enabled: bool = Field(False, description="Whether clients can read without a login.")
    user_id: str | None = Field(
        None,
        max_length=NAME_MAX_CHARS,
        description="Kept for clients: the rights are those of the roles in `anonymous.roles`.",
    )
    realm_name: str | None = Field(
        None, max_length=NAME_MAX_CHARS, description="Id of a realm; kept for clients."
    )


@realms.get("/v1/security/anonymous", READ)
def show_anonymous_access(call: Call) -> AnonymousAccess:
    """Show whether clients can read without a login."""
    return _anonymous_access(call)


def _anonymous_access(call: Call) -> AnonymousAccess:
    options = call.repoman.options.get(ANONYMOUS_OPTIONS, AnonymousOptions)
    return AnonymousAccess(
        enabled=options.enabled, user_id=options.user_id, realm_name=options.realm_name
    )


@realms.put("/v1/security/anonymous", UPDATE, matches=show_anonymous_access)
def set_anonymous_access(call: Call, body: AnonymousAccess) -> AnonymousAccess:
    """Set whether clients can read without a login."""
    realm = body.realm_name or AUTHORIZING_REALM
    if not call.repoman.security.realms.is_id(realm):
        raise Invalid("realmName: there is no such realm.", field="realmName")
    call.repoman.options.update(
        ANONYMOUS_OPTIONS,
        {"enabled": body.enabled, "user_id": body.user_id or "anonymous", "realm_name": realm},
    )
    return _anonymous_access(call)


class RealmView(Resource):
    """A realm: its id, and its name for people."""

    id: str
    name: str


@realms.get("/v1/security/realms/available", READ)
def list_available_realms(call: Call) -> list[RealmView]:
    """List the realms that can be active, by name."""
    found = call.repoman.security.realms.available()
    return [RealmView(id=each.id, name=each.title) for each in found]


@realms.get("/v1/security/realms/active", READ)
def list_active_realms(call: Call) -> list[str]:
    """List the ids of the active realms in their order."""
    return call.repoman.security.realms.active()


@realms.put("/v1/security/realms/active", UPDATE, has_plain_errors=True, matches=list_active_realms)
def set_active_realms(call: Call, body: list[str]) -> None:
    """Set the active realms, by their ids in the order in which they are asked.

    Local users and user tokens are always asked. `NexusAuthorizingRealm` is accepted and left out.
    """
    call.repoman.security.realms.activate(body)


def _none_for_zero(value: object) -> object:
    return None if value == 0 and value is not False else value


class UserTokenSettings(Resource):
    """The settings of user tokens."""

    enabled: bool = Field(False, description="Whether user tokens can be created and used.")
    protect_content: bool = Field(
        False, description="Whether repositories accept user tokens only, and no passwords."
    )
    expiration_enabled: bool = Field(
        False, description="Whether all user tokens expire expirationDays after their creation."
    )
    expiration_days: Annotated[int | None, BeforeValidator(_none_for_zero)] = Field(
        None, ge=1, le=999, description="Days for which a token is valid, 1 to 999."
    )


@realms.get("/v1/security/user-tokens", Permission("usertoken-settings", "read"))
def show_user_token_settings(call: Call) -> UserTokenSettings:
    """Show the settings of user tokens."""
    return _user_token_settings(call)


def _user_token_settings(call: Call) -> UserTokenSettings:
    options = call.repoman.options.get(USER_TOKEN_OPTIONS, UserTokenOptions)
    return UserTokenSettings(**options.model_dump())


@realms.put(
    "/v1/security/user-tokens",
    Permission("usertoken-settings", "update"),
    matches=show_user_token_settings,
)
def set_user_token_settings(call: Call, body: UserTokenSettings) -> UserTokenSettings:
    """Change the settings of user tokens."""
    values = body.model_dump(by_alias=False, exclude_none=True)
    call.repoman.options.update(USER_TOKEN_OPTIONS, {**UserTokenOptions().model_dump(), **values})
    return _user_token_settings(call)


@realms.delete("/v1/security/user-tokens", Permission("usertoken-settings", "delete"))
def revoke_all_user_tokens(call: Call) -> None:
    """Revoke the user tokens of all users."""
    call.repoman.security.user_tokens.revoke_all()


SAML = "/v1/security/saml"
NO_SAML = "Logins with SAML are not supported."


@realms.get(SAML, READ, bare=(404,))
def show_saml(call: Call) -> None:
    """Answer 404: logins with SAML are not supported."""
    raise NotFound(NO_SAML)


@realms.put(SAML, UPDATE, bare=(404,))
def set_saml(call: Call) -> None:
    """Answer 404: logins with SAML are not supported."""
    raise NotFound(NO_SAML)


@realms.delete(SAML, UPDATE, bare=(404,))
def delete_saml(call: Call) -> None:
    """Answer 404: logins with SAML are not supported."""
    raise NotFound(NO_SAML)
