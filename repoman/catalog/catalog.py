"""The catalog: what is stored, across repositories, as far as the viewer may see it.

Every list is read in the order of an index and paged by key. A page examines a limited number of
rows (``catalog.scan_limit``) and may therefore be short; its ``next`` tells whether there is more.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from repoman.catalog import records
from repoman.catalog.assets import (
    Assets,
    asset_views,
    is_asset_seen,
    is_package_seen,
    package_listing,
    package_view,
)
from repoman.catalog.components import (
    Components,
    component_view,
    is_component_seen,
    is_shown,
)
from repoman.catalog.distinct_versions import DistinctVersion, merge_versions
from repoman.catalog.listing import Listing, Sealer, key_after, read_first, read_page
from repoman.catalog.model import (
    AssetQuery,
    AssetView,
    BrowseNode,
    ComponentQuery,
    ComponentView,
    PackageQuery,
    PackageView,
    Page,
    PageRequest,
    RepositorySummary,
    Scope,
    StoreUsage,
    Usage,
    Viewer,
)
from repoman.catalog.records import Row
from repoman.config import CatalogSettings
from repoman.content_rules import beginning_with
from repoman.errors import NotFound
from repoman.search import SearchIndex

COPIES_MAX = 1_000
"""Assets with the same bytes are counted up to this number."""

SEALED_PATH = "browse:"  # How a sealed path begins.

Query = TypeVar("Query", ComponentQuery, AssetQuery, PackageQuery)


class Catalog:
    """Answers queries about all content, each for a viewer; thread safe."""

    def __init__(self, settings: CatalogSettings, sealer: Sealer, index: SearchIndex) -> None:
        self._settings = settings
        self._sealer = sealer
        self._index = index

    # Lists --------------------------------------------------------------------------------------

    def components(
        self, query: ComponentQuery, page: PageRequest, viewer: Viewer
    ) -> Page[ComponentView]:
        """Return a page of components.

        Raises:
            Invalid: the key of the page does not belong to this list, or there is no such order.
        """
        scopes = _chosen(viewer, query)
        listing = Components(query, scopes, self._index).listing()
        rows, key = self._read(listing, page)
        known = _by_id(scopes)
        return Page([component_view(row, known) for row in rows], key)

    def components_with_assets(
        self, query: ComponentQuery, page: PageRequest, viewer: Viewer
    ) -> Page[tuple[ComponentView, list[AssetView]]]:
        """Return a page of components, each with all of its assets; Invalid as of `components`.

        It ends earlier where their assets are as many as :meth:`assets_of` reads.
        """
        scopes = _chosen(viewer, query)
        listing = Components(query, scopes, self._index).listing()
        rows, key = self._read(listing, page)
        known = _by_id(scopes)
        views = [component_view(row, known) for row in rows]
        assets = self.assets_of(views, viewer)
        if len(assets) < len(views):
            key = key_after(listing, rows[len(assets) - 1], self._sealer)
        return Page([(each, assets[each.id]) for each in views[: len(assets)]], key)

    def versions(
        self, query: ComponentQuery, viewer: Viewer, part: str = ""
    ) -> list[DistinctVersion]:
        """Return the distinct versions of some components, in no order.

        ``part`` is what they contain, in any case of letters. Of more components than
        ``catalog.versions_limit`` the first ones count, in the order of the query.
        """
        scopes = _chosen(viewer, query)
        listing = Components(query, scopes, self._index).listing()
        rows = read_first(listing, self._settings.versions_limit)
        return merge_versions(rows, _by_id(scopes), part)

    def assets(self, query: AssetQuery, page: PageRequest, viewer: Viewer) -> Page[AssetView]:
        """Return a page of assets; Invalid as of :meth:`components`."""
        scopes = _chosen(viewer, query)
        listing = Assets(query, scopes).listing()
        rows, key = self._read(listing, page)
        return Page(asset_views(rows, _by_id(scopes)), key)

    def packages(self, query: PackageQuery, page: PageRequest, viewer: Viewer) -> Page[PackageView]:
        """Return a page of packages; Invalid as of :meth:`components`."""
        scopes = _chosen(viewer, query)
        listing = package_listing(query, scopes)
        rows, key = self._read(listing, page)
        known = _by_id(scopes)
        return Page([package_view(row, known) for row in rows], key)

    def assets_of(
        self, components: Iterable[ComponentView], viewer: Viewer
    ) -> dict[int, list[AssetView]]:
        """Return the assets of some components by component id, in the order of the components.

        Each has all of its assets. After ``catalog.scan_limit`` of them no more components follow,
        but there is at least the first one.
        """
        scopes = _by_id(viewer.scopes())
        ids = [each.id for each in components]
        rows = records.list_component_assets(ids, self._settings.scan_limit)
        seen = [row for each in rows.values() for row in each if is_asset_seen(row, scopes)]
        found: dict[int, list[AssetView]] = {each: [] for each in rows}
        for each in asset_views(seen, scopes):
            if each.component is not None:
                found[each.component].append(each)
        return found

    def components_of(
        self, assets: Iterable[AssetView], viewer: Viewer
    ) -> dict[int, ComponentView]:
        """Return the components of some assets by component id, as far as they are shown."""
        scopes = _by_id(viewer.scopes())
        ids = {each.component for each in assets if each.component is not None}
        views = (
            component_view(row, scopes)
            for row in records.list_rows("component", ids)
            if is_component_seen(row, scopes)
        )
        return {each.id: each for each in views if is_shown(scopes[each.repository_id], each.kind)}

    def packages_of(
        self, components: Iterable[ComponentView], viewer: Viewer
    ) -> dict[int, PackageView]:
        """Return the packages of some components by package id, as far as the viewer sees them."""
        scopes = _by_id(viewer.scopes())
        ids = {each.package for each in components if each.package is not None}
        rows = records.list_rows("package", ids)
        views = (package_view(row, scopes) for row in rows if is_package_seen(row, scopes))
        return {each.id: each for each in views}

    # Single things ------------------------------------------------------------------------------

    def component(self, id_: int, viewer: Viewer) -> ComponentView:
        """Return a component.

        Raises:
            NotFound: there is none with this id, or the viewer may not see it.
        """
        scopes = _by_id(viewer.scopes())
        for row in records.list_rows("component", [id_]):
            if is_component_seen(row, scopes):
                return component_view(row, scopes)
        raise NotFound(f"There is no component {id_}.")

    def asset(self, id_: int, viewer: Viewer) -> AssetView:
        """Return an asset; NotFound as of :meth:`component`."""
        scopes = _by_id(viewer.scopes())
        for row in records.list_rows("asset", [id_]):
            if is_asset_seen(row, scopes):
                return asset_views([row], scopes)[0]
        raise NotFound(f"There is no asset {id_}.")

    def asset_at(self, path: str, viewer: Viewer) -> AssetView:
        """Return the asset at a stored path, of the first scope that has it; NotFound as above."""
        for scope in viewer.scopes():
            for row in records.find_assets(scope.id, [path]).values():
                if is_asset_seen(row, {scope.id: scope}):
                    return asset_views([row], {scope.id: scope})[0]
        raise NotFound(f"There is no file {path}.")

    def package(self, id_: int, viewer: Viewer) -> PackageView:
        """Return a package; NotFound as of :meth:`component`."""
        scopes = _by_id(viewer.scopes())
        for row in records.list_rows("package", [id_]):
            if is_package_seen(row, scopes):
                return package_view(row, scopes)
        raise NotFound(f"There is no package {id_}.")

    @staticmethod
    def count_copies(asset: AssetView) -> int:
        """Return how many assets have the bytes of one, itself included; at most COPIES_MAX."""
        return records.count_copies(asset.blob_store, asset.digest, COPIES_MAX)

    # Trees --------------------------------------------------------------------------------------

    def browse(
        self, repository: str, directory: str, page: PageRequest, viewer: Viewer
    ) -> Page[BrowseNode]:
        """Return the children of a directory in the tree of stored paths, in their order.

        ``directory`` is empty or ends with a slash. The key of a page is the path of its last
        child. A directory is shown if the viewer may see something below it; the page looks for
        that only as far as its budget of rows allows.

        Raises:
            NotFound: there is no such repository, or the viewer may see nothing of it.
        """
        scope = _scope_of(repository, viewer)
        scopes, page = _by_id([scope]), self._checked(page)
        firsts = records.list_children(scope.id, directory, page.after, page.size + 1)
        names = [_child(directory, path) for path in firsts]
        has_more = len(names) > page.size
        names = names[: page.size]
        last = names[-1] if has_more else None
        names = [each for each in names if scope.rules.is_browsed(each.partition("/")[0])]
        rows = records.find_assets(scope.id, [each for each in names if not each.endswith("/")])
        seen = {path: row for path, row in rows.items() if is_asset_seen(row, scopes)}
        views = {each.stored_path: each for each in asset_views(list(seen.values()), scopes)}
        budget = self._settings.scan_limit
        items = []
        for name in names:
            if name.endswith("/"):
                is_shown, budget = _shows_below(scope, name, budget)
                if is_shown:
                    items.append(BrowseNode(name[len(directory) : -1], name))
            elif name in views:
                items.append(BrowseNode(name[len(directory) :], name, views[name]))
        return Page(items, last)

    def seal_path(self, path: str) -> str:
        """Return a key of a page of :meth:`browse` that does not tell the path."""
        return self._sealer.seal(f"{SEALED_PATH}{path}")

    def open_path(self, key: str) -> str:
        """Return the path in a key, whether or not it is sealed."""
        opened = self._sealer.open(key) or ""
        return opened.removeprefix(SEALED_PATH) if opened.startswith(SEALED_PATH) else key

    # Sums ---------------------------------------------------------------------------------------

    def usage(self, repository: str, viewer: Viewer) -> Usage:
        """Return the sums of a repository; NotFound as of :meth:`browse`."""
        row = records.find_repository_usage(_scope_of(repository, viewer).id)
        return Usage() if row is None else Usage(*row)

    def usages(self, viewer: Viewer) -> dict[str, Usage]:
        """Return the sums of the repositories in which the viewer sees anything, by name."""
        rows = records.list_repository_usages()
        return {
            each.name: Usage(*rows[each.id]) if each.id in rows else Usage()
            for each in sorted(viewer.scopes(), key=lambda scope: scope.name.lower())
        }

    def summaries(self, viewer: Viewer) -> dict[str, RepositorySummary]:
        """Return in short the repositories that the viewer sees whole, by name."""
        usages, times = records.list_repository_usages(), records.list_repository_times()
        return {
            each.name: RepositorySummary(
                Usage(*usages.get(each.id, ())),
                *(at or 0.0 for at in times.get(each.id, ())),
            )
            for each in viewer.scopes()
            if each.sees is None
        }

    def store_usages(self) -> dict[str, StoreUsage]:
        """Return the sums of the blob stores by name."""
        return {name: StoreUsage(*row) for name, row in records.list_store_usages().items()}

    def _read(self, listing: Listing, page: PageRequest) -> tuple[list[Row], str | None]:
        limit = self._settings.scan_limit
        return read_page(listing, self._checked(page), limit, self._sealer)

    def _checked(self, page: PageRequest) -> PageRequest:
        return replace(page, size=max(1, min(page.size, self._settings.page_limit)))


def _chosen(viewer: Viewer, query: Query) -> list[Scope]:
    names = {each.lower() for each in query.repositories}
    return [
        each
        for each in viewer.scopes()
        if (not names or each.name.lower() in names) and query.format in ("", each.format)
    ]


def _scope_of(repository: str, viewer: Viewer) -> Scope:
    for each in viewer.scopes():
        if each.name.lower() == repository.lower():
            return each
    raise NotFound(f"There is no repository {repository!r}.")


def _by_id(scopes: Iterable[Scope]) -> dict[int, Scope]:
    return {each.id: each for each in scopes}


def _child(directory: str, path: str) -> str:
    """Return the path of the child of a directory that a path is, or is below."""
    name, slash, _ = path[len(directory) :].partition("/")
    return f"{directory}{name}{slash}"


def _shows_below(scope: Scope, directory: str, budget: int) -> tuple[bool, int]:
    """Return whether something below a directory may be shown, and what is left of the budget."""
    if scope.sees is None:
        return True, budget
    scan = records.Scan(
        "asset",
        "asset_repository_id_path",
        (("repository_id", scope.id),),
        ("path",),
        records.bounds_of(beginning_with(directory)),
    )
    for row in records.read_rows(scan, None):
        budget -= 1
        if is_asset_seen(row, _by_id([scope])):
            return True, budget
        if budget <= 0:
            break
    return False, budget
