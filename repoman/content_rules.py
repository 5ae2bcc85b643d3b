"""What the core has to know of a format's content to list, sort, search and show it."""

from collections.abc import Callable
from dataclasses import dataclass

from repoman.events.event import Coordinate
from repoman.versions import is_prerelease, version_key


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


def no_prefix(_beginning: str) -> str:
    """Return the empty text: anything may begin so."""
    return ""


@dataclass(frozen=True, slots=True)
class ContentRules:
    """How a format sees its content. All functions are pure and fast; lists call them per row.

    Attributes:
        version_key: returns a text by which versions sort, by code points.
        is_prerelease: returns whether a version is a pre-release.
        asset_path: returns the path of an asset, from kind and stored path, as content selectors
            and users see it; empty: nobody sees it.
        component_path: the same for a component.
        name_of: returns what the patterns of tokens are compared with, from such a path.
        asset_prefix: returns how all stored paths begin whose paths begin so.
        name_prefix: the same for the names of components, within their namespaces.
    """

    version_key: Callable[[str], str] = version_key
    is_prerelease: Callable[[str], bool] = is_prerelease
    asset_path: Callable[[str, str], str] = path_of_asset
    component_path: Callable[[Coordinate], str] = path_of_component
    name_of: Callable[[str], str] = name_of_path
    asset_prefix: Callable[[str], str] = no_prefix
    name_prefix: Callable[[str], str] = no_prefix


DEFAULT_RULES = ContentRules()
