"""The option sections of security: what an administrator changes while the server runs."""

from itertools import chain

from pydantic import Field

from repoman.config import SecuritySettings
from repoman.options import Options
from repoman.sections import Section
from repoman.security.known_roles import check_roles
from repoman.security.ldap_options import LDAP_OPTIONS, LdapOptions
from repoman.security.shipped import ANONYMOUS_ROLE

ANONYMOUS_OPTIONS = "anonymous"
REALM_OPTIONS = "realms"


class AnonymousOptions(Section):
    """Access without a login."""

    enabled: bool = Field(False, description="Whether clients can read without authentication.")
    roles: tuple[str, ...] = Field(
        (ANONYMOUS_ROLE,), description="Roles of clients without authentication, if it is enabled."
    )

    def check_names(self) -> None:
        """Return if all these roles exist (Invalid)."""
        check_roles(self.roles)


class RealmOptions(Section):
    """The realms that check user names and passwords."""

    active: tuple[str, ...] = Field(
        (), description="Realms in the order in which they are tried; empty: all realms."
    )


def security_options(settings: SecuritySettings) -> dict[str, Section]:
    """Return the sections as the settings file begins them."""
    return {
        ANONYMOUS_OPTIONS: AnonymousOptions(enabled=settings.anonymous_read),
        REALM_OPTIONS: RealmOptions(),
        LDAP_OPTIONS: LdapOptions(),
    }


def named_roles(options: Options) -> dict[str, tuple[str, ...]]:
    """Return the ids of roles that options name, by the path of the option."""
    ldap = options.get(LDAP_OPTIONS, LdapOptions)
    return {
        "anonymous.roles": options.get(ANONYMOUS_OPTIONS, AnonymousOptions).roles,
        "ldap.roles": tuple(chain.from_iterable(ldap.roles.values())),
        "ldap.default_roles": ldap.default_roles,
    }
