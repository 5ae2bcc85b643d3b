"""The audit log over REST."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from repoman.errors import Invalid
from repoman.rest.endpoints import API_ROOT, Area, Call, Permission
from repoman.rest.resources import Page, PageQuery, Resource, Time, Timestamp
from repoman.rest.wording import wrong_token
from repoman.security.audit import Audit
from repoman.security.audit_file import render_line

PAGE_EVENTS = 100  # Events of a page, unless the request says otherwise.
PAGE_EVENTS_MAX = 1000
EXPORT_EVENTS_MAX = 10_000  # Events of an exported file.
FILTERS = ("domain", "type", "actor", "address", "repository", "target")
ID_MAX_DIGITS = 18  # Longer numbers are no ids of rows.

audit = Area("Audit", "The audit log: who did what, when, and from where.", root=API_ROOT)


class EventQuery(PageQuery):
    """Selects events."""

    domain: str | None = Field(None, description="Only events of this category, such as login.")
    type: str | None = Field(None, description="Only events of this type, such as failed.")
    actor: str | None = Field(None, description="Only events of this user.")
    address: str | None = Field(None, description="Only events from this address.")
    repository: str | None = Field(None, description="Only events that concern this repository.")
    target: str | None = Field(None, description="Only events with this target.")
    since: Time | None = Field(None, description="Only events at or after this time (ISO 8601).")
    limit: int = Field(PAGE_EVENTS, ge=1, le=PAGE_EVENTS_MAX, description="Events of a page.")

    def filters(self) -> Mapping[str, str]:
        """Return the required values by column."""
        return {name: value for name in FILTERS if (value := getattr(self, name))}


class EventView(Resource):
    """An event of the audit log."""

    id: int
    at: Timestamp
    domain: str
    type: str
    actor: str
    realm: str
    address: str
    connector: str
    repository: str
    target: str
    is_success: bool
    attributes: dict[str, str]


@audit.get("/audit", Permission("audit", "read"))
def list_events(call: Call, query: EventQuery) -> Page[EventView]:
    """List events, the newest first."""
    return find_events(call.repoman.audit, query)


def find_events(log: Audit, query: EventQuery) -> Page[EventView]:
    """Return a page of events, the newest first (Invalid: the token is of no event)."""
    rows = _search(log, query, query.limit + 1, _event_after(query))
    items = [EventView.model_validate(row) for row in rows[: query.limit]]
    has_more = len(rows) > query.limit
    return Page[EventView](items=items, continuation_token=str(items[-1].id) if has_more else None)


def export_events(log: Audit, query: EventQuery) -> Iterator[str]:
    """Return events as lines of JSON, the newest first, whatever the limit of a page.

    They are read page by page.

    Raises:
        Invalid: the token is of no event.
    """
    rows = _search(log, query, PAGE_EVENTS_MAX, _event_after(query))

    def lines() -> Iterator[str]:
        found, count = rows, 0
        while found and count < EXPORT_EVENTS_MAX:
            yield from map(render_line, found)
            count += len(found)
            try:
                found = _search(log, query, PAGE_EVENTS_MAX, found[-1]["id"])
            except Invalid:  # It was too old, and is gone with all that are older.
                return

    return lines()


def _event_after(query: EventQuery) -> int | None:
    """Return the event behind which a page begins (Invalid)."""
    after = query.continuation_token
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) <= ID_MAX_DIGITS):
        raise wrong_token()
    return int(after)


def _search(log: Audit, query: EventQuery, limit: int, after: int | None) -> list[dict[str, Any]]:
    return log.search(query.filters(), since=query.since or 0.0, limit=limit, after=after)
