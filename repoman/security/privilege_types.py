"""The types of privileges that somebody makes: what each is made of, and the permission it grants.

Source: the reference product, whose names and properties these are.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from repoman.sections import Section
from repoman.security.actors import Action
from repoman.security.permissions import ADMIN, DOMAIN, SELECTOR, VIEW

ANY = "*"

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,49}$")]
Actions = Annotated[tuple[Action | Literal["*"], ...], Field(min_length=1)]


def _check_pattern(text: str) -> str:
    parts = text.split(":")
    if parts[0] not in (DOMAIN, ANY):
        raise ValueError(f"must begin with {DOMAIN}: or be {ANY}")
    if any(not each for part in parts for each in part.split(",")):
        raise ValueError("has an empty part; write * for any")
    return text


Pattern = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9*_.,:-]{1,1000}$"),
    AfterValidator(_check_pattern),
]


class PrivilegeSection(Section):
    """What a privilege is made of."""

    def permission(self) -> str:
        """Return the permission that it grants."""
        raise NotImplementedError


class WildcardPrivilege(PrivilegeSection):
    """Any permission at all."""

    pattern: Pattern = Field(description="The permission, such as nexus:users:read.")

    def permission(self) -> str:
        """Return the permission that it grants."""
        return self.pattern


class ApplicationPrivilege(PrivilegeSection):
    """To do something with the server itself."""

    domain: Word = Field(description="The area it covers, such as users.")
    actions: tuple[Word | Literal["*"], ...] = Field(
        min_length=1, description="The allowed actions: create, read, update, delete, or *."
    )

    def permission(self) -> str:
        """Return the permission that it grants."""
        return f"{DOMAIN}:{self.domain}:{','.join(self.actions)}"


class RepositoryPrivilege(PrivilegeSection):
    """To do something in or with repositories."""

    format: Word | Literal["*"] = Field(ANY, description="The format of the repositories; *: any.")
    repository: str = Field(ANY, description="The repository; *: every repository of the format.")
    actions: Actions = Field(description="browse, read, edit, add, delete, or *.")

    def _permission(self, domain: str) -> str:
        return f"{DOMAIN}:{domain}:{self.format}:{self.repository}:{','.join(self.actions)}"


class ViewPrivilege(RepositoryPrivilege):
    """To do something with the content of repositories."""

    def permission(self) -> str:
        """Return the permission that it grants."""
        return self._permission(VIEW)


class AdminPrivilege(RepositoryPrivilege):
    """To do something with the settings of repositories."""

    def permission(self) -> str:
        """Return the permission that it grants."""
        return self._permission(ADMIN)


class SelectorPrivilege(RepositoryPrivilege):
    """To do something with the content that a content selector picks."""

    selector: str = Field(description="The content selector.")

    def permission(self) -> str:
        """Return the permission that it grants."""
        return self._permission(f"{SELECTOR}:{self.selector}")


PRIVILEGE_TYPES: dict[str, type[PrivilegeSection]] = {
    "wildcard": WildcardPrivilege,
    "application": ApplicationPrivilege,
    VIEW: ViewPrivilege,
    ADMIN: AdminPrivilege,
    SELECTOR: SelectorPrivilege,
}
