"""The audit log over REST."""

from collections.abc import Mapping

from pydantic import Field

from repoman.rest.endpoints import API_ROOT, Area, Call, Permission
from repoman.rest.resources import Page, PageQuery, Resource, Time, Timestamp
from repoman.rest.wording import wrong_token
from repoman.security.audit import Audit

PAGE_EVENTS = 100  # Events of a page, unless the request says otherwise.
PAGE_EVENTS_MAX = 1000
FILTERS = ("domain", "type", "actor", "address", "repository", "target")
ID_MAX = 10**18  # Larger numbers are no ids of rows.

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
    after = query.continuation_token
    if after is not None and not (after.isascii() and after.isdigit() and int(after) < ID_MAX):
        raise wrong_token()
    rows = log.search(
        query.filters(),
        since=query.since or 0.0,
        limit=query.limit + 1,
        after=None if after is None else int(after),
    )
    items = [EventView.model_validate(row) for row in rows[: query.limit]]
    has_more = len(rows) > query.limit
    return Page[EventView](items=items, continuation_token=str(items[-1].id) if has_more else None)
