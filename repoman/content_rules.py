"""What the core must know about a format's content to list, sort, search and show it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from repoman.db.sqlite import LAST_CHARACTER
from repoman.events.event import Coordinate
from repoman.versions import is_prerelease, version_key

Span = tuple[str, str]
"""A half-open range of texts in byte order: from the first one up to, but excluding, the second."""


def path_of_asset(_kind: str, path: str) -> str:
    """Return the path of an asset as it is stored, with a slash before it."""
    return f"/{path}"


def path_of_component(coordinate: Coordinate) -> str:
    """Return namespace, name and version, with slashes between them."""
    parts = (coordinate.namespace, coordinate.name, coordinate.version)
    return "".join(f"/{each}" for each in parts if each)


def name_of_path(path: str) -> str:
    """Return the path without the slash before it."""
    return path.removeprefix("/")


def any_text(_beginning: str) -> Span:
    """Return the range of all texts."""
    return beginning_with("")


def beginning_with(beginning: str) -> Span:
    """Return the range of all texts with this prefix."""
    return beginning, beginning + LAST_CHARACTER


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Return the same texts as ordered ranges that do not overlap."""
    found: list[Span] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def of_nothing(_kind: str, _name: str, _version: str) -> str:
    """Return the empty text: no component belongs to an asset."""
    return ""


def always(_segment: str) -> bool:
    """Return True."""
    return True


def as_stored(coordinate: Coordinate) -> Coordinate:
    """Return the coordinate."""
    return coordinate


class SearchTarget(StrEnum):
    """What of a component a search parameter of a format looks at."""

    NAMESPACE = "namespace"
    NAME = "name"
    VERSION = "version"
    DIGEST = "digest"  # the SHA-256 of one of its assets, in hex
    PART = "part"  # the SHA-256 of something that it refers to, directly or not, in hex
    LABEL = "label"  # a label, as NAME=VALUE


def _as_given(value: str) -> str:
    """Return what a user gives: it is stored as it is."""
    return value


@dataclass(frozen=True, slots=True)
class SearchField:
    """A search parameter of a format.

    Attributes:
        target: what it looks at.
        description: what users are told about it.
        parse: returns the value that is stored for one that users give.
    """

    target: SearchTarget
    description: str = ""
    parse: Callable[[str], str] = _as_given


@dataclass(frozen=True, slots=True)
class ContentRules:
    """How a format names and orders its content.

    All functions are pure and fast, because lists call them for each row.

    Attributes:
        version_key: returns the text by which a version sorts, compared by code points.
        is_prerelease: returns whether a version is a pre-release.
        asset_path: takes the kind and the stored path of an asset, and returns the path that
            content selectors and users see; empty if it is visible to nobody.
        component_path: the same for a component.
        name_of: returns the name in the path of an asset, with which pins, routing rules and
            patterns of tokens are compared.
        component_name: returns that of a component; None: it is the name in its path.
        stored_below: takes a prefix of such paths, and returns the range of the stored paths of
            these assets; the range may contain others.
        names_below: the same for the names of components, in any namespace.
        component_kinds: the kinds of components that users see in lists and searches; none: all.
        shown: returns namespace, name and version of a component as users see them. They may begin
            with a slash that the stored ones do not have.
        search_fields: the search parameters of the format, by name (``hello.greeting``).
        attached_kinds: the kinds of references from something that is attached to what it refers
            to, and goes with it.
        owner_of: takes the kind, the name and the version of a component, and returns the stored
            path of the asset to which it belongs, as a signature does; empty: to none. If that is
            there, and the repository has a collector, no cleanup policy chooses the component: it
            goes with what it belongs to.
        is_browsed: takes the first segment of a stored path, and returns whether users see what is
            there in the tree of files.
    """

    version_key: Callable[[str], str] = version_key
    is_prerelease: Callable[[str], bool] = is_prerelease
    asset_path: Callable[[str, str], str] = path_of_asset
    component_path: Callable[[Coordinate], str] = path_of_component
    name_of: Callable[[str], str] = name_of_path
    component_name: Callable[[Coordinate], str] | None = None
    stored_below: Callable[[str], Span] = any_text
    names_below: Callable[[str], Span] = any_text
    component_kinds: tuple[str, ...] = ()
    shown: Callable[[Coordinate], Coordinate] = as_stored
    search_fields: Mapping[str, SearchField] = field(default_factory=dict)
    attached_kinds: tuple[str, ...] = ()
    owner_of: Callable[[str, str, str], str] = of_nothing
    is_browsed: Callable[[str], bool] = always

    def name_of_component(self, coordinate: Coordinate) -> str:
        """Return the name of a component, with which pins, rules and patterns are compared."""
        if self.component_name is None:
            return self.name_of(self.component_path(coordinate))
        return self.component_name(coordinate)


DEFAULT_RULES = ContentRules()
