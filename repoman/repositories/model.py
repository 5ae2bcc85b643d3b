"""A repository: its configuration, its connectors and the service that answers for it."""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from repoman.sections import Section

AnySection = TypeVar("AnySection", bound=Section)


class RepositoryType(StrEnum):
    """How a repository gets its content."""

    HOSTED = "hosted"
    PROXY = "proxy"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Connector:
    """A port bound to one repository. ``scheme`` is http or https."""

    repository: str
    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Return the address clients use."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/"


@dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """The settings of a repository, validated."""

    id: int
    name: str
    format: str
    type: RepositoryType
    is_online: bool
    sections: Mapping[str, Section]

    @property
    def recipe(self) -> str:
        """Return the name of the recipe it is built by: ``format-type``."""
        return f"{self.format}-{self.type}"

    def section(self, name: str, kind: builtins.type[AnySection]) -> AnySection:
        """Return a section as the model that the recipe declares for it."""
        section = self.sections[name]
        if not isinstance(section, kind):
            raise TypeError(f"Section {name} of {self.name} is not a {kind.__name__}.")
        return section

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return all sections as plain JSON values."""
        return {name: each.model_dump(mode="json") for name, each in self.sections.items()}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository in operation.

    Attributes:
        config: its settings.
        service: implements the protocol of its format; None where there is a problem.
        problem: why it cannot work (its format is not installed, …); or None.
        external_url: the address of its connectors as clients know it; empty: as they ask for it.
    """

    config: RepositoryConfig
    service: Any
    problem: str | None = None
    external_url: str = ""

    @property
    def name(self) -> str:
        """Return its name."""
        return self.config.name
