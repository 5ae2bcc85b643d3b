"""Work on blob stores over REST: their state, what is damaged, and tasks on one of them."""

from http import HTTPStatus

from pydantic import Field

from repoman.rest.endpoints import API_ROOT, Area, Call, Permission
from repoman.rest.resources import Page, PageQuery, Query, Resource, Timestamp
from repoman.rest.wording import wrong_token
from repoman.tasks.store_tasks import COMPACT, ORPHANS, VERIFY, OrphanAction
from repoman.verification import DamagedBlob

PAGE_BLOBS = 100  # Damaged blobs of a page, unless the request says otherwise.
PAGE_BLOBS_MAX = 1000

READ = Permission("blobstores", "read")
UPDATE = Permission("blobstores", "update")

store_maintenance = Area(
    "Blob store maintenance",
    "What is in a blob store and how it is, and work on it.",
    root=API_ROOT,
    example="/blobstores/default",
)


class VerificationView(Resource):
    """The last verification of a blob store."""

    began_at: Timestamp
    ended_at: Timestamp | None = Field(description="null: it has not read all blobs yet.")
    blobs: int = Field(description="Number of blobs that were read.")
    size: int = Field(description="Their bytes.")


class StoreStateView(Resource):
    """A blob store; sizes in bytes."""

    name: str
    type: str
    path: str = Field(description="Its directory; empty: it is of another type.")
    problem: str = Field(description="Why it cannot be used; empty: it can.")
    blobs: int
    size: int
    reclaimable: int = Field(description="Bytes that compaction will free: nothing uses them.")
    free: int | None = Field(description="Bytes that still fit; null: it knows no limit.")
    temporary: int | None = Field(
        description="Bytes of unfinished uploads, and of damaged files that were put aside; null: "
        "it cannot be used."
    )
    damaged: int = Field(description="Number of blobs that are damaged or missing.")
    verification: VerificationView | None = Field(description="null: there was none.")


class DamagedBlobsQuery(PageQuery):
    """Selects damaged blobs."""

    limit: int = Field(
        PAGE_BLOBS, ge=1, le=PAGE_BLOBS_MAX, description="Maximum number of blobs of a page."
    )


class PlaceView(Resource):
    """Where a blob is needed."""

    repository: str
    path: str


class DamagedBlobView(Resource):
    """A blob whose bytes are damaged or missing."""

    digest: str
    size: int
    problem: str
    found_at: Timestamp
    places: list[PlaceView] = Field(
        description="Some of the assets that need it, in repositories that you may browse."
    )


class OrphansQuery(Query):
    """What to do with files that the database does not know."""

    action: OrphanAction = Field(
        OrphanAction.LIST,
        description="list: in the log of the task; adopt: count them as reclaimable; remove.",
    )


class StartedTask(Resource):
    """A task that was started."""

    id: str = Field(description="The id of the task for `/service/rest/v1/tasks/{id}`.")
    name: str


@store_maintenance.get("/blobstores/{name}", READ)
def show_store(call: Call, name: str) -> StoreStateView:
    """Show how a blob store is: its sums, damaged blobs, and the last verification."""
    stores, verifier = call.repoman.stores, call.repoman.verifier
    state, last = stores.state(name), verifier.last(name)
    return StoreStateView(
        name=state.info.name,
        type=state.info.type,
        path=state.info.path,
        problem=state.problem,
        blobs=state.usage.blobs,
        size=state.usage.size,
        reclaimable=state.usage.reclaimable,
        free=state.free,
        temporary=stores.temporary_bytes(name),
        damaged=verifier.count_damages().get(name, 0),
        verification=None
        if last is None
        else VerificationView(
            began_at=last.began_at, ended_at=last.ended_at, blobs=last.blobs, size=last.size
        ),
    )


@store_maintenance.get("/blobstores/{name}/damaged-blobs", READ)
def list_damaged_blobs(call: Call, name: str, query: DamagedBlobsQuery) -> Page[DamagedBlobView]:
    """List the damaged and missing blobs that the verification has found, by digest.

    A blob leaves the list when its bytes are stored again, by a push or from the upstream of a
    proxy, or when a verification finds it whole.
    """
    call.repoman.stores.get(name)
    cursors, after = call.repoman.security.cursors, ""
    if query.continuation_token:
        kind, _, after = (cursors.open(query.continuation_token) or "").partition(":")
        if kind != "damaged":
            raise wrong_token()
    found = call.repoman.verifier.damages(name, after, query.limit)
    token = None
    if len(found) == query.limit:
        token = cursors.seal(f"damaged:{found[-1].damage.digest}")
    seen = set(call.repoman.views.summaries(call.actor))
    items = [_view(each, seen) for each in found]
    return Page[DamagedBlobView](items=items, continuation_token=token)


@store_maintenance.post("/blobstores/{name}/verify", UPDATE, status=HTTPStatus.ACCEPTED)
def verify_store(call: Call, name: str) -> StartedTask:
    """Start a task that reads every blob of a blob store and puts damaged ones aside."""
    return _start(call, VERIFY, f"Verify {name}", name)


@store_maintenance.post("/blobstores/{name}/compact", UPDATE, status=HTTPStatus.ACCEPTED)
def compact_store(call: Call, name: str) -> StartedTask:
    """Start a task that frees what nothing in a blob store uses any more."""
    return _start(call, COMPACT, f"Compact {name}", name)


@store_maintenance.post("/blobstores/{name}/orphans", UPDATE, status=HTTPStatus.ACCEPTED)
def handle_orphans(call: Call, name: str, query: OrphansQuery) -> StartedTask:
    """Start a task that lists, adopts or removes files that the database does not know."""
    title = f"Unknown files of {name} ({query.action})"
    return _start(call, ORPHANS, title, name, action=query.action.value)


def _start(call: Call, type_id: str, title: str, store: str, **settings: str) -> StartedTask:
    call.repoman.stores.get(store)
    task = call.repoman.tasks.start(type_id, title, {"store": store, **settings})
    return StartedTask(id=task.uid, name=task.name)


def _view(blob: DamagedBlob, seen: set[str]) -> DamagedBlobView:
    damage = blob.damage
    return DamagedBlobView(
        digest=f"sha256:{damage.digest}",
        size=damage.size,
        problem=damage.problem,
        found_at=damage.found_at,
        places=[
            PlaceView(repository=each.repository, path=each.path)
            for each in blob.places
            if each.repository in seen
        ],
    )
