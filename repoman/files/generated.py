"""Documents of hosted repositories, made of the rows of their files and kept until these change."""

import json
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import partial

from repoman.content import Asset, ContentStore
from repoman.db.cache import ReadCache
from repoman.errors import NotFound
from repoman.files.format import (
    FILE,
    METADATA,
    STATES,
    Document,
    File,
    FileFormat,
    Metadata,
    Package,
    StoredFile,
    Value,
    tag_of,
)
from repoman.flights import KeyedLocks

NAMES_BATCH = 1000  # Names of packages that are read together.
FILES_BATCH = 1000  # Files that are read together.


class GeneratedDocuments:
    """The documents of one hosted repository; thread safe.

    They are kept in memory, and made anew after a change of the repository.
    """

    def __init__(self, format_: FileFormat, name: str, content: ContentStore) -> None:
        self._format = format_
        self._name = name
        self._content = content
        self._made: ReadCache[tuple[Value, str]] = content.open_cache()
        self._locks = KeyedLocks()
        self._kept: ReadCache[frozenset[str]] = content.open_cache()

    def get(self, metadata: Metadata) -> Document:
        """Return a document (NotFound: there is no such package)."""
        key, make = metadata.key, partial(self._make, metadata)
        is_made = self._made.holds(key)
        with nullcontext() if is_made else self._locks.hold(key):
            value, tag = self._made.get(key, make)  # Of many who ask at once, one makes it.
        return Document(lambda: value, tag, is_cacheable=True)

    def has(self, package: str) -> bool:
        """Return whether there is a file of a package, or was one."""
        path = STATES + package
        return self._has_file(package) or self._content.find_asset(path) is not None

    def kept_names(self) -> frozenset[str]:
        """Return the packages that have a state, which outlives their last file."""
        return self._kept.get("", self._list_kept)

    def emptied(self, names: Iterable[str]) -> list[str]:
        """Return those of the packages without a file or a state."""
        return [each for each in names if not self.has(each)]

    def package(self, name: str, *, outline: bool = False) -> Package:
        """Return a package as it is now; without files if there is none.

        The files of an outline have no attributes, which may be long.
        """
        found = self._content.list_package(self._format.package(name), outline=outline)
        state = self._content.find_asset(STATES + name)
        files = tuple(_stored(*each) for each in found if each[0].kind == FILE)
        return Package(name, files, {} if state is None else state.attributes)

    def _make(self, metadata: Metadata) -> tuple[Value, str]:
        """Return a document and its tag."""
        if not metadata.package:
            return self._make_root(metadata)
        package = self.package(metadata.package)
        has_any = package.files or package.state
        value = self._format.generate(metadata, package) if has_any else None
        if value is None:
            raise NotFound(self._missing(metadata.package))
        files = (f"{each.path} {each.digest} {each.updated_at}" for each in package.files)
        return value, tag_of(metadata.key, json.dumps(package.state), *files)

    def _missing(self, package: str) -> str:
        """Return why there is no document about a package."""
        if not (self._format.shadows and self.has(package)):
            return f"There is no {package} in {self._name}."
        return (
            f"All of {package} was deleted from {self._name}, which keeps the name. To have it "
            "served by other members of a group, pin it to them."
        )

    def _make_root(self, metadata: Metadata) -> tuple[Value, str]:
        states: list[str] = []
        value = self._format.generate_index(metadata, self._files(states))
        if value is not None:
            return value, tag_of(metadata.key, *states)
        names = self._names()
        return self._format.generate_root(metadata, names), tag_of(metadata.key, *names)

    def _files(self, states: list[str]) -> Iterator[StoredFile]:
        """Yield all files, and note the state of each."""
        after = ""
        while batch := self._content.list_assets(FILE, after, FILES_BATCH):
            after = batch[-1].path
            for each in batch:
                file = self._format.target(each.path)
                version = file.version if isinstance(file, File) else ""
                states.append(f"{each.path} {each.digest} {each.updated_at}")
                yield _stored(each, version)

    def _has_file(self, package: str) -> bool:
        found = self._format.package(package)
        return bool(self._content.list_versions(FILE, found.name, "", 1, found.namespace))

    def _list_kept(self) -> frozenset[str]:
        names: set[str] = set()
        after = ""
        while batch := self._content.list_assets(METADATA, after, FILES_BATCH, STATES):
            after = batch[-1].path
            names.update(each.path.removeprefix(STATES) for each in batch)
        return frozenset(names)

    def _names(self) -> list[str]:
        names: list[str] = []
        while batch := self._content.list_names(FILE, names[-1] if names else "", NAMES_BATCH):
            names += batch
        return names


def _stored(asset: Asset, version: str, attributes_chars: int = 0) -> StoredFile:
    return StoredFile(
        asset.path,
        version,
        asset.digest,
        asset.size,
        asset.media_type,
        asset.updated_at,
        asset.attributes,
        attributes_chars,
    )
