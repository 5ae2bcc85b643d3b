"""The content of one repository: components, assets and what they refer to.

The only writer of those tables. A format chooses the paths and kinds; the store keeps them unique,
finds them fast and changes them in transactions.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, BinaryIO

from peewee import Expression, Query

from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.reader import CACHED_MAX_BYTES
from repoman.blobs.store import CANONICAL, BlobStore, StoredBlob
from repoman.content_blobs import ContentBlobs
from repoman.content_promises import Promises
from repoman.content_records import (
    AssetValues,
    Present,
    add_transfer,
    delete_references,
    drop_empty_components,
    find_asset,
    find_assets,
    find_present,
    find_referenced,
    find_referenced_size,
    insert_package,
    insert_references,
    list_assets,
    list_checksums,
    list_component_paths,
    list_package,
    list_referring,
    list_values,
    release_targets,
    replace_labels,
    save_asset,
    save_component,
    save_package,
    trash_assets,
)
from repoman.content_rules import DEFAULT_RULES, ContentRules
from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.db.models import AssetRecord, ComponentRecord
from repoman.db.sqlite import LAST_CHARACTER, batches
from repoman.errors import NotFound
from repoman.events.event import AuditEntry, Coordinate
from repoman.events.event_records import insert_deleted, insert_deleted_component, insert_saved
from repoman.events.history_records import Histories
from repoman.events.origin import current_origin
from repoman.events.pulls import Pull
from repoman.graph_records import ContentGraph
from repoman.quotas import SpaceLimits
from repoman.search import Filter, FoundComponent, Searched, find_components

Attributes = Mapping[str, Any]

BATCH_ASSETS = 100  # Assets that one transaction removes; of each, some ten rows go or change.


@dataclass(frozen=True, slots=True)
class Reference:
    """An asset names another path of the repository; the path need not exist.

    ``size`` is that of what is there, in bytes, as far as the asset tells.
    """

    kind: str
    path: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """A path with bytes. ``digest`` is the sha256 in hex, ``size`` in bytes, times since epoch.

    ``checked_at`` is when the remote of a proxy last had it so; None: long ago, or no proxy.
    ``transfer_size`` is what a client downloads to use it, if that is more than the asset itself.
    ``remote_etag`` and ``remote_modified`` are the validators that the remote sent with the bytes.
    """

    id: int
    path: str
    kind: str
    digest: str
    size: int
    media_type: str
    updated_at: float
    attributes: Attributes
    checked_at: float | None = None
    transfer_size: int | None = None
    remote_etag: str | None = None
    remote_modified: str | None = None


@dataclass(frozen=True, slots=True)
class NewAsset:
    """What is to be stored at a path.

    Attributes:
        audit: how the audit log tells of it, if at all.
        package: what its bytes count for: the kind, namespace and name of a package. By default
            those of the component, if it has a version; else none.
        transfer_size: what a client downloads to use it, in bytes; None: its own bytes alone.
        labels: what its component can be found by; None: as before.
        checksums: digests of its bytes by other algorithms, in hex, besides those of the blob.
        remote_etag: the ETag that the remote of a proxy sent with these bytes.
        remote_modified: its Last-Modified.
    """

    path: str
    kind: str
    blob: StoredBlob
    media_type: str
    attributes: Attributes = field(default_factory=dict)
    component: Coordinate | None = None
    references: tuple[Reference, ...] = ()
    checked_at: float | None = None
    audit: AuditEntry | None = None
    package: Coordinate | None = None
    transfer_size: int | None = None
    labels: Mapping[str, str] | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    remote_etag: str | None = None
    remote_modified: str | None = None


class ContentStore:
    """Components and assets of one repository; thread safe.

    Its blobs are in its blob store. While the repository moves, and for what a request stores that
    began before, they may be in another of ``stores``.

    Every method that changes something is one transaction, or joins that of :meth:`transaction` in
    the same thread. Each change of an asset writes an event (:mod:`repoman.events`) in it.

    Attributes:
        graph: what of the content refers to what.
        histories: what happened to its assets.
    """

    def __init__(
        self,
        database: Database,
        repository_id: int,
        blob_store: str,
        blobs: BlobStore,
        rules: ContentRules = DEFAULT_RULES,
        stores: BlobStoreManager | None = None,
        limits: SpaceLimits | None = None,
    ) -> None:
        self._rules = rules
        self._limits = limits or SpaceLimits()
        self._database = database
        self._repository = repository_id
        self._blobs = ContentBlobs(database, repository_id, blob_store, blobs, stores)
        self._reader = self._blobs.reader
        self.histories = Histories(repository_id)
        self._found: ReadCache[Asset | None] = ReadCache(database, repository_id)
        self._promises = Promises(database, repository_id)
        self.graph = ContentGraph(repository_id)

    def transaction(self, *stored: StoredBlob) -> AbstractContextManager[None]:
        """Return a context in which several changes are one; what is read in it stays true.

        ``stored`` are blobs, just committed, that assets are to name in it.
        """
        return self._blobs.transaction(stored)

    def brief_waits(self) -> AbstractContextManager[None]:
        """Return a context for what a read writes on the side: it waits for no other writer."""
        return self._database.brief_waits()

    def open_cache(self) -> ReadCache[Any]:
        """Return an empty cache of what is read from this content, until that changes."""
        return ReadCache(self._database, self._repository)

    # Assets -----------------------------------------------------------------------------------

    def find_asset(self, path: str) -> Asset | None:
        """Return the asset at a path, or None."""
        return self._found.get(path, lambda: self._find(path))

    def _find(self, path: str) -> Asset | None:
        row = find_asset(self._repository, path)
        return None if row is None else Asset(*row)

    def get_asset(self, path: str) -> Asset:
        """Return the asset at a path (NotFound: there is none)."""
        asset = self.find_asset(path)
        if asset is None:
            raise NotFound(f"There is nothing at {path}.")
        return asset

    def list_assets(self, kind: str, after: str, limit: int, prefix: str = "") -> list[Asset]:
        """Return at most ``limit`` assets of a kind with paths after ``after``, in byte order.

        Only those whose paths begin with ``prefix``, if it is given.
        """
        span = (prefix, prefix + LAST_CHARACTER) if prefix else None
        return [Asset(*row) for row in list_assets(self._repository, kind, after, limit, span)]

    def existing(self, paths: Iterable[str]) -> dict[str, Asset]:
        """Return the assets that are at the given paths, by path."""
        assets = (Asset(*row) for row in find_assets(self._repository, paths))
        return {asset.path: asset for asset in assets}

    def referenced(self, paths: Iterable[str]) -> set[str]:
        """Return those of the paths that an asset names by a reference of any kind."""
        return find_referenced(self._repository, paths)

    def referring(self, path: str, kind: str, after: str = "", limit: int = -1) -> list[Asset]:
        """Return the assets that name ``path`` by a reference of a kind, in order of their paths.

        Only those whose own path comes after ``after``; a ``limit`` of -1 means all.
        """
        return [Asset(*row) for row in list_referring(self._repository, path, kind, after, limit)]

    def referenced_size(self, path: str, kind: str) -> int | None:
        """Return the size of what is at a path, in bytes, as an asset that refers to it tells."""
        return find_referenced_size(self._repository, path, kind)

    def has_bytes(self, asset: Asset) -> bool:
        """Return whether the asset can be given out; a look at the disk, cheap (Unavailable)."""
        return self._reader.has(asset.digest, asset.size)

    def is_stored(self, blob: StoredBlob) -> bool:
        """Return whether a blob is in the store, so that :meth:`transaction` keeps it there."""
        return self._reader.exists(blob.digest, blob.size)

    def checksums_of(self, asset: Asset) -> dict[str, str]:
        """Return the stored checksums of an asset's bytes by algorithm, in hex."""
        return {CANONICAL: asset.digest, **dict(list_checksums(asset.id))}

    def open_asset(self, asset: Asset) -> BinaryIO:
        """Return the asset's bytes as an unbuffered file (NotFound: the blob store lost them)."""
        return self._reader.open(asset.digest, asset.size)

    def open_body(self, asset: Asset, *, is_popular: bool = False) -> BinaryIO | bytes:
        """Return the asset's bytes to be sent: small ones from memory, others as a file.

        What is requested very often may be ``is_popular``: its loss is noticed a fraction of a
        second later.

        Raises:
            NotFound: the blob store has lost them.
        """
        if asset.size > CACHED_MAX_BYTES:
            return self.open_asset(asset)
        read = self._reader.read_recent if is_popular else self._reader.read
        return read(asset.digest, asset.size)

    def promise(self, path: str, keepers: Sequence[str]) -> bool:
        """Note that a client relies on the asset at a path; return whether it is there.

        What nothing needs is not collected for a while after that. It is seldom written. While the
        database takes no writes, references of the kinds ``keepers`` are enough.

        Raises:
            Unavailable, StorageFull: it cannot be written, and nothing keeps the asset.
        """
        return self._promises.make(path, keepers)

    def pull_of(self, *paths: str, referrers: str = "", wholes: str = "") -> Pull:
        """Return what a client has that gets the assets at these paths."""
        return Pull(self._repository, paths, referrers, wholes)

    def save_asset(self, new: NewAsset, *, is_deletion: bool = False) -> None:
        """Store an asset, in place of the one that was at its path, and its component.

        What a deletion leaves (``is_deletion``) is stored however little of the disk is free.

        Raises:
            Conflict: the repository was deleted at the same time.
            StorageFull: the disk or a quota is full.
            Unavailable: the bytes are no longer in the blob store, since no asset named them.
        """
        now, package = time.time(), _package_of(new)
        with self._blobs.transaction((new.blob,), can_fail_alone=False):
            if not is_deletion:
                self._database.admit()
            present = find_present(
                self._repository, new.path, self._blobs.store, new.blob.digest, package
            )
            if present.digest not in (None, new.blob.digest):
                release_targets(self._repository, [new.path], now, current_origin().source)
            values = self._values_of(new, present, package, now)
            asset = save_asset(self._repository, new.path, values, present.asset)
            self._save_details(asset, values.component, new, is_new=present.asset is None)
            insert_saved(
                self._repository,
                now,
                new.kind,
                new.path,
                new.component,
                (present.digest, new.blob.digest),
                new.audit,
            )
            if present.component is not None and present.component != values.component:
                drop_empty_components([present.component])

    def add_transfer(self, path: str, part: str, alias: str) -> None:
        """Count what a client downloads with the asset at a path, besides its own bytes.

        That is the first present asset to which it refers by the kind ``part``, in the order of
        its references. Assets that refer to the path by the kind ``alias`` get the same size.
        """
        with self.transaction():
            add_transfer(self._repository, path, part, alias)

    def delete_assets(
        self, paths: Iterable[str], audit: Mapping[str, AuditEntry] = MappingProxyType({})
    ) -> int:
        """Remove the assets at the given paths and return how many there were.

        Of many paths, each batch is a transaction of its own, unless one is open. Components that
        keep no asset go with them. The bytes stay for compaction, since other assets may share
        them. ``audit`` is how the audit log tells of some of them, by path.
        """
        return sum(self._remove(each, audit) for each in batches(paths, BATCH_ASSETS))

    def trash_assets(
        self, paths: Iterable[str], audit: Mapping[str, AuditEntry] = MappingProxyType({})
    ) -> int:
        """Remove assets as :meth:`delete_assets` does, but keep their bytes, and return how many.

        They are then at other paths (:func:`trash_path`), belong to no component, and were released
        then. They, and their references, are of other kinds (:func:`trashed_kind`). Delete them
        there once nobody will want them back.
        """
        return sum(self._remove(each, audit, is_kept=True) for each in batches(paths, BATCH_ASSETS))

    def _remove(
        self, paths: list[str], audit: Mapping[str, AuditEntry], *, is_kept: bool = False
    ) -> int:
        now, source = time.time(), current_origin().source
        with self.transaction():
            insert_deleted(self._repository, now, paths, audit)
            release_targets(self._repository, paths, now, source)
            mine = (AssetRecord.repository == self._repository) & AssetRecord.path.in_(paths)
            found = list(AssetRecord.select(AssetRecord.component).where(mine).tuples())
            if is_kept:
                trash_assets(self._repository, paths, now, source)
            else:
                AssetRecord.delete().where(mine).execute()
            drop_empty_components({component for (component,) in found if component is not None})
        return len(found)

    # Components -------------------------------------------------------------------------------

    def save_component(self, coordinate: Coordinate) -> None:
        """Create a component, or leave the one that is there as it is."""
        with self.transaction():
            package = save_package(self._repository, coordinate) if coordinate.version else None
            self._save_component(coordinate, package, time.time())

    def has_component(self, coordinate: Coordinate) -> bool:
        """Return whether there is a component with exactly this coordinate."""
        return bool(ComponentRecord.select().where(self._is(coordinate)).exists())

    def paths_of(self, coordinate: Coordinate) -> list[str]:
        """Return the paths of the assets of a component."""
        found = ComponentRecord.get_or_none(self._is(coordinate))
        return [] if found is None else list_component_paths(found.id)

    def list_package(self, package: Coordinate, *, outline: bool) -> list[tuple[Asset, str, int]]:
        """Return all assets of a package by path, each with its version and size of attributes."""
        found = list_package(self._repository, package, outline=outline)
        return [(Asset(*row), version, chars) for *row, version, chars in found]

    def describe_component(
        self, coordinate: Coordinate, description: str, *, replace: bool = True
    ) -> None:
        """Set what people are told of a component, and find it by, if it is there.

        Without ``replace``, a description that is there already is kept.
        """
        present = ComponentRecord.description
        outdated = present != description if replace else present == ""
        with self.transaction():
            ComponentRecord.update(description=description).where(
                self._is(coordinate) & outdated
            ).execute()

    def delete_component(self, coordinate: Coordinate) -> bool:
        """Remove a component with its assets; return whether it was there."""
        with self.transaction():
            found = ComponentRecord.get_or_none(self._is(coordinate))
            if found is None:
                return False
            insert_deleted_component(found.id, time.time())
            paths = list_component_paths(found.id)
            release_targets(self._repository, paths, time.time(), current_origin().source)
            return bool(ComponentRecord.delete().where(ComponentRecord.id == found.id).execute())

    def list_names(self, kind: str, after: str, limit: int, namespace: str = "") -> list[str]:
        """Return component names of a kind after ``after``, in byte order, at most ``limit``."""
        query = self._select_components(ComponentRecord.name, kind, namespace).distinct()
        return self._page(query, ComponentRecord.name, after, limit)

    def list_versions(
        self, kind: str, name: str, after: str, limit: int, namespace: str = ""
    ) -> list[str]:
        """Return versions of one name after ``after``, in byte order, at most ``limit``."""
        query = self._select_components(ComponentRecord.version, kind, namespace)
        query = query.where(ComponentRecord.name == name)
        return self._page(query, ComponentRecord.version, after, limit)

    def search(
        self, kind: str, text: str, limit: int, is_visible: Filter | None = None
    ) -> list[FoundComponent]:
        """Return components of a kind that contain a text; see :mod:`repoman.search`."""
        return find_components(Searched(self._repository, kind), text, limit, is_visible)

    # Inside -----------------------------------------------------------------------------------

    def _select_components(self, column: Any, kind: str, namespace: str) -> Query:
        return ComponentRecord.select(column).where(
            (ComponentRecord.repository == self._repository)
            & (ComponentRecord.kind == kind)
            & (ComponentRecord.namespace == namespace)
        )

    @staticmethod
    def _page(query: Query, column: Any, after: str, limit: int) -> list[str]:
        # As one value: each row costs a change of the interpreter's lock, for which all may queue.
        sql, values = query.where(column > after).order_by(column).limit(limit).sql()
        return list_values(sql, values)

    def _is(self, coordinate: Coordinate) -> Expression:
        return (
            (ComponentRecord.repository == self._repository)
            & (ComponentRecord.kind == coordinate.kind)
            & (ComponentRecord.namespace == coordinate.namespace)
            & (ComponentRecord.name == coordinate.name)
            & (ComponentRecord.version == coordinate.version)
        )

    def _values_of(
        self, new: NewAsset, present: Present, package: Coordinate | None, now: float
    ) -> AssetValues:
        """Return the columns of an asset; what it belongs to, and its blob, are saved for it."""
        self._limits.check_blob(new.blob.digest, new.blob.size)
        origin, package_id, component = current_origin(), present.package, None
        if package is not None and package_id is None:
            package_id = insert_package(self._repository, package)
        if new.component is not None:
            component = self._save_component(new.component, package_id, now)
        return AssetValues(
            component=component,
            kind=new.kind,
            blob=self._blobs.save(new.blob, new.checksums, present, now),
            media_type=new.media_type,
            attributes=new.attributes,
            updated_at=now,
            checked_at=new.checked_at,
            remote_etag=new.remote_etag,
            remote_modified=new.remote_modified,
            package=package_id,
            transfer_size=new.transfer_size,
            uploader=origin.actor,
            uploader_address=origin.address,
        )

    def _save_component(self, coordinate: Coordinate, package: int | None, now: float) -> int:
        version = coordinate.version
        order = ("", False)
        if version:
            order = (self._rules.version_key(version), self._rules.is_prerelease(version))
        return save_component(self._repository, coordinate, package, order, now)

    def _save_details(
        self, asset: int, component: int | None, new: NewAsset, *, is_new: bool
    ) -> None:
        if not is_new:
            delete_references(asset)
        named = ((each.kind, each.path, each.size) for each in dict.fromkeys(new.references))
        insert_references(self._repository, asset, new.path, named)
        if component is not None and new.labels is not None:
            replace_labels(component, new.labels)


def _package_of(new: NewAsset) -> Coordinate | None:
    """Return what the bytes of an asset count for."""
    if new.package is None and new.component is not None and new.component.version:
        return new.component
    return new.package
