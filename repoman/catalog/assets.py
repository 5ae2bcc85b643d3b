"""Lists of assets and packages: which index is read, and what is checked row by row."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from repoman.catalog.listing import Listing, Wildcards, Words, check_order, is_within
from repoman.catalog.model import (
    AssetQuery,
    AssetView,
    Order,
    PackageQuery,
    PackageView,
    Scope,
)
from repoman.catalog.records import (
    FIELDS,
    Row,
    Scan,
    bounds_of,
    list_blob_ids,
    list_blobs,
    list_checksums,
)
from repoman.content_rules import Span, beginning_with, merge_spans
from repoman.events.event import Coordinate

_FIELD = FIELDS["asset"]
_PACKAGE_FIELD = FIELDS["package"]
_ORDERS = (Order.PATH, Order.DOWNLOADED)
_PACKAGE_ORDERS: Mapping[Order, tuple[str, tuple[str, ...]]] = {
    Order.NAME: ("package_repository_id_name", ("name", "id")),
    Order.UPDATED: ("package_repository_id_updated_at", ("updated_at", "id")),
    Order.DOWNLOADED: ("package_repository_id_downloaded_at", ("downloaded_at", "id")),
    Order.SIZE: ("package_repository_id_size", ("size", "id")),
    Order.OWN_SIZE: ("package_repository_id_own_size", ("own_size", "id")),
}


class Assets:
    """A query for assets, within the scopes of a viewer (Invalid: not in this order)."""

    def __init__(self, query: AssetQuery, scopes: list[Scope]) -> None:
        check_order(query.order, _ORDERS)
        self._query = query
        self._scopes = {each.id: each for each in scopes}
        self._path = Wildcards.parse(query.path or None)
        self._blobs: set[int] | None = None
        if query.digest or query.checksum is not None:
            self._blobs = set(list_blob_ids(query.digest, query.checksum))

    def listing(self) -> Listing:
        """Return the list that answers the query."""
        return Listing(
            question=self._query,
            scans=list(self._scans()),
            judge=lambda rows: [row for row in rows if self._accepts(row)],
            is_descending=self._query.is_descending,
        )

    def _scans(self) -> Iterator[Scan]:
        query, by_age = self._query, ("id",)
        if query.component is not None:
            yield Scan("asset", "asset_component_id", (("component_id", query.component),), by_age)
        elif self._blobs is not None:
            for each in sorted(self._blobs):
                yield Scan("asset", "asset_blob_id", (("blob_id", each),), by_age)
        elif query.package is not None:
            yield Scan("asset", "asset_package_id", (("package_id", query.package),), by_age)
        else:
            for scope in self._scopes.values():
                yield from self._scans_of(scope)

    def _scans_of(self, scope: Scope) -> Iterator[Scan]:
        query = self._query
        mine: tuple[tuple[str, Any], ...] = (("repository_id", scope.id),)
        if query.uploader:
            equal = (*mine, ("uploader", query.uploader))
            yield Scan("asset", "asset_repository_id_uploader", equal, ("id",))
        elif query.order is Order.DOWNLOADED:
            low, high = query.downloaded
            bounds: tuple[tuple[str, Any], ...] = ((">=", low or 0.0),)
            bounds += () if high is None else (("<", high),)
            columns = ("downloaded_at", "id")
            yield Scan("asset", "asset_repository_id_downloaded_at", mine, columns, bounds)
        else:
            index = "asset_repository_id_path"
            if query.kind:
                index, mine = "asset_repository_id_kind_path", (*mine, ("kind", query.kind))
            for each in self._stored_paths(scope):
                yield Scan("asset", index, mine, ("path",), bounds_of(each))

    def _stored_paths(self, scope: Scope) -> list[Span]:
        """Return the ranges of stored paths that contain every candidate."""
        if self._path.beginning:
            return [scope.rules.stored_below(self._path.beginning)]
        prefixes = ("",) if scope.prefixes is None else scope.prefixes
        return merge_spans(map(scope.rules.stored_below, prefixes))

    def _accepts(self, row: Row) -> bool:
        query, scope = self._query, self._scopes.get(row[_FIELD["repository_id"]])
        if scope is None or (query.kind and row[_FIELD["kind"]] != query.kind):
            return False
        if query.package not in (None, row[_FIELD["package_id"]]):
            return False
        if self._blobs is not None and row[_FIELD["blob_id"]] not in self._blobs:
            return False
        if query.uploader and row[_FIELD["uploader"]] != query.uploader:
            return False
        path = _seen_path(scope, row)
        return path != "" and self._path.fits(path) and self._is_in_time(row)

    def _is_in_time(self, row: Row) -> bool:
        query = self._query
        return is_within(row[_FIELD["updated_at"]], query.updated) and is_within(
            row[_FIELD["downloaded_at"]] or 0.0, query.downloaded
        )


def is_asset_seen(row: Row, scopes: Mapping[int, Scope]) -> bool:
    """Return whether the viewer with these scopes may see an asset."""
    scope = scopes.get(row[_FIELD["repository_id"]])
    return scope is not None and _seen_path(scope, row) != ""


def _seen_path(scope: Scope, row: Row) -> str:
    """Return the path of an asset as the viewer sees it; empty if it is not visible."""
    path = scope.rules.asset_path(row[_FIELD["kind"]], row[_FIELD["path"]])
    return path if path and scope.sees_path(path) else ""


def asset_views(rows: list[Row], scopes: Mapping[int, Scope]) -> list[AssetView]:
    """Return rows as assets, with two statements for all of their blobs."""
    ids = {row[_FIELD["blob_id"]] for row in rows}
    blobs, checksums = list_blobs(ids), list_checksums(ids)
    return [
        _asset_view(row, scopes, blobs[blob], checksums.get(blob, {}))
        for row in rows
        if (blob := row[_FIELD["blob_id"]]) in blobs
    ]


def _asset_view(
    row: Row, scopes: Mapping[int, Scope], blob: Row, checksums: Mapping[str, str]
) -> AssetView:
    scope = scopes[row[_FIELD["repository_id"]]]
    store, digest, size, created_at = blob
    return AssetView(
        id=row[0],
        repository_id=scope.id,
        repository=scope.name,
        address=scope.group or scope.name,
        format=scope.format,
        kind=row[_FIELD["kind"]],
        path=scope.rules.asset_path(row[_FIELD["kind"]], row[_FIELD["path"]]),
        stored_path=row[_FIELD["path"]],
        component=row[_FIELD["component_id"]],
        package=row[_FIELD["package_id"]],
        digest=digest,
        size=size,
        media_type=row[_FIELD["media_type"]],
        attributes=json.loads(row[_FIELD["attributes"]]),
        uploader=row[_FIELD["uploader"]],
        uploader_address=row[_FIELD["uploader_address"]],
        blob_store=store,
        blob_created_at=created_at,
        checksums=checksums,
        created_at=row[_FIELD["created_at"]],
        updated_at=row[_FIELD["updated_at"]],
        downloaded_at=row[_FIELD["downloaded_at"]],
    )


def package_listing(query: PackageQuery, scopes: list[Scope]) -> Listing:
    """Return the list that answers a query for packages (Invalid: not in this order)."""
    check_order(query.order, _PACKAGE_ORDERS)
    known = {each.id: each for each in scopes}
    name, words = Wildcards.parse(query.name or None), Words.parse(query.text)
    index, columns = _PACKAGE_ORDERS[query.order]

    def scans() -> Iterator[Scan]:
        for scope in scopes:
            mine = (("repository_id", scope.id),)
            if query.order is not Order.NAME:
                yield Scan("package", index, mine, columns)
                continue
            spans = [beginning_with(name.beginning)]
            if scope.prefixes is not None and not name.beginning:
                spans = merge_spans(map(scope.rules.names_below, scope.prefixes))
            for each in spans:
                yield Scan("package", index, mine, columns, bounds_of(each))

    def accepts(row: Row) -> bool:
        text = f"{row[_PACKAGE_FIELD['namespace']]} {row[_PACKAGE_FIELD['name']]}".lower()
        fits = name.fits(row[_PACKAGE_FIELD["name"]]) and words.fit(text)
        return fits and _is_package_seen(known[row[1]], row)

    return Listing(
        question=query,
        scans=list(scans()),
        judge=lambda rows: [row for row in rows if accepts(row)],
        is_descending=query.is_descending,
    )


def package_view(row: Row, scopes: Mapping[int, Scope]) -> PackageView:
    """Return a row as a package."""
    scope = scopes[row[1]]
    return PackageView(row[0], scope.id, scope.name, scope.format, *row[2:])


def is_package_seen(row: Row, scopes: Mapping[int, Scope]) -> bool:
    """Return whether the viewer with these scopes may see a package."""
    scope = scopes.get(row[1])
    return scope is not None and _is_package_seen(scope, row)


def _is_package_seen(scope: Scope, row: Row) -> bool:
    coordinate = Coordinate(
        row[_PACKAGE_FIELD["kind"]],
        row[_PACKAGE_FIELD["name"]],
        namespace=row[_PACKAGE_FIELD["namespace"]],
    )
    return scope.sees_component(coordinate)
