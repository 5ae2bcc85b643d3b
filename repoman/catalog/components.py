"""Lists of components: which index is read, and what is checked row by row."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from repoman.catalog import records
from repoman.catalog.listing import (
    CANDIDATES_MAX,
    Listing,
    Wildcards,
    Words,
    check_order,
    find_few,
    is_within,
    within,
)
from repoman.catalog.model import ComponentQuery, ComponentView, Order, Scope
from repoman.catalog.records import FIELDS, Row, Scan, bounds_of, list_kinds
from repoman.content_rules import beginning_with, merge_spans
from repoman.events.event import Coordinate
from repoman.search import SearchIndex

_FIELD = FIELDS["component"]
_KIND, _NAMESPACE, _NAME, _VERSION = (
    _FIELD[each] for each in ("kind", "namespace", "name", "version")
)
_INDEX = "component_repository_id_kind"
# The index of each order, and its columns after repository and kind.
_ORDERS: Mapping[Order, tuple[str, tuple[str, ...]]] = {
    Order.ID: (_INDEX, ("id",)),
    Order.NAME: (f"{_INDEX}_name_namespace_version", ("name", "namespace", "version")),
    Order.NAMESPACE: (f"{_INDEX}_namespace_name_version", ("namespace", "name", "version")),
    Order.VERSION: (f"{_INDEX}_version_key", ("version_key", "id")),
    Order.UPDATED: (f"{_INDEX}_updated_at", ("updated_at", "id")),
    Order.DOWNLOADED: (f"{_INDEX}_downloaded_at", ("downloaded_at", "id")),
    Order.SIZE: (f"{_INDEX}_size", ("size", "id")),
    Order.REPOSITORY: (_INDEX, ("id",)),
}
_PART_COST = 5  # How many other rows it takes to find out whether a component has a part.
_OF_PACKAGE = {
    Order.UPDATED: "component_package_id_updated_at",
    Order.VERSION: "component_package_id_version_key",
    Order.SIZE: "component_package_id_size",
}

Among = Callable[[Collection[int]], set[int]]


@dataclass(frozen=True, slots=True)
class _Filter:
    """A condition on other tables: finds what satisfies it, or filters given components.

    ``find`` takes a limit. Its result is complete only if it has fewer items; None: unknown.
    """

    find: Callable[[int], set[int] | None]
    among: Among


class Components:
    """A query for components, within the scopes of a viewer (Invalid: not in this order)."""

    def __init__(self, query: ComponentQuery, scopes: list[Scope], index: SearchIndex) -> None:
        check_order(query.order, _ORDERS)
        self._query = query
        self._scopes = {each.id: each for each in scopes}
        self._index = index
        self._repository_names = {each.id: each.name.lower() for each in scopes}
        self._namespace = Wildcards.parse(query.namespace)
        self._name = Wildcards.parse(query.name)
        self._version = Wildcards.parse(query.version)
        self._words = Words.parse(query.text)
        self._checks = list(self._list_checks())
        self._filters = list(self._list_filters())

    def listing(self) -> Listing:
        """Return the list that answers the query."""
        return Listing(
            question=self._query,
            scans=list(self._scans()),
            judge=self._judge,
            is_descending=self._query.is_descending,
            candidates=self._few(),
            row_cost=self._row_cost(),
        )

    def _row_cost(self) -> int:
        """Return how many plain rows one row takes as much time as."""
        is_limited = any(each.sees is not None for each in self._scopes.values())
        parts = _PART_COST * len(self._query.parts)
        return 1 + is_limited + bool(self._words.pieces) + parts

    # Where rows come from ----------------------------------------------------------------------

    def _few(self) -> set[int] | None:
        """Return the ids of all candidates if a filter leaves few of them, otherwise None."""
        limit = CANDIDATES_MAX + 1
        for each in self._filters:
            found = each.find(limit)
            if found is not None and len(found) < limit:
                return found
        for scans, accepts in self._selective():
            if (few := find_few(scans, accepts)) is not None:
                return few
        return None

    def _list_filters(self) -> Iterator[_Filter]:
        query = self._query
        for part in query.parts:
            yield _Filter(
                partial(records.find_by_part, part), partial(records.among_with_part, digest=part)
            )
        for algorithm, value in query.checksums:
            yield _Filter(
                partial(records.find_by_checksum, algorithm, value),
                partial(records.among_with_checksum, algorithm=algorithm, value=value),
            )
        for name, value in query.labels.items():
            yield _Filter(
                partial(records.find_by_label, name, value),
                partial(records.among_labelled, name=name, value=value),
            )
        if query.uploader:
            yield _Filter(
                partial(records.find_by_uploader, query.uploader, self._scopes),
                partial(records.among_uploaded, uploader=query.uploader),
            )
        if pieces := self._words.pieces:
            yield _Filter(partial(self._index.find, list(self._scopes), pieces), set)

    def _selective(self) -> Iterator[tuple[list[Scan], Callable[[Row], bool]]]:
        """Yield ranges of other indexes that hold every candidate, with a check of their rows."""
        query, kinds = self._query, list(self._kinds())
        if self._name.is_exact and query.order is not Order.NAME:
            yield [self._scan(Order.NAME, *each) for each in kinds], self._accepts
        if self._version.is_exact and query.order is not Order.VERSION:
            keys = {id_: self._version_key(each) for id_, each in self._scopes.items()}
            yield (
                [self._scan(Order.VERSION, id_, kind, (("=", keys[id_]),)) for id_, kind in kinds],
                self._accepts,
            )
        for order, span in (
            (Order.UPDATED, query.updated),
            (Order.DOWNLOADED, query.downloaded),
        ):
            if query.order is not order and span != (None, None):
                yield [self._scan(order, *each) for each in kinds], self._accepts

    def _version_key(self, scope: Scope) -> str:
        version = self._version.text
        return scope.rules.version_key(version) if version else ""

    def _kinds(self) -> Iterator[tuple[int, str]]:
        query = self._query
        for scope in self._scopes.values():
            shown = scope.rules.component_kinds if query.only_shown else ()
            for kind in [query.kind] if query.kind else shown or list_kinds(scope.id):
                yield scope.id, kind

    def _scans(self) -> Iterator[Scan]:
        order = self._query.order
        if self._name.is_exact and order in _OF_PACKAGE and (packages := self._packages()):
            for each in packages:
                columns, bounds = _ORDERS[order][1], self._bounds(order)
                equal = (("package_id", each),)
                yield Scan("component", _OF_PACKAGE[order], equal, columns, bounds)
            return
        for repository, kind in self._kinds():
            scope = self._scopes[repository]
            if order is Order.NAME and scope.prefixes is not None and not self._name.beginning:
                for span in merge_spans(map(scope.rules.names_below, scope.prefixes)):
                    yield self._scan(order, repository, kind, bounds_of(span))
            else:
                yield self._scan(order, repository, kind)

    def _packages(self) -> list[int]:
        namespace = self._namespace.text if self._namespace.is_exact else None
        return [
            package
            for repository in self._scopes
            for package in records.list_package_ids(repository, self._name.text, namespace)
        ]

    def _scan(
        self,
        order: Order,
        repository: int,
        kind: str,
        bounds: tuple[tuple[str, object], ...] | None = None,
    ) -> Scan:
        index, columns = _ORDERS[order]
        equal: list[tuple[str, object]] = [("repository_id", repository), ("kind", kind)]
        if order is Order.NAME and self._name.is_exact:
            equal.append(("name", self._name.text))
        if order is Order.NAMESPACE and self._namespace.is_exact:
            equal.append(("namespace", self._namespace.text))
        if bounds is None:
            bounds = self._bounds(order)
        names = self._repository_names if order is Order.REPOSITORY else {}
        return Scan("component", index, tuple(equal), columns, bounds, names)

    def _bounds(self, order: Order) -> tuple[tuple[str, object], ...]:
        """Return the range of the first column of an order that holds every candidate."""
        query = self._query
        if order is Order.NAME:
            return bounds_of(beginning_with(self._name.beginning))
        if order is Order.NAMESPACE:
            return bounds_of(beginning_with(self._namespace.beginning))
        if order is Order.UPDATED:
            return within(query.updated)
        if order is Order.DOWNLOADED:
            return within(query.downloaded)
        if order is Order.VERSION and query.version_keys is not None:
            return bounds_of(query.version_keys)
        return ()

    # What belongs to the list -------------------------------------------------------------------

    def _judge(self, rows: list[Row]) -> list[Row]:
        good = [row for row in rows if self._accepts(row)]
        for each in self._filters:
            have = each.among([row[0] for row in good])
            good = [row for row in good if row[0] in have]
        return good

    def _accepts(self, row: Row) -> bool:
        scope = self._scopes.get(row[1])
        if scope is None:
            return False
        for column, fits in self._checks:
            if not fits(row[column]):
                return False
        if self._query.only_shown and not is_shown(scope, row[_KIND]):
            return False
        return self._has_words(row) and _is_seen(scope, row)

    def _list_checks(self) -> Iterator[tuple[int, Callable[[Any], bool]]]:
        """Yield columns, and what must be true of their values: thousands of rows are asked."""
        query = self._query
        if query.kind:
            yield _KIND, query.kind.__eq__
        patterns = {"name": self._name, "version": self._version, "namespace": self._namespace}
        patterns_of_columns = [
            *patterns.items(),
            *((column, Wildcards.parse(text)) for column, text in query.also),
        ]
        for column, pattern in patterns_of_columns:
            if not pattern.is_any:
                yield _FIELD[column], pattern.fits
        if query.is_prerelease is not None:
            yield _FIELD["is_prerelease"], bool(query.is_prerelease).__eq__
        if query.version_keys is not None:
            low, high = query.version_keys
            yield _FIELD["version_key"], lambda key: low <= key < high
        for column, span in (("updated_at", query.updated), ("downloaded_at", query.downloaded)):
            if span != (None, None):
                yield _FIELD[column], partial(is_within, span=span)

    def _has_words(self, row: Row) -> bool:
        if not self._words.pieces:
            return True
        columns = (row[_NAMESPACE], row[_NAME], row[_VERSION], row[_FIELD["description"]])
        return self._words.fit(" ".join(columns).lower())


def is_shown(scope: Scope, kind: str) -> bool:
    """Return whether the format shows components of a kind to users."""
    kinds = scope.rules.component_kinds
    return not kinds or kind in kinds


def component_view(row: Row, scopes: Mapping[int, Scope]) -> ComponentView:
    """Return a row as a component."""
    scope = scopes[row[1]]
    own = row[_KIND : _FIELD["version_key"]]
    return ComponentView(row[0], scope.id, scope.name, scope.format, *own)


def is_component_seen(row: Row, scopes: Mapping[int, Scope]) -> bool:
    """Return whether the viewer with these scopes may see a component."""
    scope = scopes.get(row[1])
    return scope is not None and _is_seen(scope, row)


def _is_seen(scope: Scope, row: Row) -> bool:
    coordinate = Coordinate(row[_KIND], row[_NAME], row[_VERSION], row[_NAMESPACE])
    return scope.sees_component(coordinate)
