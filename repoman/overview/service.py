"""What the home page of a server shows, in a few statements, whatever is stored."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from repoman.catalog.catalog import Catalog
from repoman.catalog.model import RepositorySummary
from repoman.catalog.sample_records import DAY_S
from repoman.catalog.visibility import ActorViewer
from repoman.overview import overview_records as records
from repoman.overview.activity import Activity, read_activity
from repoman.repositories.connectors import ConnectorReport, ConnectorStatus, report_connectors
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository
from repoman.repositories.sections import GroupSection
from repoman.security.actors import READING, Actor
from repoman.security.authorization import Authorizer
from repoman.stores.service import BlobStores

DAYS_SHOWN = 91  # Days of the chart of what is stored.
EVENTS_SHOWN = 6
EVENTS_READ = 60  # Events that are read for these: the same one again counts as one.
RUNS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RepositoryOverview:
    """A repository at a glance.

    Attributes:
        summary: its sums; None where the actor sees only a part of it.
        stored_at: when something was last stored in it, or in a member of a group, in seconds since
            the epoch; 0: never, or nobody may know.
        connectors: its ports, with their state.
    """

    repository: Repository
    summary: RepositorySummary | None
    stored_at: float
    connectors: tuple[ConnectorReport, ...]

    @property
    def problem(self) -> str:
        """What keeps it from working: its own problem, or a port that is not open."""
        failed = [each.problem for each in self.connectors if each.state is ConnectorStatus.FAILED]
        return self.repository.problem or next(iter(failed), "")


@dataclass(frozen=True, slots=True)
class StorageSummary:
    """What all blob stores together hold; sizes in bytes.

    Attributes:
        free: on the disk with the least room; None if that is not known.
        stores: how many there are.
        days: day, stored and reclaimable bytes, the oldest first.
    """

    size: int
    reclaimable: int
    free: int | None
    stores: int
    days: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class RecentEvent:
    """Something that happened ``count`` times in a row; ``event`` is of the last time."""

    event: dict[str, Any]
    count: int


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that runs; ``total`` is the number of its steps, if it is known."""

    task_id: int
    name: str
    type: str
    done: int
    total: int | None
    message: str
    started_at: float


class Overview:
    """Answers how the server is doing; thread safe.

    It judges no rights but those of :meth:`repositories`.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        catalog: Catalog,
        repositories: RepositoryManager,
        authorizer: Authorizer,
        stores: BlobStores,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._repositories = repositories
        self._authorizer = authorizer
        self._stores = stores
        self._clock = clock

    def repositories(self, actor: Actor) -> list[RepositoryOverview]:
        """Return the repositories that the actor may know about, by name."""
        knows = self._authorizer.knows
        known = [each for each in self._repositories.all() if knows(actor, each.ref)]
        viewer = ActorViewer(self._authorizer, self._repositories, actor, READING)
        summaries = self._catalog.summaries(viewer)
        reports: dict[str, list[ConnectorReport]] = {}
        connectors = [one for each in known for one in self._repositories.connectors_of(each)]
        for report in report_connectors(connectors):
            reports.setdefault(report.repository, []).append(report)
        return [
            RepositoryOverview(
                each,
                summaries.get(each.name),
                max(
                    (summaries[name].stored_at for name in self._sources(each) & summaries.keys()),
                    default=0.0,
                ),
                tuple(reports.get(each.name, ())),
            )
            for each in known
        ]

    def _sources(self, repository: Repository) -> set[str]:
        """Return the names of the repositories whose content this one serves."""
        found: set[str] = set()
        waiting = [repository]
        while waiting:
            each = waiting.pop()
            section = each.config.sections.get("group")
            if each.name not in found and isinstance(section, GroupSection):
                members = (self._repositories.find(name) for name in section.members)
                waiting += [member for member in members if member is not None]
            found.add(each.name)
        return found

    def storage(self) -> StorageSummary:
        """Return what the blob stores hold, now and over the last days."""
        now, states = self._clock(), self._stores.states()
        since = now - now % DAY_S - (DAYS_SHOWN - 1) * DAY_S
        free = [each.free for each in states if each.free is not None]
        return StorageSummary(
            sum(each.usage.size for each in states),
            sum(each.usage.reclaimable for each in states),
            min(free, default=None),
            len(states),
            tuple(records.list_stored([each.info.name for each in states], since)),
        )

    def activity(self) -> Activity:
        """Return what happened within the last hours and days."""
        return read_activity(self._clock())

    def recent(self) -> list[RecentEvent]:
        """Return the last changes of content, deleted repositories, refusals and failed logins.

        The newest is the first.
        """
        found: list[RecentEvent] = []
        for event in records.list_events(EVENTS_READ):
            if found and _is_same(found[-1].event, event):
                found[-1] = replace(found[-1], count=found[-1].count + 1)
            else:
                found.append(RecentEvent(event, 1))
        return found[:EVENTS_SHOWN]

    def running(self) -> list[RunningTask]:
        """Return the tasks that run, the oldest first."""
        return [RunningTask(*row) for row in records.list_running(RUNS_SHOWN)]


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    names = ("domain", "type", "actor", "address", "repository", "target")
    return all(one[name] == other[name] for name in names)
