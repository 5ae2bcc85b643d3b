"""The option section of the LDAP realm."""

import re
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from repoman.sections import Section

LDAP_OPTIONS = "ldap"
PORTS = {"ldap": 389, "ldaps": 636}


class LdapOptions(Section):
    """A directory whose users may log in. Times in seconds."""

    enabled: bool = Field(False, description="Whether the directory is asked at all.")
    urls: tuple[str, ...] = Field(
        (), description="Its servers, ldap:// or ldaps://; the next one where one does not answer."
    )
    start_tls: bool = Field(False, description="Whether ldap:// connections turn to TLS at once.")
    ca_file: str = Field(
        "", description="PEM file of the authorities to trust; empty: those of the system."
    )
    timeout: int = Field(5, ge=1, le=60, description="Time for a connection, and for each answer.")
    bind_dn: str = Field("", description="Who searches; empty: nobody in particular.")
    bind_password: SecretStr = Field(SecretStr(""), description="Password of that entry.")
    user_base: str = Field("", description="Where users are, at any depth.")
    user_filter: str = Field(
        "(uid={user})", description="Which entry a user is; {user} is the name given."
    )
    name_attribute: str = Field("uid", description="What a user is called here.")
    first_name_attribute: str = Field("givenName", description="Where the first name is.")
    last_name_attribute: str = Field("sn", description="Where the last name is.")
    email_attribute: str = Field("mail", description="Where the mail address is.")
    group_base: str = Field("", description="Where groups are; empty: they are not searched.")
    group_filter: str = Field(
        "(member={dn})", description="Which groups a user is in; {dn} and {user} are the user's."
    )
    group_attribute: str = Field("cn", description="What a group is called.")
    member_of_attribute: str = Field(
        "", description="Attribute of users with the DNs of their groups; empty: not read."
    )
    roles: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="From the name or DN of a group to roles."
    )
    default_roles: tuple[str, ...] = Field((), description="Roles of all users of the directory.")

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/"):
                raise ValueError("must be addresses such as ldaps://directory.example.com")
            if "@" in parts.netloc:
                raise ValueError("must hold no name and password; use bind_dn and bind_password")
            if parts.query or parts.fragment:
                raise ValueError("must be addresses such as ldaps://directory.example.com")
        return value

    @field_validator("user_filter")
    @classmethod
    def _check_user_filter(cls, value: str) -> str:
        if "{user}" not in value:
            raise ValueError("must contain {user}")
        return _check_filter(value)

    @field_validator("group_filter")
    @classmethod
    def _check_group_filter(cls, value: str) -> str:
        return _check_filter(value)

    @model_validator(mode="after")
    def _check_together(self) -> "LdapOptions":
        if self.bind_dn and not self.bind_password.get_secret_value():
            # A bind with a name and no password succeeds as nobody (RFC 4513, 5.1.2).
            raise ValueError("bind_dn needs a bind_password")
        if self.start_tls and any(url.startswith("ldaps:") for url in self.urls):
            raise ValueError("start_tls is for ldap:// alone; ldaps:// has TLS from the beginning")
        if self.enabled and not (self.urls and self.user_base):
            raise ValueError("urls and user_base are needed before it is enabled")
        return self


def _check_filter(value: str) -> str:
    names = set(re.findall(r"\{(.*?)\}", value))
    if not (value.startswith("(") and value.endswith(")") and value.count("(") == value.count(")")):
        raise ValueError("must be a filter in parentheses, such as (uid={user})")
    if names - {"user", "dn"}:
        raise ValueError("knows {user} and {dn} alone")
    return value
