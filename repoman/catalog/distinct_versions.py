"""The distinct versions of a component, each with the repositories that have it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from repoman.catalog.model import Scope
from repoman.catalog.records import FIELDS, Row

_FIELD = FIELDS["component"]
_VERSION, _KEY, _UPDATED = (_FIELD[each] for each in ("version", "version_key", "updated_at"))


@dataclass(slots=True)
class DistinctVersion:
    """A version of a component.

    Attributes:
        key: what it sorts by, among versions.
        updated_at: when one of the repositories last stored it, in seconds since the epoch.
        repositories: the names of those that have it.
    """

    version: str
    key: str
    updated_at: float = 0.0
    repositories: set[str] = field(default_factory=set)


class VersionOrder(StrEnum):
    """What versions are sorted by; equal ones by what they are called."""

    VERSION = "version"
    UPDATED = "lastUpdated"
    REPOSITORIES = "repositories"


_SORT_KEYS: Mapping[VersionOrder, Callable[[DistinctVersion], Any]] = {
    VersionOrder.VERSION: lambda each: (each.key, each.version),
    VersionOrder.UPDATED: lambda each: (each.updated_at, each.version),
    VersionOrder.REPOSITORIES: lambda each: (sorted(each.repositories), each.version),
}


def merge_versions(
    rows: Iterable[Row], scopes: Mapping[int, Scope], part: str = ""
) -> list[DistinctVersion]:
    """Return the versions of rows of components that contain ``part``, in any case of letters."""
    part = part.lower()
    found: dict[str, DistinctVersion] = {}
    for row in rows:
        version = row[_VERSION]
        if part and part not in version.lower():
            continue
        known = found.get(version)
        if known is None:
            known = found[version] = DistinctVersion(version, row[_KEY])
        known.updated_at = max(known.updated_at, row[_UPDATED])
        known.repositories.add(scopes[row[1]].name)
    return list(found.values())


def sort_versions(
    versions: Iterable[DistinctVersion], order: VersionOrder, *, is_descending: bool
) -> list[DistinctVersion]:
    """Return the versions in an order."""
    return sorted(versions, key=_SORT_KEYS[order], reverse=is_descending)
