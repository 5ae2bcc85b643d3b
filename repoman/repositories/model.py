"""A repository: its configuration, its connectors, its service and what the core may ask of it."""

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from repoman.collection import Collector
from repoman.content_rules import DEFAULT_RULES, ContentRules
from repoman.events.event import Coordinate
from repoman.proxy.remote_health import Remote
from repoman.repositories.component_upload import UploadTarget
from repoman.repositories.sections import AccessSection, StorageSection
from repoman.sections import Section
from repoman.security.actors import RepositoryRef
from repoman.uploads import UploadSessions

AnySection = TypeVar("AnySection", bound=Section)


class RepositoryType(StrEnum):
    """How a repository gets its content."""

    HOSTED = "hosted"
    PROXY = "proxy"
    GROUP = "group"


def connector_key(repository: str, scheme: str) -> str:
    """Return what the server calls the connector of a repository; names have no colon."""
    return f"{repository}:{scheme}"


@dataclass(frozen=True, slots=True)
class Connector:
    """A port bound to one repository. ``scheme`` is http or https."""

    repository: str
    scheme: str
    host: str
    port: int

    @property
    def key(self) -> str:
        """Return what the server calls it."""
        return connector_key(self.repository, self.scheme)

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


class Outcome(StrEnum):
    """What became of a member when a group looked for something."""

    FOUND = "found"
    ABSENT = "absent"
    FAILED = "failed"
    SKIPPED = "skipped"  # a rule keeps it from answering, or it is unavailable
    NOT_ASKED = "not asked"  # one before it has answered


@dataclass(frozen=True, slots=True)
class Step:
    """One member in the trace of a request through a group.

    Attributes:
        reason: a sentence, or what the member itself says.
        steps: those of its own members, if it is a group.
    """

    member: str
    outcome: Outcome
    reason: str = ""
    steps: "tuple[Step, ...]" = ()


@dataclass(frozen=True, slots=True)
class VersionSpace:
    """What one version of something takes, in bytes, each blob once.

    Attributes:
        own_size: of the blobs that would be free if only this went.
    """

    size: int
    own_size: int

    @property
    def shared_size(self) -> int:
        """Return the bytes that something else uses as well."""
        return self.size - self.own_size


Trace = Callable[[str], list[Step]]
CheckPath = Callable[[str], None]


def check_nothing(_path: str) -> None:
    """Return: every path is all right."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the core can ask of a repository of any format; None: this one does not offer it.

    The actions check the write policy of the repository, but no rights.

    Attributes:
        remote: the remote of a proxy.
        trace: takes a path, as content selectors see it, and returns what became of each member
            of a group, in their order. Raises Invalid: there is no such path.
        delete_component: removes a component and the assets that exist for it alone, in several
            short transactions if there are many. Raises NotFound, ReadOnly.
        delete_asset: removes the asset at a path, with those that are useless without it.
            Raises NotFound, ReadOnly, Conflict: something needs it. It also takes a function that
            is called, before anything is removed, with the paths of those others, as content
            selectors see them, and may raise an error.
        protection: returns why a component must stay, a sentence that names the rule; empty: it may
            go. None: there are no such rules. The deletions raise Denied with it.
        deletion_note: what else goes or stays with what is deleted of it, for people who delete it
            without a page of the format; empty: nothing.
        undo_days: the days within which what was deleted or replaced can be restored; content
            events are kept for so long.
        version_space: returns what a component takes with all that it needs, and what of that
            would be free without it; zeros: it is not there.
        upload: takes the files of a form.
        upload_sessions: the uploads of clients that come in several requests.
        collector: finds and removes what nothing can reach any more.
    """

    remote: Remote | None = None
    trace: Trace | None = None
    delete_component: Callable[[Coordinate], None] | None = None
    delete_asset: Callable[[str, CheckPath], None] | None = None
    protection: Callable[[Coordinate], str] | None = None
    deletion_note: str = ""
    undo_days: int = 0
    version_space: Callable[[Coordinate], VersionSpace] | None = None
    upload: UploadTarget | None = None
    upload_sessions: UploadSessions | None = None
    collector: Collector | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository in operation.

    Attributes:
        config: its settings.
        service: implements the protocol of its format; None where there is a problem.
        capabilities: what the core may ask of it; nothing where there is a problem.
        problem: why it cannot work (its format is not installed, …); or None.
        external_url: the address of its connectors as clients know it; empty: as they ask for it.
        rules: how its format sees its content.
        ref: it as rights see it.
    """

    config: RepositoryConfig
    service: Any
    capabilities: Capabilities = field(default_factory=Capabilities)
    problem: str | None = None
    external_url: str = ""
    rules: ContentRules = DEFAULT_RULES
    ref: RepositoryRef = field(init=False)

    def __post_init__(self) -> None:
        """Work out how rights see it: each request asks."""
        access = self.config.sections.get("access")
        anonymous = access.anonymous if isinstance(access, AccessSection) else None
        ref = RepositoryRef(self.config.format, self.config.name, anonymous)
        object.__setattr__(self, "ref", ref)

    @property
    def name(self) -> str:
        """Return its name."""
        return self.config.name

    @property
    def blob_store(self) -> str:
        """Return the name of its blob store; empty if its settings are not valid."""
        storage = self.config.sections.get("storage")
        return storage.blob_store if isinstance(storage, StorageSection) else ""

    @property
    def address(self) -> str:
        """Return its name and port, for messages that say where to push."""
        sections = self.config.sections.values()
        ports = {scheme: port for each in sections for _, scheme, port in each.ports()}
        port = ports.get("https") or ports.get("http")
        return f"{self.name} (port {port})" if port else self.name
