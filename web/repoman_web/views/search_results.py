"""The results of the search page: what kinds there are, and rows of components and files."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from urllib.parse import quote

from flask import current_app, url_for

from repoman.plugin import (
    AssetView,
    ComponentLink,
    Coordinate,
    Entry,
    ListRequest,
    PackageView,
    Repository,
    SearchCriteria,
    SearchInput,
    SearchTerms,
    current_actor,
    current_repoman,
)

PATHS = "browse.paths"  # The page with the files of a repository; below it, their paths.
FILES = "files"  # The key of the kind that has files of all formats.
# The length in hex digits of the checksums that are searched for.
CHECKSUMS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
_CHECKSUM = re.compile(r"(?:(md5|sha1|sha256|sha512):)?([0-9a-f]{32,128})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum as somebody pasted it; ``value`` is in lower-case hex."""

    algorithm: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Checksum | None":
        """Return the checksum that a text is, with or without its algorithm; None: it is none."""
        match = _CHECKSUM.fullmatch(text.strip())
        algorithm = CHECKSUMS.get(len(match[2])) if match else None
        if match is None or algorithm is None or match[1] not in (None, algorithm):
            return None
        return cls(algorithm, match[2].lower())


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of results, of one format or of all that have no kinds of their own.

    ``kind`` is that of the components; empty: those that the formats show.
    """

    key: str
    title: str
    icon: str
    formats: tuple[str, ...]
    kind: str = ""
    counted: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A result as the page shows it; times are in seconds since the epoch."""

    title: str
    url: str
    icon: str
    repository: str
    text: str = ""
    note: str = ""
    digest: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Results:
    """Results of one kind; ``next`` is the key of the next page, if there is one."""

    kind: Kind
    rows: list[Row]
    next: str | None = None


def kinds_of(criteria: Iterable[SearchCriteria], repositories: Iterable[Repository]) -> list[Kind]:
    """Return the kinds of what may be in some repositories."""
    formats = dict.fromkeys(each.config.format for each in repositories)
    found = []
    for one in criteria:
        if one.format in formats:
            del formats[one.format]
            found += [
                Kind(each.key, each.title, each.icon, (one.format,), each.kind, each.counted)
                for each in one.kinds
            ]
    if formats:
        found.append(Kind(FILES, "Files and packages", "file", tuple(formats)))
    return found


def find(kind: Kind, terms: SearchTerms, page: ListRequest) -> Results:
    """Return a page of the results of one kind.

    Raises:
        Invalid: a value is not valid, or it is not a page of this search.
    """
    contents, actor = current_repoman().contents, current_actor()
    found = contents.search(terms, page, actor)
    packages = contents.packages_of(found.items, actor) if kind.counted else {}
    rows = []
    for each in found.items:
        rows.append(_component_row(kind, each, packages.get(each.view.package or 0)))
    return Results(kind, rows, found.next)


def stored_as(checksum: Checksum, limit: int) -> list[Row]:
    """Return at most ``limit`` of the files with a checksum.

    Of those that are named by it the others are aliases, which are left out.
    """
    found = current_repoman().contents.stored_as(
        checksum.algorithm, checksum.value, current_actor(), limit
    )
    named = [each for each in found if checksum.value in each.stored_path]
    return [_asset_row(each) for each in named or found]


def _component_row(kind: Kind, entry: Entry, package: PackageView | None) -> Row:
    view, repository = entry.view, _repository(entry.view.repository)
    coordinate = Coordinate(view.kind, view.name, view.version, view.namespace)
    link: ComponentLink | None = None
    if repository is not None:
        link = current_repoman().plugins.hook.repoman_web_component(
            repository=repository, coordinate=coordinate
        )
    only = entry.assets[0] if len(entry.assets) == 1 and view.version else None
    first = entry.assets[0].stored_path if entry.assets else ""
    shown = entry.shown
    name = f"{shown.name} {shown.version}".strip()
    return Row(
        title=(link and link.title) or name.removeprefix("/"),
        url=link.url if link else path_url(view.repository, first),
        icon=link.icon if link else kind.icon,
        repository=view.repository,
        text=view.description or (link.text if link else ""),
        note=_counted(kind, package),
        digest=f"sha256:{only.digest}" if only else "",
        at=view.updated_at,
    )


def _counted(kind: Kind, package: PackageView | None) -> str:
    if kind.counted is None or package is None:
        return ""
    return f"{package.versions} {kind.counted[package.versions != 1]}"


def _asset_row(asset: AssetView) -> Row:
    repository = _repository(asset.repository)
    link: ComponentLink | None = None
    if repository is not None:
        link = current_repoman().plugins.hook.repoman_web_asset(repository=repository, asset=asset)
    return Row(
        title=(link and link.title) or asset.path.removeprefix("/"),
        url=link.url if link else path_url(asset.repository, asset.stored_path),
        icon=link.icon if link else "file",
        repository=asset.repository,
        text=link.text if link else asset.media_type,
        at=asset.updated_at,
    )


def path_url(repository: str, path: str) -> str:
    """Return the address of the page about a file at a stored path; nothing if there is none."""
    if not path or PATHS not in current_app.view_functions:
        return ""
    return f"{url_for(PATHS, repository=repository)}/{quote(path)}"


def _repository(name: str) -> Repository | None:
    return current_repoman().repositories.find(name)


def declared_inputs(criteria: Iterable[SearchCriteria], format_: str) -> Iterator[SearchInput]:
    """Yield the fields of a format, or of all of them."""
    yield from chain(*(each.inputs for each in criteria if format_ in ("", each.format)))
