"""The option sections of security: what an administrator changes while the server runs."""

import re
from itertools import chain
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from repoman.config import SecuritySettings
from repoman.options import Options
from repoman.sections import Section
from repoman.security.permissions import ANONYMOUS_ROLE
from repoman.security.rights import check_roles

LDAP_OPTIONS = "ldap"
PORTS = {"ldap": 389, "ldaps": 636}


class LdapOptions(Section):
    """A directory whose users may log in. Times in seconds."""

    audience: ClassVar = frozenset({"urls", "start_tls", "ca_file", "use_trust_store", "bind_dn"})

    enabled: bool = Field(False, description="Whether users can log in with LDAP.")
    urls: tuple[str, ...] = Field(
        (),
        description="Servers, ldap:// or ldaps://; if one does not respond, the next one is tried.",
    )
    start_tls: bool = Field(
        False, description="Whether to switch ldap:// connections to TLS (StartTLS)."
    )
    ca_file: str = Field(
        "", description="PEM file of the authorities to trust; empty: those of the system."
    )
    use_trust_store: bool = Field(
        False, description="Whether to trust the certificates of the trust store as well."
    )
    timeout: int = Field(
        5, ge=1, le=60, description="Timeout for a connection and for each response, in seconds."
    )
    bind_dn: str = Field("", description="DN to bind as for searches; empty: anonymous.")
    bind_password: SecretStr = Field(SecretStr(""), description="Password of bind_dn.")
    user_base: str = Field("", description="Base DN of the users.")
    user_subtree: bool = Field(
        True, description="Whether to search the whole subtree of user_base, or one level."
    )
    user_filter: str = Field(
        "(uid={user})", description="Filter for the entry of a user; {user} is the user name."
    )
    name_attribute: str = Field("uid", description="Attribute with the user name.")
    first_name_attribute: str = Field("givenName", description="Attribute with the first name.")
    last_name_attribute: str = Field("sn", description="Attribute with the last name.")
    email_attribute: str = Field("mail", description="Attribute with the mail address.")
    group_base: str = Field(
        "", description="Base DN of the groups; empty: groups are not searched."
    )
    group_subtree: bool = Field(
        True, description="Whether to search the whole subtree of group_base, or one level."
    )
    group_filter: str = Field(
        "(member={dn})",
        description="Filter for the groups of a user; {dn} and {user} are those of the user.",
    )
    group_attribute: str = Field("cn", description="Attribute with the name of a group.")
    member_of_attribute: str = Field(
        "", description="Attribute of users that holds the DNs of their groups; empty: not read."
    )
    roles: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Map from the name or DN of a group to roles."
    )
    groups_as_roles: bool = Field(
        False, description="Whether users also have the roles whose ids are names of their groups."
    )
    default_roles: tuple[str, ...] = Field((), description="Roles of all users of the LDAP server.")

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/"):
                raise ValueError("must be addresses such as ldaps://directory.example.com")
            if "@" in parts.netloc:
                raise ValueError(
                    "must not contain a name and password; use bind_dn and bind_password"
                )
            if parts.query or parts.fragment:
                raise ValueError("must be addresses such as ldaps://directory.example.com")
        return value

    @field_validator("user_filter")
    @classmethod
    def _check_user_filter(cls, value: str) -> str:
        if "{user}" not in value:
            raise ValueError("must contain {user}")
        return check_filter(value)

    @field_validator("group_filter")
    @classmethod
    def _check_group_filter(cls, value: str) -> str:
        return check_filter(value)

    @model_validator(mode="after")
    def _check_together(self) -> "LdapOptions":
        if self.bind_dn and not self.bind_password.get_secret_value():
            # A bind with a name and no password succeeds as nobody (RFC 4513, 5.1.2).
            raise ValueError("bind_dn requires a bind_password")
        if self.start_tls and any(url.startswith("ldaps:") for url in self.urls):
            raise ValueError("start_tls is for ldap:// only; ldaps:// uses TLS from the start")
        if self.enabled and not (self.urls and self.user_base):
            raise ValueError("set urls and user_base before you enable it")
        return self


def check_filter(value: str) -> str:
    """Return a filter for searches, if it may be one (ValueError)."""
    names = set(re.findall(r"\{(.*?)\}", value))
    if not (value.startswith("(") and value.endswith(")") and value.count("(") == value.count(")")):
        raise ValueError("must be a filter in parentheses, such as (uid={user})")
    if names - {"user", "dn"}:
        raise ValueError("may contain {user} and {dn} only")
    return value


ANONYMOUS_OPTIONS = "anonymous"
REALM_OPTIONS = "realms"
USER_TOKEN_OPTIONS = "user_tokens"  # noqa: S105 - the name of the section
AUTHORIZING_REALM = "NexusAuthorizingRealm"  # Clients know the rights of this server as a realm.


class AnonymousOptions(Section):
    """Access without a login."""

    enabled: bool = Field(False, description="Whether clients can read without authentication.")
    roles: tuple[str, ...] = Field(
        (ANONYMOUS_ROLE,), description="Roles of clients without authentication, if it is enabled."
    )
    user_id: str = Field("anonymous", description="Name of their user, kept for clients.")
    realm_name: str = Field(AUTHORIZING_REALM, description="Realm of that user, kept for clients.")

    def check_names(self) -> None:
        """Return if all these roles exist (Invalid)."""
        check_roles(self.roles)


class RealmOptions(Section):
    """The realms that check user names and passwords."""

    active: tuple[str, ...] = Field(
        (), description="Realms in the order in which they are tried; empty: all realms."
    )


class UserTokenOptions(Section):
    """User tokens."""

    enabled: bool = Field(True, description="Whether user tokens can be created and used.")
    protect_content: bool = Field(
        False, description="Whether repositories accept user tokens only, and no passwords."
    )
    expiration_enabled: bool = Field(
        False, description="Whether all user tokens expire expiration_days after their creation."
    )
    expiration_days: int = Field(30, ge=1, le=999, description="Days for which a token is valid.")


def security_options(settings: SecuritySettings) -> dict[str, Section]:
    """Return the sections as the settings file begins them."""
    return {
        ANONYMOUS_OPTIONS: AnonymousOptions(enabled=settings.anonymous_read),
        REALM_OPTIONS: RealmOptions(),
        LDAP_OPTIONS: LdapOptions(),
        USER_TOKEN_OPTIONS: UserTokenOptions(),
    }


def named_roles(options: Options) -> dict[str, tuple[str, ...]]:
    """Return the ids of roles that options name, by the path of the option."""
    ldap = options.get(LDAP_OPTIONS, LdapOptions)
    return {
        "anonymous.roles": options.get(ANONYMOUS_OPTIONS, AnonymousOptions).roles,
        "ldap.roles": tuple(chain.from_iterable(ldap.roles.values())),
        "ldap.default_roles": ldap.default_roles,
    }
