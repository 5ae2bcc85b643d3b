"""Queries and answers of the catalog. Sizes are in bytes, times in seconds since the epoch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from repoman.content_rules import DEFAULT_RULES, ContentRules
from repoman.events.event import Coordinate

Item = TypeVar("Item")
Range = tuple[float | None, float | None]

PAGE_ITEMS = 50
"""The usual number of items on a page."""


class Order(StrEnum):
    """What a list is sorted by; equal items are sorted by the next columns of the index."""

    ID = "id"
    NAME = "name"
    NAMESPACE = "namespace"
    VERSION = "version"
    REPOSITORY = "repository"
    UPDATED = "updated"
    DOWNLOADED = "downloaded"
    SIZE = "size"
    OWN_SIZE = "own"
    PATH = "path"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page: its maximum number of items, and the ``next`` of the page before it."""

    size: int = PAGE_ITEMS
    after: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list; it may be short, or empty, even if ``next`` says that there is more."""

    items: list[Item]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class ComponentQuery:
    """Selects components; all conditions must hold.

    Attributes:
        repositories: their names; empty: all.
        format: the format of the repository.
        kind: the kind of the component.
        only_shown: whether only the kinds count that the format shows to users.
        namespace: the exact namespace, or a pattern with ``*`` and ``?``; None: any.
        name: the same for the name.
        version: the same for the version.
        also: further patterns that have to match; each has the name of one of these three.
        checksums: algorithm and value, in hex, of checksums of its assets.
        parts: the SHA-256 of things that it refers to, directly or not, such as layers.
        labels: labels that it has; it may have others.
        uploader: the user who last stored one of its assets.
        updated: the range of times in which it was last stored.
        downloaded: the range of times in which it was last downloaded.
        is_prerelease: whether its version is a pre-release.
        version_keys: the half-open range in which the key of its version is.
        text: words, each in its name, namespace, version or description; with ``*`` and ``?``.
            In quotes, several words are one.
    """

    repositories: tuple[str, ...] = ()
    format: str = ""
    kind: str = ""
    only_shown: bool = False
    namespace: str | None = None
    name: str | None = None
    version: str | None = None
    also: tuple[tuple[str, str], ...] = ()
    checksums: tuple[tuple[str, str], ...] = ()
    parts: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    uploader: str = ""
    updated: Range = (None, None)
    downloaded: Range = (None, None)
    is_prerelease: bool | None = None
    version_keys: tuple[str, str] | None = None
    text: str = ""
    order: Order = Order.ID
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class AssetQuery:
    """Selects assets; see :class:`ComponentQuery`.

    They are sorted by path or by their last download. Those of one component, package or uploader,
    and those with one digest or checksum, are sorted by age.
    """

    repositories: tuple[str, ...] = ()
    format: str = ""
    kind: str = ""
    path: str = ""
    component: int | None = None
    package: int | None = None
    digest: str = ""
    checksum: tuple[str, str] | None = None
    uploader: str = ""
    updated: Range = (None, None)
    downloaded: Range = (None, None)
    order: Order = Order.PATH
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class PackageQuery:
    """Selects packages; see :class:`ComponentQuery`."""

    repositories: tuple[str, ...] = ()
    format: str = ""
    name: str = ""
    text: str = ""
    order: Order = Order.NAME
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class ComponentView:
    """A component in a list; ``downloaded_at`` is 0 if it was never downloaded."""

    id: int
    repository_id: int
    repository: str
    format: str
    kind: str
    namespace: str
    name: str
    version: str
    description: str
    package: int | None
    is_prerelease: bool
    size: int
    created_at: float
    updated_at: float
    downloaded_at: float


@dataclass(frozen=True, slots=True)
class AssetView:
    """An asset in a list; ``path`` is the path that users and content selectors see.

    ``address`` is the name of the repository by which the viewer gets it: its own, or a group.
    ``checksums`` are those that are stored besides its ``digest``, by algorithm, in hex.
    """

    id: int
    repository_id: int
    repository: str
    address: str
    format: str
    kind: str
    path: str
    stored_path: str
    component: int | None
    package: int | None
    digest: str
    size: int
    media_type: str
    attributes: Mapping[str, Any]
    uploader: str
    uploader_address: str
    blob_store: str
    blob_created_at: float
    checksums: Mapping[str, str]
    created_at: float
    updated_at: float
    downloaded_at: float | None


@dataclass(frozen=True, slots=True)
class PackageView:
    """A package in a list; ``own_size`` counts the blobs that nothing else uses."""

    id: int
    repository_id: int
    repository: str
    format: str
    kind: str
    namespace: str
    name: str
    assets: int
    versions: int
    size: int
    own_size: int
    updated_at: float
    downloaded_at: float


@dataclass(frozen=True, slots=True)
class BrowseNode:
    """A child in the tree of stored paths: a directory or an asset.

    ``path`` is the stored path; that of a directory ends with a slash.
    """

    name: str
    path: str
    asset: AssetView | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """The sums of a repository, each blob once; ``own_size`` counts what nothing else uses."""

    assets: int = 0
    components: int = 0
    versions: int = 0
    packages: int = 0
    size: int = 0
    own_size: int = 0


@dataclass(frozen=True, slots=True)
class RepositorySummary:
    """A repository in short; the times are 0 if nothing was ever stored, or downloaded."""

    usage: Usage = Usage()
    stored_at: float = 0.0
    downloaded_at: float = 0.0


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """The sums of a blob store; ``reclaimable`` are the bytes that compaction may remove."""

    blobs: int = 0
    size: int = 0
    reclaimable: int = 0


@dataclass(frozen=True, slots=True)
class Scope:
    """A repository, and what a viewer may see of it.

    Attributes:
        sees: takes a path as content selectors see it, and the name of what is there; returns
            whether the viewer may see that. None: the viewer may see every path.
        prefixes: every visible path begins with one of these; None: no prefixes are known.
        group: the name of the group by which the viewer gets the content; empty: there is none.
    """

    id: int
    name: str
    format: str
    rules: ContentRules = DEFAULT_RULES
    sees: Callable[[str, str], bool] | None = None
    prefixes: tuple[str, ...] | None = None
    group: str = ""

    def sees_path(self, path: str) -> bool:
        """Return whether the viewer may see the path of an asset."""
        return self.sees is None or self.sees(path, self.rules.name_of(path))

    def sees_component(self, coordinate: Coordinate) -> bool:
        """Return whether the viewer may see a component."""
        if self.sees is None:
            return True
        path = self.rules.component_path(coordinate)
        return self.sees(path, self.rules.name_of_component(coordinate))


class Viewer(Protocol):
    """The user, or the program itself, on whose behalf the catalog is asked."""

    def scopes(self) -> list[Scope]:
        """Return the repositories in which something is visible, in the order of their ids."""
