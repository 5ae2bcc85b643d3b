"""A repository as somebody sees it: what the pages of a format are made of.

A format knows what its paths mean; this knows who may see them, and reads many things at once. What
is named by a **key** (the id of a repository, and a stored path) is not judged: whoever asks does
it with :meth:`RepositoryView.sees`.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO

from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.reader import BlobReader
from repoman.catalog import use_records as records
from repoman.catalog.catalog import Catalog
from repoman.catalog.histories import page_departures, page_history
from repoman.catalog.model import (
    ComponentQuery,
    ComponentView,
    PackageQuery,
    PackageView,
    Page,
    PageRequest,
    RepositorySummary,
    Scope,
    Usage,
)
from repoman.catalog.records import FIELDS, Row
from repoman.catalog.use_records import AssetKey, Referrer, Use
from repoman.catalog.visibility import ActorViewer, EveryViewer, ScopeViewer
from repoman.content_rules import Span
from repoman.events.event import ContentEvent, Coordinate
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository
from repoman.security.actors import READING, Access, Action, Actor
from repoman.security.authorization import Authorizer

DAY_S = 86_400

_FIELD = FIELDS["asset"]


@dataclass(frozen=True, slots=True)
class StoredAsset:
    """An asset at a key; ``digest`` is the sha256 in hex, sizes are in bytes.

    ``transfer_size`` is what a client downloads to use it; ``uploader`` is empty for who has not
    logged in.
    """

    key: AssetKey
    kind: str
    media_type: str
    attributes: Mapping[str, Any]
    digest: str
    size: int
    transfer_size: int
    store: str
    uploader: str
    updated_at: float
    downloaded_at: float


@dataclass(frozen=True, slots=True)
class Services:
    """What views ask."""

    catalog: Catalog
    repositories: RepositoryManager
    authorizer: Authorizer
    stores: BlobStoreManager


class RepositoryViews:
    """Opens repositories for those who want to see them; thread safe."""

    def __init__(
        self,
        catalog: Catalog,
        repositories: RepositoryManager,
        authorizer: Authorizer,
        stores: BlobStoreManager,
    ) -> None:
        self._services = Services(catalog, repositories, authorizer, stores)

    def open(
        self,
        repository: Repository,
        actor: Actor | None,
        actions: frozenset[Action] = READING,
    ) -> "RepositoryView":
        """Return a repository as an actor sees it by one of these; None is the program itself."""
        viewer: ActorViewer | EveryViewer
        services = self._services
        viewer = EveryViewer(services.repositories)
        if actor is not None:
            viewer = ActorViewer(services.authorizer, services.repositories, actor, actions)
        return RepositoryView(repository, actor, viewer, services)

    def summaries(self, actor: Actor) -> dict[str, RepositorySummary]:
        """Return in short the repositories that an actor sees whole, by name; groups are empty."""
        services = self._services
        viewer = ActorViewer(services.authorizer, services.repositories, actor, READING)
        return services.catalog.summaries(viewer)


class RepositoryView:
    """A repository, or the members of a group, as an actor sees it; for one request.

    Attributes:
        repository: what was asked for.
        actor: who asks; None: the program itself.
        scopes: where its content is, by the ids of repositories, in the order of a group.
    """

    def __init__(
        self,
        repository: Repository,
        actor: Actor | None,
        viewer: ActorViewer | EveryViewer,
        services: Services,
    ) -> None:
        self.repository = repository
        self.actor = actor
        self.scopes = {each.id: each for each in viewer.scopes_of(repository)}
        self._viewer = viewer
        self._services = services

    # Lists ----------------------------------------------------------------------------------------

    def packages(self, query: PackageQuery, page: PageRequest) -> Page[PackageView]:
        """Return a page of packages (Invalid: it is not a page of this list)."""
        return self._services.catalog.packages(query, page, self._shown)

    def components(self, query: ComponentQuery, page: PageRequest) -> Page[ComponentView]:
        """Return a page of components (Invalid: it is not a page of this list)."""
        return self._services.catalog.components(query, page, self._shown)

    def descriptions(self, packages: Iterable[PackageView]) -> dict[AssetKey, str]:
        """Return what people are told of packages, by the ids of repositories and names.

        What has no component without a version is missing: only parts of it are stored.
        """
        packages = list(packages)
        if not packages:
            return {}
        names = [(each.repository_id, each.name) for each in packages]
        return records.list_descriptions(names, packages[0].kind)

    def usage(self) -> Usage | None:
        """Return what is kept of a repository; None: of a group, or of what is not seen whole."""
        scopes = list(self.scopes.values())
        if len(scopes) != 1 or scopes[0].sees is not None or scopes[0].group:
            return None
        return self._services.catalog.usage(scopes[0].name, self._shown)

    @property
    def _is_anonymous(self) -> bool:
        return self.actor is not None and self.actor.is_anonymous

    @property
    def _shown(self) -> ScopeViewer:
        return ScopeViewer(list(self.scopes.values()))

    # Places ---------------------------------------------------------------------------------------

    def stored(self, keys: Iterable[AssetKey]) -> dict[AssetKey, StoredAsset]:
        """Return what is stored at these keys; nothing where there is nothing."""
        keys = list(dict.fromkeys(keys))
        found = map(self._stored, records.find_stored(keys)) if keys else ()
        return {each.key: each for each in found}

    def below(
        self, repository_id: int, kind: str, span: Span, kinds: Iterable[str], limit: int
    ) -> list[tuple[StoredAsset, bool]]:
        """Return assets of a kind with paths after the first and before the second of a range.

        Each with whether something names it by a reference of one of ``kinds``.
        """
        rows = records.list_below(repository_id, kind, span, kinds, limit)
        return [(self._stored(row[:-1]), bool(row[-1])) for row in rows]

    def _stored(self, row: Row) -> StoredAsset:
        """Return a row as an asset; who stored it is not told to who has not logged in."""
        found = _as_stored(row)
        return replace(found, uploader="") if self._is_anonymous else found

    def referrers(
        self, keys: Iterable[AssetKey], kinds: Iterable[str], limit: int
    ) -> list[Referrer]:
        """Return at most ``limit`` assets that name these keys by references of these kinds."""
        keys = list(dict.fromkeys(keys))
        return records.list_referrers(keys, kinds, limit) if keys else []

    def named(
        self, keys: Iterable[AssetKey], kinds: Iterable[str], besides: Iterable[str] = ()
    ) -> set[AssetKey]:
        """Return those of the keys that something names by references of these kinds.

        What is at the paths ``besides`` does not count.
        """
        keys = list(keys)
        return records.find_named(keys, kinds, besides) if keys else set()

    def pulls(self, keys: Iterable[AssetKey], days: int) -> dict[AssetKey, int]:
        """Return how often things were pulled within the last days."""
        keys = list(dict.fromkeys(keys))
        first = int(time.time() // DAY_S) - days + 1
        return records.sum_pulls(keys, first) if keys else {}

    def uses(
        self, digests: Iterable[str], kinds: tuple[str, str, str], limit: int
    ) -> dict[str, list[Use]]:
        """Return what refers to bytes in any repository; see :func:`use_records.list_uses`."""
        digests = list(digests)
        return records.list_uses(digests, kinds, limit) if digests else {}

    def open(self, stored: StoredAsset) -> BinaryIO:
        """Return the bytes of an asset as an unbuffered file.

        Raises:
            NotFound: they are lost.
            Unavailable: the blob store cannot be used at the moment.
        """
        reader = BlobReader(self._services.stores.get(stored.store))
        return reader.open(stored.digest, stored.size)

    # Histories ------------------------------------------------------------------------------------

    def history(self, kind: str, path: str, page: PageRequest) -> Page[ContentEvent]:
        """Return what happened to the asset at a path, newest first (PageKeyInvalid).

        As far back as events are kept; who did it is not told to who has not logged in.
        """
        return self._told(page_history(self.scopes.values(), kind, path, page))

    def departures(
        self, kind: str, page: PageRequest, name: str | None = None
    ) -> Page[ContentEvent]:
        """Return when assets were deleted or replaced; see :func:`page_departures`."""
        return self._told(page_departures(self.scopes.values(), kind, page, name))

    def _told(self, page: Page[ContentEvent]) -> Page[ContentEvent]:
        if not self._is_anonymous:
            return page
        return Page([replace(each, actor="", address="") for each in page.items], page.next)

    # Rights ---------------------------------------------------------------------------------------

    def whole(self) -> "RepositoryView":
        """Return the same repository as the program itself sees it: all of it."""
        viewer = EveryViewer(self._services.repositories)
        return RepositoryView(self.repository, None, viewer, self._services)

    def may_everywhere(self, action: Action) -> bool:
        """Return whether the actor may do something with everything in this repository."""
        return self.actor is None or self._services.authorizer.may_do_everywhere(
            self.actor, self.repository.ref, frozenset({action})
        )

    def owner(self, repository_id: int) -> Repository:
        """Return the repository in which something of this view is stored."""
        return self._services.repositories.by_id(repository_id)

    def sees(self, repository_id: int, coordinate: Coordinate) -> bool:
        """Return whether the actor may see a component by this repository."""
        return _sees(self.scopes.get(repository_id), coordinate)

    def sees_anywhere(self, repository_id: int, coordinate: Coordinate) -> bool:
        """Return whether the actor may see a component of any repository."""
        return _sees(self._everywhere.get(repository_id), coordinate)

    def may(self, action: Action, coordinate: Coordinate) -> bool:
        """Return whether the actor may do something with a component of this repository."""
        repository, rules = self.repository, self.repository.rules
        path, name = rules.component_path(coordinate), rules.name_of_component(coordinate)
        access = Access(frozenset({action}), path, name)
        return self.actor is None or self._services.authorizer.is_allowed(
            self.actor, repository.ref, access
        )

    @cached_property
    def _everywhere(self) -> dict[int, Scope]:
        return {each.id: each for each in self._viewer.scopes()}


def _sees(scope: Scope | None, coordinate: Coordinate) -> bool:
    return scope is not None and scope.sees_component(coordinate)


def _as_stored(row: Row) -> StoredAsset:
    transfer_size, digest, size, store = row[len(_FIELD) :]
    return StoredAsset(
        key=(row[_FIELD["repository_id"]], row[_FIELD["path"]]),
        kind=row[_FIELD["kind"]],
        media_type=row[_FIELD["media_type"]],
        attributes=json.loads(row[_FIELD["attributes"]]),
        digest=digest,
        size=size,
        transfer_size=size if transfer_size is None else transfer_size,
        store=store,
        uploader=row[_FIELD["uploader"]],
        updated_at=row[_FIELD["updated_at"]],
        downloaded_at=row[_FIELD["downloaded_at"]] or 0.0,
    )
