"""Collection: removes content that nothing can reach any more, while the server runs.

A format says what nothing needs, and why, as a **plan** of small steps (:class:`Collector`). A dry
run shows the plan; a run carries out the same steps, each in one transaction in which the format
looks again. It stops after a while and goes on where it stopped. What a client was promised within
the grace is never removed. See ``docs/adr/0051-collection-is-a-plan-of-steps.md``.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from repoman.collection_records import CollectionState, end_pass, find_state, save_position
from repoman.graph_records import GraphNode
from repoman.printable import pluralize, render_size

PAUSE_S = 0.02  # A pause after each transaction, for others who want to write.
SAVE_INTERVAL_S = 5.0  # A run that finds nothing writes this often how far it has come.


@dataclass(frozen=True, slots=True)
class Unneeded:
    """An asset that goes.

    Attributes:
        kind: what it is, a noun for people.
        title: its name for people.
        reason: why it goes, a sentence.
        size: its bytes.
        freed: those of them that are really freed: no other asset has them.
    """

    path: str
    kind: str
    title: str
    reason: str
    size: int
    freed: int


@dataclass(frozen=True, slots=True)
class CollectionStep:
    """What one transaction removes, perhaps nothing.

    Attributes:
        items: what goes.
        nodes: the same, as it is stored.
        position: where to go on after this step; None: as before, since more belongs to it.
        kept_count: assets among those just examined that stay only for want of a rule.
        kept_size: the bytes that these would free.
    """

    items: tuple[Unneeded, ...] = ()
    nodes: tuple[GraphNode, ...] = ()
    position: str | None = None
    kept_count: int = 0
    kept_size: int = 0


@dataclass(frozen=True, slots=True)
class CollectionOptions:
    """When something may go.

    Attributes:
        now: seconds since the epoch.
        grace_s: seconds for which what was stored or promised to a client stays.
        is_dry: whether the steps are only shown, so that each has to reckon with those before it.
    """

    now: float
    grace_s: float
    is_dry: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """One link of the chain that says why something is kept.

    Attributes:
        title: what it is about.
        reason: why that is kept, a sentence.
        until: when this reason ends, in seconds since the epoch; None: it is not known.
        repository_id: of the repository in which that is.
        path: where that is.
        holder: where that is which holds it, in the same repository; empty: nothing does.
    """

    title: str
    reason: str
    until: float | None = None
    repository_id: int = 0
    path: str = ""
    holder: str = ""


class Collector(Protocol):
    """What a format does for the collection of one repository."""

    @property
    def repository_id(self) -> int:
        """The id of the repository."""

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context that is one transaction on the content of the repository."""

    def steps(self, options: CollectionOptions, after: str = "") -> Iterator[CollectionStep]:
        """Yield the steps of the plan, from a position on."""

    def carry_out(self, step: CollectionStep, options: CollectionOptions) -> tuple[list[str], int]:
        """Remove what still goes of a step, in one transaction.

        Returns the paths that went, and the bytes of which no asset remains.
        """

    def explain(self, name: str, options: CollectionOptions) -> list[Hold]:
        """Return why something is kept, the nearest reason first; it names itself as users do.

        Raises:
            NotFound: it is not there.
        """


class CollectionProgress(Protocol):
    """Who watches a run."""

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Take how many assets went, and from where."""

    def log(self, text: str) -> None:
        """Take a line of the log."""

    def pause(self, seconds: float) -> None:
        """Let others work."""

    def freed(self, size: int) -> None:
        """Take how many bytes nothing needs any more because of it."""

    @property
    def flush_pulls(self) -> Callable[[], object]:
        """What writes down the pulls up to now: each step judges by them (RepomanError)."""


@dataclass(slots=True)
class CollectionResult:
    """What a run removed; sizes in bytes.

    Attributes:
        promised: what the plan said that would be freed.
        freed: what really was.
        is_complete: whether it came to the end of every repository.
    """

    counts: Counter[str] = field(default_factory=Counter)
    promised: int = 0
    freed: int = 0
    is_complete: bool = True

    @property
    def text(self) -> str:
        """What was done, in a sentence; empty: nothing."""
        if not self.counts:
            return ""
        told = [pluralize(count, kind) for kind, count in sorted(self.counts.items())]
        listed = " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
        size = render_size(self.freed)
        if self.freed != self.promised:
            size = f"{size}, not {render_size(self.promised)} as planned"
        rest = "" if self.is_complete else " The next run goes on from here."
        return f"Deleted {listed}; freed {size}.{rest}"


def list_unneeded(collector: Collector, options: CollectionOptions) -> Iterator[Unneeded]:
    """Yield what a run would remove now; nothing is changed."""
    return chain.from_iterable(each.items for each in collector.steps(options))


def collect(
    collectors: Iterable[tuple[str, Collector]],
    options: CollectionOptions,
    watcher: CollectionProgress,
    timeout_s: float,
    ticks: Callable[[], float] = time.monotonic,
) -> CollectionResult:
    """Remove what nothing needs from repositories, named for the log; go on where one stopped.

    All get an equal share of the time, so that a large one does not keep small ones waiting; those
    that have not come to their end share again what the others leave.

    Raises:
        TaskStopped: the watcher wants it.
        RepomanError: the database cannot be used; the next run goes on.
    """
    result, deadline = CollectionResult(), ticks() + timeout_s
    runs = [_Run(*each, options, watcher, result, ticks) for each in collectors]
    is_over = False
    while runs and not is_over:
        unfinished = []
        for number, run in enumerate(runs):
            now = ticks()
            if not run.run(now + (deadline - now) / (len(runs) - number)):
                unfinished.append(run)
        runs, is_over = unfinished, ticks() >= deadline
    result.is_complete = not runs
    return result


class _Run:
    """A run in one repository."""

    def __init__(
        self,
        name: str,
        collector: Collector,
        options: CollectionOptions,
        watcher: CollectionProgress,
        result: CollectionResult,
        ticks: Callable[[], float],
    ) -> None:
        self._name = name
        self._collector = collector
        self._options = options
        self._watcher = watcher
        self._result = result
        self._ticks = ticks
        self._saved_at = ticks()

    def run(self, deadline: float) -> bool:
        """Carry out steps until nothing is left or the time is over; return whether all is done."""
        state = find_state(self._collector.repository_id)
        position, count, size = state.position, state.count, state.size
        if not position:
            count = size = 0
        for step in self._collector.steps(self._options, position):
            if step.items:
                self._carry_out(step)
            count, size = count + step.kept_count, size + step.kept_size
            self._watcher.progress(self._result.counts.total(), message=self._name)
            if step.position is None:
                continue
            is_over = self._ticks() >= deadline
            if is_over or step.items or self._ticks() - self._saved_at >= SAVE_INTERVAL_S:
                self._save(step.position, count, size)
            if is_over:
                return False
        self._save("", count, size, is_end=True)
        return True

    def _carry_out(self, step: CollectionStep) -> None:
        self._watcher.flush_pulls()
        gone, freed = self._collector.carry_out(step, self._options)
        items = {each.path: each for each in step.items}
        removed = [items[path] for path in gone]
        promised = sum(each.freed for each in removed)
        self._result.counts.update(each.kind for each in removed)
        self._result.promised += promised
        self._result.freed += freed
        self._watcher.freed(freed)
        if removed:
            counts = Counter(each.kind for each in removed)
            told = ", ".join(pluralize(n, kind) for kind, n in sorted(counts.items()))
            self._watcher.log(
                f"{self._name}: deleted {told}; promised {promised} bytes, freed {freed}."
            )
        self._watcher.pause(PAUSE_S)

    def _save(self, position: str, count: int, size: int, *, is_end: bool = False) -> None:
        self._saved_at = self._ticks()
        with self._collector.transaction():
            save_position(self._collector.repository_id, position, count, size)
            if is_end:
                end_pass(self._collector.repository_id, self._options.now)


__all__ = [
    "CollectionOptions",
    "CollectionProgress",
    "CollectionResult",
    "CollectionState",
    "CollectionStep",
    "Collector",
    "Hold",
    "Unneeded",
    "collect",
    "list_unneeded",
]
