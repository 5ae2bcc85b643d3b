"""What happened to the assets of some repositories, newest first, as far as somebody may see it."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from repoman.catalog.model import Page, PageRequest, Scope
from repoman.errors import PageKeyInvalid
from repoman.events.event import ContentEvent
from repoman.events.event_records import MAX_ID
from repoman.events.history_records import list_departures, list_history

READ_EVENTS = 500  # Events that are read at once.
EXAMINED_EVENTS = 10_000  # Events that are read for one page.

Read = Callable[[int, int], list[ContentEvent]]  # takes an id, and how many events before it
Fits = Callable[[ContentEvent], bool]


def page_history(
    scopes: Iterable[Scope], kind: str, path: str, page: PageRequest
) -> Page[ContentEvent]:
    """Return what happened to the asset at a path (PageKeyInvalid)."""
    reads = [(each, partial(list_history, each.id, kind, path)) for each in _unique(scopes)]
    return _page(reads, page, lambda _: True)


def page_departures(
    scopes: Iterable[Scope], kind: str, page: PageRequest, name: str | None = None
) -> Page[ContentEvent]:
    """Return when assets of a kind were deleted, or got other bytes (PageKeyInvalid).

    Only those of components with this name, unless it is None. A page examines a limited number of
    events, so it may be short.
    """
    reads = [(each, partial(list_departures, each.id, kind)) for each in _unique(scopes)]

    def fits(event: ContentEvent) -> bool:
        return event.component is not None and name in (None, event.component.name)

    return _page(reads, page, fits)


def _unique(scopes: Iterable[Scope]) -> list[Scope]:
    return list({each.id: each for each in scopes}.values())


def _page(reads: Sequence[tuple[Scope, Read]], page: PageRequest, fits: Fits) -> Page[ContentEvent]:
    before = _position(page.after)
    streams = [_seen(scope, read, before) for scope, read in reads]
    merged = heapq.merge(*streams, key=lambda found: -found[0].id)
    items: list[ContentEvent] = []
    for number, (event, is_seen) in enumerate(merged, 1):
        if is_seen and fits(event):
            if len(items) == page.size:
                return Page(items, str(items[-1].id))
            items.append(event)
        if number == EXAMINED_EVENTS:
            return Page(items, str(event.id))
    return Page(items)


def _position(after: str) -> int:
    if not after:
        return MAX_ID
    if not (after.isascii() and after.isdecimal() and len(after) < len(str(MAX_ID))):
        raise PageKeyInvalid("This is not a page of this list. Begin at its start.")
    return int(after)


def _seen(scope: Scope, read: Read, before: int) -> Iterator[tuple[ContentEvent, bool]]:
    """Yield all events of a repository, each with whether it may be seen."""
    while events := read(before, READ_EVENTS):
        for each in events:
            path = scope.rules.asset_path(each.kind, each.path)
            yield replace(each, repository=scope.name), scope.sees_path(path)
        before = events[-1].id
