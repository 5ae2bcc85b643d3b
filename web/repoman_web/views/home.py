"""The home page: is anything wrong, is there room, what happens; as far as the visitor may know."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from flask import render_template

from repoman.plugin import (
    Action,
    FreedByTask,
    HomeCard,
    RecentEvent,
    RemoteState,
    RepositoryAddress,
    RepositoryOverview,
    UseRequest,
    current_actor,
    current_repoman,
    list_addresses,
    list_problems,
    may_administer,
)
from repoman_web.views.charts import growth_chart
from repoman_web.views.rendering import short_digests
from repoman_web.views.repositories import may_create
from repoman_web.views.repository_frame import State, state_of
from repoman_web.views.use import use_request

SHOWN_MAX = 10  # Repositories, and upstreams, on the page; "All" leads to the others.
TRIED_MAX = 50  # Repositories that formats are asked about on a new server.
WELL = ("good", "plain")  # The tones of upstreams that did not fail.
STORED = ("stored", "reclaimable")  # What the two lines of the chart are.


@dataclass(frozen=True, slots=True)
class Row:
    """A repository on the page."""

    found: RepositoryOverview
    address: RepositoryAddress
    state: State

    @property
    def remote(self) -> RemoteState | None:
        """How the remote of a proxy is."""
        remote = self.found.repository.capabilities.remote
        return None if remote is None else remote.state


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """Something that happened, in words."""

    text: str
    soft: str
    glyph: str
    tone: str
    at: float


def home() -> str:
    """Return the home page for the visitor."""
    actor = current_actor()
    rows = _rows()
    is_new = all(map(_is_empty, rows))
    page = "repoman/welcome.html" if actor.is_anonymous else "repoman/home.html"
    return render_template(
        page,
        rows=sorted(rows, key=_importance)[:SHOWN_MAX],
        total=len(rows),
        is_new=is_new,
        sees_all=len(rows) == len(current_repoman().repositories.all()),
        may_create=may_create(),
        cards=_cards(rows) if is_new and not actor.is_anonymous else [],
        problems=list_problems(),
        **_of_administrators(rows),
    )


def _of_administrators(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the parts of the page that need a permission on the server, if the visitor has it."""
    repoman, shown = current_repoman(), {}
    if may_administer("metrics", "read"):
        shown = {"findings": repoman.doctor.problems(), "activity": repoman.overview.activity()}
    if may_administer("blobstores", "read"):
        storage = repoman.overview.storage()
        shown |= {"storage": storage, "chart": growth_chart(storage.days, STORED)}
    if may_administer("audit", "read"):
        shown["events"] = [_event(each) for each in repoman.overview.recent()]
    if may_administer("tasks", "read"):
        shown["running"] = repoman.overview.running()
        shown["freed"] = freed_tasks(repoman.space.freed())
    return {**shown, "upstreams": _upstreams(rows)}


# Repositories -------------------------------------------------------------------------------------


def _rows() -> list[Row]:
    addresses = {each.name: each for each in list_addresses()}
    return [
        Row(each, addresses[each.repository.name], _state(each))
        for each in current_repoman().overview.repositories(current_actor())
        if each.repository.name in addresses
    ]


def _is_empty(row: Row) -> bool:
    summary = row.found.summary
    return summary is not None and not summary.usage.assets


def _importance(row: Row) -> tuple[bool, float]:
    """What does not work comes first, then what changed last."""
    works = not row.found.problem and row.state.tone not in ("bad", "warn")
    return works, -row.found.stored_at


def _state(found: RepositoryOverview) -> State:
    state = state_of(found.repository)
    return State("a port is closed", "bad") if found.problem and state.tone != "bad" else state


def _upstreams(rows: Sequence[Row]) -> list[Row]:
    """Return the proxies whose settings the visitor may read; those that fail first."""
    authorizer, actor = current_repoman().security.authorizer, current_actor()
    found = [
        each
        for each in rows
        if each.remote is not None
        and authorizer.may_configure(actor, each.found.repository.ref, Action.READ)
    ]
    return sorted(found, key=lambda each: each.state.tone in WELL)[:SHOWN_MAX]


def _cards(rows: Sequence[Row]) -> list[HomeCard]:
    """Return what the formats have to try on a new server."""
    requests: list[UseRequest] = []
    for each in rows[:TRIED_MAX]:
        repository, urls = each.found.repository, each.address.urls
        if urls:
            requests.append(use_request(repository, repository, urls[0]))
    hook = current_repoman().plugins.hook.repoman_web_home
    return list(chain(*hook(requests=requests)))


# What happened ------------------------------------------------------------------------------------


def _event(recent: RecentEvent) -> ShownEvent:
    event = recent.event
    if event["domain"] == "content":
        is_gone = event["type"].startswith("delete")
        text, glyph = short_digests(event["target"]), "trash" if is_gone else "upload"
    elif event["domain"] == "repository":
        text, glyph = f"the repository {event['target']}", "trash"
    elif event["domain"] == "access":
        method = event["attributes"].get("method", "")
        text, glyph = f"not allowed: {method} {event['target']}", "bad"
    else:
        text, glyph = f"wrong password for {event['actor'] or 'nobody'}", "bad"
    if recent.count > 1:
        text = f"{text}, {recent.count} times"
    who = event["address"] if event["domain"] == "login" else event["actor"]
    return ShownEvent(
        text,
        " · ".join(filter(None, [who or "nobody", event["repository"]])),
        glyph,
        "is-bad-text" if glyph == "bad" else "",
        event["at"],
    )


# Space --------------------------------------------------------------------------------------------


def freed_tasks(found: Sequence[FreedByTask], limit: int = SHOWN_MAX) -> dict[str, Any]:
    """Return what tasks freed of late, and when the next of them runs, for the macro of it."""
    enabled = [each for each in found if any(task.is_enabled for task in each.tasks)]
    back = [each for each in found if each.gives_back]
    return {
        "tasks": enabled[:limit],
        "day": sum(each.day for each in back),
        "week": sum(each.week for each in back),
        "next_at": min((each.next_at for each in enabled if each.next_at), default=None),
    }
