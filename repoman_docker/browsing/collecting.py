"""What a collection would remove, and why something is kept, for those who may know."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from repoman.plugin import (
    Action,
    CollectionOptions,
    CollectionState,
    Collector,
    Denied,
    Hold,
    NotFound,
    RepositoryView,
    Unneeded,
    Unsupported,
    find_state,
)
from repoman_docker.layout import name_in, reference_in, tagged
from repoman_docker.protocol.reference import Tag

HOUR_S = 3600.0
GRACE_HOURS = 24  # As the task has it from the beginning.
LINES_MAX = 500  # The lines of a plan that are shown.
PLAN_MAX_S = 2.0  # A plan is worked out for at most so long while somebody waits.


@dataclass(frozen=True, slots=True)
class PlannedCollection:
    """What a collection would remove now; sizes are in bytes.

    Attributes:
        items: what goes, or the first of that.
        freed_size: the bytes that this frees.
        is_cut: whether more may go.
        state: what the last collections found.
    """

    items: tuple[Unneeded, ...]
    freed_size: int
    is_cut: bool
    state: CollectionState


def collector_of(view: RepositoryView) -> Collector:
    """Return what collects in a repository (Unsupported: nothing does)."""
    collector = view.repository.capabilities.collector
    if collector is None:
        raise Unsupported(
            f"Only hosted repositories collect what is unused; {view.repository.name} is none."
        )
    return collector


def options_now(hours: float = GRACE_HOURS, *, is_dry: bool = False) -> CollectionOptions:
    """Return the options of a collection that begins now, with a grace in hours."""
    return CollectionOptions(time.time(), hours * HOUR_S, is_dry=is_dry)


def plan_collection(
    view: RepositoryView, *, limit: int = LINES_MAX, timeout_s: float = PLAN_MAX_S
) -> PlannedCollection:
    """Return what a collection would remove now, as far as it is found soon; changes nothing.

    Raises:
        Unsupported: the repository is not a hosted one.
        Denied: the viewer may not delete everything in it.
    """
    collector = collector_of(view)
    if not view.may_everywhere(Action.DELETE):
        raise Denied(f"This needs the right to delete everything in {view.repository.name}.")
    items: list[Unneeded] = []
    deadline, is_cut = time.monotonic() + timeout_s, False
    for step in collector.steps(options_now(is_dry=True)):
        items += step.items
        if len(items) > limit or time.monotonic() > deadline:
            is_cut = True
            break
    shown = tuple(items[:limit])
    freed = sum(each.freed for each in shown)
    return PlannedCollection(shown, freed, is_cut, find_state(collector.repository_id))


def explain_keeping(view: RepositoryView, image: str, digest: str) -> list[Hold]:
    """Return why a manifest or a blob is kept, as far as the viewer may know.

    Without an image it is looked for in all of the repository.

    Raises:
        NotFound: it is not there, or the viewer may not see it.
        Unsupported: the repository is not a hosted one.
        Invalid: it is no digest.
    """
    name = f"{image}@{digest}" if image else digest
    holds = collector_of(view).explain(name, options_now())
    found = list(_visible(view, holds))
    if not found:
        raise NotFound(f"There is no {name} in {view.repository.name}.")
    return found


def _visible(view: RepositoryView, holds: list[Hold]) -> Iterator[Hold]:
    for each in holds:
        if not _sees(view, each.repository_id, each.path):
            continue
        if each.holder and not _sees(view, each.repository_id, each.holder):
            yield replace(each, reason="Something that you may not see needs it.", holder="")
        else:
            yield each


def _sees(view: RepositoryView, repository_id: int, path: str) -> bool:
    coordinate = tagged(name_in(path), Tag(reference_in(path)))
    if repository_id in view.scopes:
        return view.sees(repository_id, coordinate)
    return view.sees_anywhere(repository_id, coordinate)
