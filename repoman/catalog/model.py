"""Questions to the catalog, and its answers. Sizes are in bytes, times seconds since the epoch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from repoman.content_rules import DEFAULT_RULES, ContentRules

Item = TypeVar("Item")
Range = tuple[float | None, float | None]

PAGE_ITEMS = 50
"""The usual number of items on a page."""


class Order(StrEnum):
    """What a list is sorted by; what is the same there is sorted by what comes next to it."""

    ID = "id"
    NAME = "name"
    NAMESPACE = "namespace"
    VERSION = "version"
    UPDATED = "updated"
    DOWNLOADED = "downloaded"
    SIZE = "size"
    PATH = "path"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: its number of items, and the key at which the page before ended."""

    size: int = PAGE_ITEMS
    after: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list. It may be short, or empty, although ``next`` says that there is more."""

    items: list[Item]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class ComponentQuery:
    """Which components; everything that is given has to fit.

    Attributes:
        repositories: their names; none: all.
        format: of the repositories.
        kind: of the components.
        namespace: exactly.
        name: exactly, or with ``*`` and ``?``.
        version: likewise.
        digest: of the bytes of one of its assets: sha256, in hex.
        contains: of something that it refers to, directly or not, such as a part of it.
        checksum: algorithm and value of one of its assets.
        labels: exactly these, among others.
        uploader: who stored one of its assets last.
        updated: between which times it was stored last.
        downloaded: between which times it was downloaded last.
        is_prerelease: whether its version is a pre-release.
        text: words that are in its name, namespace, version or description.
    """

    repositories: tuple[str, ...] = ()
    format: str = ""
    kind: str = ""
    namespace: str | None = None
    name: str = ""
    version: str = ""
    digest: str = ""
    contains: str = ""
    checksum: tuple[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    uploader: str = ""
    updated: Range = (None, None)
    downloaded: Range = (None, None)
    is_prerelease: bool | None = None
    text: str = ""
    order: Order = Order.ID
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class AssetQuery:
    """Which assets; see :class:`ComponentQuery`.

    They are sorted by their paths, or by the last download; those of a component or a package, of
    an uploader or with a digest by age.
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
    """Which packages; see :class:`ComponentQuery`."""

    repositories: tuple[str, ...] = ()
    format: str = ""
    name: str = ""
    text: str = ""
    order: Order = Order.NAME
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class ComponentView:
    """A component as lists show it; ``downloaded_at`` 0 means never."""

    id: int
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
    """An asset as lists show it; ``path`` is that which users and content selectors see."""

    id: int
    repository: str
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
    created_at: float
    updated_at: float
    downloaded_at: float | None


@dataclass(frozen=True, slots=True)
class PackageView:
    """A package as lists show it; ``own_size`` is of the blobs that nothing else uses."""

    id: int
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
    """A child in the tree of stored paths: a directory, or an asset, or both at once.

    ``path`` is the stored path; that of a directory ends with a slash.
    """

    name: str
    path: str
    asset: AssetView | None = None

    @property
    def is_directory(self) -> bool:
        """Whether there is something below."""
        return self.path.endswith("/")


@dataclass(frozen=True, slots=True)
class Usage:
    """What something holds, each blob once; ``own_size`` is of what nothing else uses."""

    assets: int = 0
    components: int = 0
    versions: int = 0
    packages: int = 0
    size: int = 0
    own_size: int = 0

    @property
    def shared_size(self) -> int:
        """The bytes that others use as well."""
        return self.size - self.own_size


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What a blob store holds; ``reclaimable`` is what compaction may remove."""

    blobs: int = 0
    size: int = 0
    reclaimable: int = 0


@dataclass(frozen=True, slots=True)
class Scope:
    """A repository, and what of it may be shown.

    Attributes:
        sees: returns whether a path, as content selectors see it, may be shown; None: all may.
        prefixes: how all paths begin that may be shown; None: that is not known.
    """

    id: int
    name: str
    format: str
    rules: ContentRules = DEFAULT_RULES
    sees: Callable[[str], bool] | None = None
    prefixes: tuple[str, ...] | None = None


class Viewer(Protocol):
    """Who asks, as the catalog needs to know them."""

    def scopes(self) -> list[Scope]:
        """Return the repositories of which anything may be shown, by id."""
