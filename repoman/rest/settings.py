"""All settings of repositories, and the options of the server, under the names of the product.

What the API of Sonatype Nexus Repository 3 has no name for can be read and changed here: a change
is a JSON merge patch (RFC 7396). Null is the default of a setting, and what is left out stays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from repoman.errors import Invalid, Unavailable
from repoman.repositories.model import Repository, RepositoryConfig, RepositoryType
from repoman.rest.endpoints import (
    API_ROOT,
    SIGNED_IN,
    Area,
    Call,
    Permission,
    RepositorySettings,
)
from repoman.rest.repository_rights import check_reach, hiding_owners
from repoman.rest.resources import Resource
from repoman.security.actors import Action
from repoman.security.options import ANONYMOUS_OPTIONS, LDAP_OPTIONS, USER_TOKEN_OPTIONS

# The domains of the permissions for options, where they differ from the default. Who sets the roles
# of anonymous clients changes the roles of a user.
DOMAINS = {
    ANONYMOUS_OPTIONS: ("settings", "users"),
    LDAP_OPTIONS: ("ldap",),
    USER_TOKEN_OPTIONS: ("usertoken-settings",),
}
DEFAULT_DOMAINS = ("settings",)
SECTIONS = "Sections, such as `proxy`, with their settings; a secret that is set is ten stars."

settings = Area(
    "Settings",
    "All settings of repositories and the options of the server, as the command line names them.",
    root=API_ROOT,
    example="/options/http",
)


class RepositoryDocument(Resource):
    """A repository with all its settings."""

    name: str
    format: str
    type: RepositoryType
    online: bool = Field(description="Whether the repository accepts requests.")
    settings: dict[str, dict[str, Any]] = Field(description=SECTIONS)


class RepositoryPatch(BaseModel):
    """Changes of a repository, as a JSON merge patch; all that it leaves out stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field("", description="Must be the name of the repository, if it is there.")
    format: str = Field("", description="Must be its format, if it is there.")
    type: str = Field("", description="Must be its type, if it is there.")
    online: bool = Field(True, description="Whether the repository accepts requests.")
    settings: dict[str, dict[str, Any] | None] = Field(
        {},
        description="Sections with the settings to change; null: the default of a setting, or of "
        "a whole section. The ten stars of a secret keep it.",
    )


class OptionsDocument(Resource):
    """A section of options."""

    name: str
    settings: dict[str, Any] = Field(description="Its values; a secret that is set is ten stars.")


@dataclass(frozen=True, slots=True)
class OptionPermission:
    """The permissions for an action on the options in the path."""

    action: str

    @property
    def text(self) -> str:
        """Return it as a sentence."""
        return (
            f"Needs {self._names(DEFAULT_DOMAINS)}; "
            + "; ".join(f"for `{name}` {self._names(domains)}" for name, domains in DOMAINS.items())
            + "."
        )

    def _names(self, domains: Iterable[str]) -> str:
        return " and ".join(f"`nexus:{domain}:{self.action}`" for domain in domains)

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has them (Unauthenticated, Denied)."""
        for each in _permissions(values["name"], self.action):
            each.check(call, values)


def _permissions(name: str, action: str) -> list[Permission]:
    return [Permission(domain, action) for domain in DOMAINS.get(name, DEFAULT_DOMAINS)]


@settings.get("/repositories/{name}/settings", RepositorySettings(Action.READ))
def show_all_repository_settings(call: Call) -> RepositoryDocument:
    """Show all settings of a repository."""
    return _document(call.repository)


@settings.patch(
    "/repositories/{name}/settings",
    RepositorySettings(Action.EDIT),
    matches=show_all_repository_settings,
)
def patch_repository_settings(call: Call, body: RepositoryPatch) -> RepositoryDocument:
    """Change settings of a repository by a JSON merge patch (RFC 7396), and show all of them.

    Null is the default of a setting. What is left out stays, secrets too. A remote on another
    server gets no secret that is not given.
    """
    config = call.repository.config
    _check_same(body, config)
    is_online = body.online if "online" in body.model_fields_set else None
    with hiding_owners(call):
        changed = call.repoman.repositories.update(
            config.name,
            body.settings,
            is_online=is_online,
            is_patch=True,
            check=partial(check_reach, call),
        )
    return _document(changed)


@settings.get("/options", SIGNED_IN)
def list_options(call: Call) -> list[OptionsDocument]:
    """List the options that you may read: what an administrator changes while the server runs."""
    authorizer = call.repoman.security.authorizer
    return [
        _options(call, name)
        for name in call.repoman.options.names()
        if all(each.allows(call.actor, authorizer) for each in _permissions(name, "read"))
    ]


@settings.get("/options/{name}", OptionPermission("read"))
def show_options(call: Call, name: str) -> OptionsDocument:
    """Show a section of options."""
    return _options(call, name)


@settings.patch("/options/{name}", OptionPermission("update"), matches=show_options)
def patch_options(call: Call, name: str, body: dict[str, Any]) -> OptionsDocument:
    """Change a section of options by a JSON merge patch (RFC 7396) of its values, and show it.

    Null is the default of an option. What is left out stays, secrets too, unless the change has
    them sent to another server.
    """
    call.repoman.options.patch(name, body)
    return _options(call, name)


def _options(call: Call, name: str) -> OptionsDocument:
    return OptionsDocument(name=name, settings=call.repoman.options.describe(name))


def _document(repository: Repository) -> RepositoryDocument:
    config = repository.config
    if not config.sections:
        raise Unavailable(f"{repository.name} does not work. {repository.problem}")
    return RepositoryDocument(
        name=config.name,
        format=config.format,
        type=config.type,
        online=config.is_online,
        settings=config.settings(),
    )


def _check_same(body: RepositoryPatch, config: RepositoryConfig) -> None:
    """Return if a patch leaves what cannot change as it is (Invalid)."""
    for key in ("name", "format", "type"):
        if getattr(body, key) not in ("", getattr(config, key)):
            raise Invalid(f"{key}: cannot be changed.", field=key)
