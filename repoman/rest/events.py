"""Content events over REST: what was stored and deleted, by whom."""

from enum import StrEnum

from pydantic import Field

from repoman.events.event import ContentEvent
from repoman.events.event_records import FILTERS, MAX_ID
from repoman.rest.endpoints import API_ROOT, Area, Call, Permission
from repoman.rest.resources import Page, PageQuery, Resource, Time, Timestamp
from repoman.rest.wording import wrong_token

PAGE_EVENTS = 100  # Events of a page, unless the request says otherwise.
PAGE_EVENTS_MAX = 1000

events = Area("Events", "Content events: what was stored, replaced and deleted.", root=API_ROOT)


class Order(StrEnum):
    """Which events come first."""

    DESC = "desc"
    ASC = "asc"


class ContentEventQuery(PageQuery):
    """Selects content events."""

    repository: str | None = Field(None, description="Only events in this repository.")
    actor: str | None = Field(None, description="Only events of this user.")
    source: str | None = Field(
        None, description="Only events from this source: request, command, or a part of the server."
    )
    kind: str | None = Field(None, description="Only events of assets of this kind.")
    path: str | None = Field(None, description="Only events of the asset with this stored path.")
    since: Time | None = Field(None, description="Only events at or after this time (ISO 8601).")
    after: int | None = Field(
        None,
        ge=0,
        lt=MAX_ID,
        description="Only events behind the one with this id: with order=asc, the later ones.",
    )
    order: Order = Field(Order.DESC, description="Newest first (desc), or oldest first (asc).")
    limit: int = Field(
        PAGE_EVENTS, ge=1, le=PAGE_EVENTS_MAX, description="Maximum number of events of a page."
    )


class ComponentName(Resource):
    """The component that an asset belongs to."""

    kind: str
    namespace: str
    name: str
    version: str


class ContentEventView(Resource):
    """A change of one asset; the deletion of a repository is one event without a path."""

    id: int = Field(description="Ascends in the order of the changes; some numbers are missing.")
    at: Timestamp
    change: str = Field(description="created, updated or deleted.")
    repository: str = Field(description="Name of the repository at that time.")
    requested: str = Field(description="The repository that the request was sent to.")
    kind: str = Field(description="Kind of the asset, in the words of its format.")
    path: str
    component: ComponentName | None
    old_digest: str | None = Field(description="SHA-256 of the former bytes, in hex.")
    new_digest: str | None = Field(description="SHA-256 of the present bytes, in hex.")
    actor: str
    realm: str
    address: str
    connector: str
    source: str


@events.get("/events", Permission("audit", "read"))
def list_content_events(call: Call, query: ContentEventQuery) -> Page[ContentEventView]:
    """List content events.

    A page may be short even if there are more. To follow the events, ask with `order=asc` and
    `after`, the highest id that you have seen.
    """
    after = _open(call, query.continuation_token) if query.continuation_token else query.after
    filters = {name: value for name in FILTERS if (value := getattr(query, name))}
    found, following = call.repoman.events.search(
        filters,
        since=query.since or 0.0,
        after=after,
        limit=query.limit,
        is_descending=query.order is Order.DESC,
    )
    token = None if following is None else _seal(call, following)
    return Page[ContentEventView](items=[_view(each) for each in found], continuation_token=token)


def _seal(call: Call, position: int) -> str:
    return call.repoman.security.cursors.seal(f"events:{position}")


def _open(call: Call, token: str) -> int:
    """Return the position in a token (Invalid)."""
    kind, _, position = (call.repoman.security.cursors.open(token) or "").partition(":")
    if kind != "events":
        raise wrong_token()
    return int(position)


def _view(event: ContentEvent) -> ContentEventView:
    component = event.component
    return ContentEventView(
        change=event.change,
        component=component
        and ComponentName(
            kind=component.kind,
            namespace=component.namespace,
            name=component.name,
            version=component.version,
        ),
        **{
            name: getattr(event, name)
            for name in ContentEventView.model_fields
            if name not in ("change", "component")
        },
    )
