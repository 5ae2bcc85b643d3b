"""Where the disk space went, how that grew, and what comes back: from kept sums and samples.

It judges no rights but which repositories of a report an actor may know of.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from repoman.catalog.catalog import Catalog
from repoman.catalog.model import Usage
from repoman.catalog.sample_records import DAY_S
from repoman.catalog.visibility import EveryViewer
from repoman.collection_records import find_states
from repoman.db.database import Database
from repoman.errors import RepomanError
from repoman.overview import space_records as records
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import RepositoryType
from repoman.security.actors import Actor
from repoman.security.authorization import Authorizer
from repoman.stores.model import StoreState
from repoman.stores.service import BlobStores
from repoman.tasks.model import Task
from repoman.tasks.service import Tasks
from repoman.tasks.task_records import FREED

WEEK_DAYS = 7
# The tasks that give disk space back; what other tasks free, these remove from the disk later.
GIVING_BACK = ("blobstore.compact", "blobstore.sweep", "blobstore.orphans")


@dataclass(frozen=True, slots=True)
class RepositorySpace:
    """A repository in a report.

    Attributes:
        by_rule: bytes that would be freed if a rule removed what only the lack of one keeps; None:
            nobody has looked yet.
    """

    name: str
    usage: Usage
    by_rule: int | None


@dataclass(frozen=True, slots=True)
class StoreSpace:
    """A blob store in a report; sizes in bytes.

    Attributes:
        uploads: how many unfinished uploads have bytes in it; ``uploads_size``: how many.
        repositories: the one with most bytes of its own first.
    """

    state: StoreState
    uploads: int
    uploads_size: int
    repositories: tuple[RepositorySpace, ...]


@dataclass(frozen=True, slots=True)
class SpaceReport:
    """Where the disk space of a server went; sizes in bytes.

    Attributes:
        unshared: of all blobs if each repository had its own, with those that wait to be freed.
        database: of its file; ``log``: of its write-ahead log.
        reserve: what is kept back for deletions on a full disk.
        audit: of the files of the audit log.
    """

    stores: tuple[StoreSpace, ...]
    unshared: int
    database: int
    log: int
    reserve: int
    audit: int

    @property
    def stored(self) -> int:
        """Return the bytes of all blobs."""
        return sum(each.state.usage.size for each in self.stores)

    @property
    def waiting(self) -> int:
        """Return the bytes of those that nothing uses: compaction removes them by itself."""
        return sum(each.state.usage.reclaimable for each in self.stores)

    @property
    def by_rule(self) -> int:
        """Return the bytes that rules could free."""
        return sum(each.by_rule or 0 for store in self.stores for each in store.repositories)

    @property
    def uploads(self) -> int:
        """Return how many uploads are unfinished."""
        return sum(each.uploads for each in self.stores)

    @property
    def uploads_size(self) -> int:
        """Return the bytes of unfinished uploads."""
        return sum(each.uploads_size for each in self.stores)

    @property
    def total(self) -> int:
        """Return all bytes on all disks."""
        beside = self.database + self.log + self.reserve + self.audit
        return self.stored + self.uploads_size + beside


@dataclass(frozen=True, slots=True)
class FreedByTask:
    """What the tasks of a type freed, in bytes; times in seconds since the epoch.

    Attributes:
        title: of the type.
        day: within 24 hours; ``week``: within seven days.
        gives_back: whether they remove bytes from the disk; those of others, these remove.
        tasks: of this type, those that are enabled first; empty: nothing is freed this way.
        next_at: when the first of them runs next; None: none does by itself.
    """

    type: str
    title: str
    day: int
    week: int
    gives_back: bool
    tasks: tuple[Task, ...]
    next_at: float | None


@dataclass(frozen=True, slots=True)
class GrowthDay:
    """The bytes at the beginning of a day.

    Attributes:
        part: of these, a repository's own ones, or what compaction may remove of a blob store.
    """

    at: float
    size: int
    part: int


class Space:
    """Answers where the disk space is; thread safe.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        catalog: Catalog,
        repositories: RepositoryManager,
        authorizer: Authorizer,
        stores: BlobStores,
        tasks: Tasks,
        database: Database,
        audit_file: Path | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._repositories = repositories
        self._authorizer = authorizer
        self._stores = stores
        self._tasks = tasks
        self._database = database
        self._audit_file = audit_file
        self._clock = clock

    def report(self, actor: Actor | None = None) -> SpaceReport:
        """Return where the disk space went; of the repositories, those that an actor may know of.

        None is the program itself.
        """
        usages = self._catalog.usages(EveryViewer(self._repositories))
        storing = [
            each
            for each in self._repositories.all()
            if each.config.type is not RepositoryType.GROUP and each.name in usages
        ]
        found = [
            each for each in storing if actor is None or self._authorizer.knows(actor, each.ref)
        ]
        states = find_states([each.config.id for each in found])
        by_store: dict[str, list[RepositorySpace]] = {}
        for each in found:
            state = states.get(each.config.id)
            by_rule = None if state is None else state.reclaimable_size
            space = RepositorySpace(each.name, usages[each.name], by_rule)
            by_store.setdefault(each.blob_store, []).append(space)
        sizes = self._database.sizes()
        stores = tuple(self._store(each, by_store) for each in self._stores.states())
        waiting = sum(each.state.usage.reclaimable for each in stores)
        return SpaceReport(
            stores,
            sum(usages[each.name].size for each in storing) + waiting,
            sizes.get("database", 0),
            sizes.get("log", 0),
            self._database.reserve.size,
            _size_of(self._audit_file),
        )

    def _store(self, state: StoreState, by_store: dict[str, list[RepositorySpace]]) -> StoreSpace:
        found = by_store.get(state.info.name, [])
        found.sort(key=lambda each: (-each.usage.own_size, -each.usage.size, each.name.lower()))
        try:
            count, size = self._stores.incoming(state.info.name)
        except RepomanError:  # The state says that it cannot be used.
            count, size = 0, 0
        return StoreSpace(state, count, size, tuple(found))

    def freed(self) -> list[FreedByTask]:
        """Return what each type of task that frees space did of late, the most first."""
        now = self._clock()
        types = [each for each in self._tasks.types() if each.frees]
        week = now - now % DAY_S - WEEK_DAYS * DAY_S
        sums = records.sum_freed((each.id for each in types), FREED, now - DAY_S, week)
        known = sorted(self._tasks.all(), key=lambda task: not task.is_enabled)
        found = []
        for each in types:
            tasks = tuple(task for task in known if task.type == each.id)
            enabled = [task for task in tasks if task.is_enabled]
            times = [at for at in map(self._tasks.next_run, enabled) if at is not None]
            found.append(
                FreedByTask(
                    each.id,
                    each.title,
                    *sums[each.id],
                    each.id in GIVING_BACK,
                    tasks,
                    min(times, default=None),
                )
            )
        return sorted(found, key=lambda each: (-each.week, not each.gives_back, each.title))

    def growth_of_repository(self, repository_id: int, days: int) -> list[GrowthDay]:
        """Return the bytes of a repository, and its own ones, on each of the last days."""
        name = f"repository {repository_id}"
        return self._growth(f"{name} size", f"{name} own", days)

    def growth_of_store(self, name: str, days: int) -> list[GrowthDay]:
        """Return the bytes of a blob store, and those to be removed, on each of the last days."""
        return self._growth(f"store {name} size", f"store {name} reclaimable", days)

    def _growth(self, whole: str, part: str, days: int) -> list[GrowthDay]:
        now = self._clock()
        since = now - now % DAY_S - (days - 1) * DAY_S
        return [GrowthDay(*row) for row in records.list_growth(whole, part, since)]


def _size_of(file: Path | None) -> int:
    """Return the bytes of the file of the audit log and of the one before it."""
    if file is None:
        return 0
    paths = (file, file.with_name(f"{file.name}.1"))
    return sum(each.stat().st_size for each in paths if each.exists())
