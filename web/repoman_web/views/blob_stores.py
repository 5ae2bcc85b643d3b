"""Blob stores: what is in them and how much more fits, created, changed and deleted."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask import Blueprint, render_template, request, url_for
from pydantic import Field
from werkzeug.wrappers import Response

from repoman.plugin import (
    Conflict,
    Invalid,
    ListQuery,
    Quota,
    QuotaKind,
    RepositorySummary,
    Section,
    SectionForm,
    StorageSummary,
    StoreInfo,
    StoreState,
    TaskState,
    Unsupported,
    current_actor,
    current_repoman,
    done,
    may_administer,
    permission_needed,
    read_list,
    row_key,
)
from repoman_web.views.charts import growth_chart
from repoman_web.views.home import STORED
from repoman_web.views.rendering import size, span
from repoman_web.views.tasks import tell_progress

FULL_PERCENT = 90.0  # From here on a store is called almost full.
RATE_DAYS = 30  # Over so many days it is seen how fast the stores fill.
DAY_S = 86_400.0
USERS_SHOWN = 10  # Repositories that are listed with what they take.
# What can be done with the blobs of all stores, by the type of the task that does it.
WORK = {"verify": "blobstore.verify", "compact": "blobstore.compact"}

blob_stores = Blueprint("blob_stores", "repoman_web", url_prefix="/admin/blobstores")


class QuotaChoice(StrEnum):
    """What a soft quota limits, or that there is none."""

    NONE = "none"
    USED = "used"
    REMAINING = "remaining"


class StoreFields(Section):
    """A directory, in which repositories keep their bytes."""

    name: str = Field(max_length=200, description="It cannot be changed later.")
    path: str = Field(
        "",
        max_length=1000,
        title="Directory",
        description="A relative path is below blobs in the data directory. Without one it is the "
        "name.",
    )


class QuotaFields(Section):
    """Beyond it there are warnings here, in the log and in the doctor; nothing is refused."""

    kind: QuotaChoice = Field(
        QuotaChoice.NONE,
        title="Warn",
        json_schema_extra={
            "labels": {
                "none": "Never",
                "used": "If more is used than",
                "remaining": "If less is free than",
            }
        },
    )
    limit: int | None = Field(None, ge=0, lt=2**63, json_schema_extra={"unit": "GiB"})


class HardQuotaFields(Section):
    """Beyond it nothing more is stored; reading and deleting go on."""

    limit: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        title="Refuse beyond",
        description="Of used space. Empty: no limit.",
        json_schema_extra={"unit": "GiB"},
    )


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A blob store as the list shows it.

    Attributes:
        share: how full it is, in percent of its quota or its disk; None: it knows no limit.
        told: what of how much is used.
        users: how many repositories use it.
    """

    store: StoreState
    share: float | None
    told: str
    state: str
    tone: str
    users: int


@blob_stores.get("")
@permission_needed("blobstores", "read")
def show() -> str:
    """Return the list of blob stores by name."""
    repoman, query = current_repoman(), read_list()
    users, states = repoman.stores.users(), repoman.stores.states()
    every = [_row(each, len(users.get(each.info.name, ()))) for each in states]
    found = [each for each in every if query.filter.lower() in each.store.info.name.lower()]
    rows, older = _page(found, query)
    summaries = repoman.views.summaries(current_actor())
    storage = repoman.overview.storage()
    return render_template(
        "repoman/blob_stores.html",
        chart=growth_chart(storage.days, STORED),
        growth=_growth(storage),
        rows=rows,
        query=query,
        older=older,
        total=len(every),
        found=len(found),
        tiles=_tiles(states, summaries),
        users=_largest(summaries),
        work={name: _last_work(type_) for name, type_ in WORK.items()},
    )


def _page(rows: list[StoreRow], query: ListQuery) -> tuple[list[StoreRow], str]:
    """Return the rows of a page, and the address of the next one."""
    after = query.key(str)
    left = [each for each in rows if after is None or _place(each) > after[0]]
    shown = left[: query.rows]
    return shown, query.older(row_key(_place(shown[-1]))) if len(left) > query.rows else ""


def _place(row: StoreRow) -> str:
    return row.store.info.name.lower()


def _row(store: StoreState, users: int) -> StoreRow:
    used, quota, hard = store.usage.size, store.info.quota, store.info.hard_quota
    whole = None if store.free is None else used + store.free
    free = "" if store.free is None else f"{size(store.free)} free"
    told = free
    if hard is not None:
        whole = hard
        told = ", ".join(filter(None, [f"of {size(hard)}", free]))
    elif quota is not None and quota.kind is QuotaKind.USED:
        whole = quota.limit
        told = ", ".join(filter(None, [f"of {size(quota.limit)}", free]))
    elif quota is not None:
        told = f"{free or 'free space unknown'}, warns below {size(quota.limit)}"
    share = None if not whole else min(100.0, round(100 * used / whole, 1))
    word, tone = _state(store, share)
    return StoreRow(store, share, told, word, tone, users)


def _state(store: StoreState, share: float | None) -> tuple[str, str]:
    if store.problem:
        return "cannot be used", "bad"
    if store.refusal:
        return "takes nothing more", "bad"
    if store.violation:
        return "beyond its quota", "warn"
    if share is not None and share >= FULL_PERCENT:
        return f"{share:.0f} % full", "warn"
    return "fine", "good"


def _tiles(
    states: list[StoreState], summaries: dict[str, RepositorySummary]
) -> dict[str, int | float | None]:
    """Return the sums of all stores; what the visitor sees only a part of is None."""
    stored = sum(each.usage.size for each in states)
    waiting = sum(each.usage.reclaimable for each in states)
    unshared = sum(each.usage.size for each in summaries.values()) + waiting
    is_whole = len(summaries) == len(current_repoman().repositories.all())
    return {
        "size": stored,
        "blobs": sum(each.usage.blobs for each in states),
        "reclaimable": waiting,
        "unshared": unshared if is_whole and unshared else None,
        "times": unshared / stored if is_whole and stored else None,
    }


def _growth(storage: StorageSummary) -> tuple[float, str] | None:
    """Return how many bytes come each day, and when they fill the disk; None: they do not."""
    since = storage.days[-1][0] - RATE_DAYS * DAY_S if storage.days else 0.0
    days = [each for each in storage.days if each[0] >= since]
    if len(days) < 2 or storage.free is None:
        return None
    rate = (days[-1][1] - days[0][1]) / (days[-1][0] - days[0][0])
    return None if rate <= 0 else (rate * DAY_S, span(storage.free / rate))


def _largest(summaries: dict[str, RepositorySummary]) -> list[tuple[str, int, int, float, float]]:
    """Return the repositories that take most: name, own and shared bytes, both in percent."""
    usages = {name: each.usage for name, each in summaries.items() if each.usage.size}
    names = sorted(usages, key=lambda name: (-usages[name].size, name.lower()))[:USERS_SHOWN]
    whole = max((usages[name].size for name in names), default=0) or 1
    found = []
    for name in names:
        own, shared = usages[name].own_size, usages[name].size - usages[name].own_size
        found.append((name, own, shared, 100 * own / whole, 100 * shared / whole))
    return found


def _last_work(type_id: str) -> dict[str, Any]:
    """Return when something was done last with the blobs of all stores, and whether it is now."""
    found = _tasks_of(type_id)
    current = next((each for each in found if each.current is not None), None)
    ended = [each.last.ended_at for each in found if each.last is not None and each.last.ended_at]
    return {
        "uid": current.task.uid if current else "",
        "progress": tell_progress(current.current) if current and current.current else "",
        "at": max(ended, default=None),
    }


def _tasks_of(type_id: str) -> list[TaskState]:
    return [each for each in current_repoman().tasks.states() if each.task.type == type_id]


@blob_stores.post("/<any(verify, compact):work>")
@permission_needed("tasks", "start")
def start(work: str) -> Response:
    """Run the task that does something with the blobs of all stores; create it if need be."""
    service, found = current_repoman().tasks, _tasks_of(WORK[work])
    back = url_for("blob_stores.show")
    usable = sorted(
        (each for each in found if each.task.is_enabled), key=lambda each: each.current is None
    )
    if usable:
        task = usable[0].task
    elif may_administer("tasks", "create"):
        task = service.create(WORK[work])
    else:
        return done("Each task for that is disabled.", back, tone="warn")
    to = url_for("tasks.show_one", uid=task.uid) if may_administer("tasks", "read") else back
    try:
        service.run(task)
    except (Conflict, Unsupported) as error:
        return done(str(error), to, tone="warn")
    return done(f"{task.name} was started.", to)


@blob_stores.route("/-/new", methods=["GET", "POST"])
@permission_needed("blobstores", "create")
def create() -> Response | tuple[str, int]:
    """Return the form of a new blob store, or create it."""
    form = _form()
    if request.method == "POST":
        with form.read(request.form).saving():
            values = form.values()
            name, path = values[""]["name"], values[""]["path"]
            current_repoman().stores.create(
                name,
                path or name,
                _quota(values["quota"]),
                hard_quota=values["hard_quota"].get("limit"),
                is_anywhere=may_administer("*", "*"),
            )
            return done(
                f"{name} was created. Choose it in the settings of a repository.",
                url_for("blob_stores.show"),
            )
    return form.render("repoman/blob_store_form.html", store=None)


@blob_stores.route("/<name>/edit", methods=["GET", "POST"])
@permission_needed("blobstores", "update")
def edit(name: str) -> Response | tuple[str, int]:
    """Return the form of a blob store, or change its quotas."""
    info = current_repoman().stores.get(name)
    form = _form(info)
    if request.method == "POST":
        with form.read(request.form).saving():
            values, stores = form.values(), current_repoman().stores
            if (quota := _quota(values["quota"])) != info.quota:
                stores.change(name, None, quota)
            if (hard_quota := values["hard_quota"].get("limit")) != info.hard_quota:
                stores.limit(name, hard_quota)
            return done(f"{name} was changed.", url_for("blob_stores.show"))
    return form.render("repoman/blob_store_form.html", store=info)


def _form(info: StoreInfo | None = None) -> SectionForm:
    sections: dict[str, type[Section]] = {
        "": StoreFields,
        "quota": QuotaFields,
        "hard_quota": HardQuotaFields,
    }
    titles = {"": "Blob store", "quota": "Soft quota", "hard_quota": "Hard quota"}
    if info is None:
        return SectionForm(sections, titles=titles)
    quota = {"kind": info.quota.kind.value, "limit": info.quota.limit} if info.quota else {}
    stored: dict[str, dict[str, Any]] = {
        "": {"name": info.name, "path": info.path},
        "quota": {"kind": "none", "limit": None, **quota},
        "hard_quota": {"limit": info.hard_quota},
    }
    return SectionForm(sections, stored, fixed=("name", "path"), titles=titles)


def _quota(values: dict[str, Any]) -> Quota | None:
    """Return the soft quota of a form (Invalid)."""
    kind, limit = values.get("kind", QuotaChoice.NONE), values.get("limit")
    if kind == QuotaChoice.NONE:
        return None
    if limit is None:
        raise Invalid("quota.limit: write how many GiB, or choose Never.", field="quota.limit")
    return Quota(QuotaKind(kind), limit)


@blob_stores.route("/<name>/delete", methods=["GET", "POST"])
@permission_needed("blobstores", "delete")
def delete(name: str) -> Response | tuple[str, int]:
    """Return the page that says what goes with a blob store, or delete it."""
    stores, error = current_repoman().stores, ""
    state, users = stores.state(name), stores.users().get(name, [])
    if request.method == "POST":
        if request.form.get("typed") == name:
            stores.delete(name)
            return done(f"{name} was deleted.", url_for("blob_stores.show"))
        error = f"Type the name of the blob store: {name}."
    seen = current_repoman().views.summaries(current_actor())
    page = render_template(
        "repoman/blob_store_delete.html",
        store=state,
        users=[each for each in users if each in seen],
        others=sum(each not in seen for each in users),
        error=error,
    )
    return page, 400 if error else 200
