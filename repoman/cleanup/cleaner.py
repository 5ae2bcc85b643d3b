"""Removes from repositories what their cleanup policies choose."""

import logging
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from repoman.cleanup import candidate_records as records
from repoman.cleanup.freed import COMPONENTS_MAX, freed_by
from repoman.cleanup.selection import Selection, coordinate_of
from repoman.clocks import ConfirmedClock
from repoman.db.database import Database
from repoman.errors import NotFound, ReadOnly, RepomanError, Unavailable
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from repoman.events.pulls import PullLog
from repoman.printable import pluralize, render_size
from repoman.repositories.cleanup import CleanupPolicies
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository
from repoman.repositories.sections import CleanupSection, HostedStorageSection, WritePolicy

SOURCE = "cleanup"  # What content events say that made the change.
BATCH_COMPONENTS = 100  # Components that are judged once more together.
BATCH_ASSETS = 500  # Assets that one transaction removes, of several components.
PAUSE_S = 0.02  # A pause after each batch, for others who want to write.
FAILURES_LOGGED = 100  # Failures of one run that its log tells one by one.

_log = logging.getLogger(__name__)


class Run(Protocol):
    """The run of a task, as far as a cleanup has to know it."""

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Report the progress; raises if the run is to stop."""

    def log(self, text: str) -> None:
        """Add a line to the log of the run."""

    def pause(self, seconds: float) -> None:
        """Wait, so that others can work; raises if the run is to stop."""

    def freed(self, size: int) -> None:
        """Note so many bytes that nothing needs any more because of it."""


@dataclass(slots=True)
class Removed:
    """What a cleanup has done.

    Attributes:
        promised: bytes that are free in the end, once what only the components needed is removed
            too; as it was worked out before.
        is_more_promised: whether it is more, since there were too many to work that out.
        freed: bytes that nothing needs any more because of it.
        chosen: components that should go, of which some may have been pulled or pushed since.
        failed: components that could not be removed.
        skipped: repositories that could not be cleaned up.
        repositories: those from which something was removed.
    """

    components: int = 0
    promised: int = 0
    is_more_promised: bool = False
    freed: int = 0
    chosen: int = 0
    failed: int = 0
    skipped: int = 0
    repositories: int = 0

    def __str__(self) -> str:
        """Return it in sentences; empty if there was nothing to do."""
        told = []
        if self.components:
            found = pluralize(self.components, "component")
            where = pluralize(self.repositories, "repository", "repositories")
            told.append(f"Removed {found} from {where}; {self._told_sizes()}.")
        if self.failed:
            told.append(f"{pluralize(self.failed, 'component')} could not be removed.")
        if self.skipped:
            told.append(
                f"{pluralize(self.skipped, 'repository', 'repositories')} could not be cleaned up."
            )
        return " ".join(told)

    def _told_sizes(self) -> str:
        """Return what was freed, and what the plan has promised, if that is something else."""
        told = f"freed {render_size(self.freed)}"
        if self.freed == self.promised and not self.is_more_promised:
            return told
        least = "at least " if self.is_more_promised else ""
        told = f"{told}; the plan promised {least}{render_size(self.promised)} in the end"
        if self.components == self.chosen:
            return told
        return f"{told}, of {pluralize(self.chosen, 'component')}"


class Cleaner:
    """Executes cleanup policies; for one thread of one process at a time.

    Args:
        clock: seconds since the epoch; a jump forward removes nothing at once.
    """

    def __init__(
        self,
        database: Database,
        repositories: RepositoryManager,
        policies: CleanupPolicies,
        pulls: PullLog,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._repositories = repositories
        self._policies = policies
        self._pulls = pulls
        self._clock = clock
        self._confirmed: Callable[[], float] = ConfirmedClock(clock)

    def now(self) -> float:
        """Return the time by which components have an age, in seconds since the epoch."""
        return min(self._clock(), self._confirmed())

    def policies_of(self, repository: Repository) -> list[CleanupPolicy]:
        """Return the policies that a repository uses."""
        section = repository.config.sections.get("cleanup")
        names = section.policy_names if isinstance(section, CleanupSection) else None
        return self._policies.named(names) if names else []

    def is_needed(self) -> bool:
        """Return whether any repository uses a policy."""
        return bool(self._policies.count_uses())

    def run(self, run: Run) -> Removed:
        """Remove from all repositories what their policies choose; return what was removed.

        A component that cannot be removed, and a repository that cannot be cleaned up, are told in
        the log of the run, and the others follow. What was removed stays removed if the run ends
        early; the next one continues.
        """
        self._repositories.refresh()
        removed = Removed()
        for repository in self._repositories.all():
            policies = self.policies_of(repository)
            if not policies:
                continue
            if problem := _problem_of(repository):
                run.log(f"{repository.name}: {problem}")
                removed.skipped += 1
                continue
            try:
                self._clean(repository, policies, run, removed)
            except RepomanError as error:
                run.log(f"{repository.name}: {error}")
                removed.skipped += 1
        return removed

    def _clean(
        self, repository: Repository, policies: list[CleanupPolicy], run: Run, removed: Removed
    ) -> None:
        """Remove what the policies of one repository choose (RepomanError)."""
        self._pulls.flush()
        name = repository.name
        selection = Selection(repository, policies, self.now())
        chosen = selection.choose(
            lambda count: run.progress(count, message=f"{name}: looking at its components")
        )
        if not chosen:
            return
        promised = freed_by(repository, chosen)
        run.log(
            f"{name}: {pluralize(len(chosen), 'component')} to remove, which frees "
            f"{render_size(promised)}{'' if len(chosen) <= COMPONENTS_MAX else ' or more'}."
        )
        deletion = _Deletion(self._database, self._pulls, repository, selection, run.log)
        try:
            for done in range(0, len(chosen), BATCH_COMPONENTS):
                run.progress(done, len(chosen), f"{name}: removing components")
                count, size = deletion.delete_batch(chosen[done : done + BATCH_COMPONENTS])
                run.freed(size)
                if count:
                    run.log(f"{name}: removed {pluralize(count, 'component')}.")
                run.pause(PAUSE_S)
        finally:
            removed.components += deletion.components
            removed.chosen += len(chosen)
            removed.freed += deletion.size
            removed.promised += promised
            removed.is_more_promised |= len(chosen) > COMPONENTS_MAX
            removed.failed += deletion.failed
            removed.repositories += bool(deletion.components)
            self._note(repository, policies, deletion)

    def _note(
        self, repository: Repository, policies: list[CleanupPolicy], deletion: "_Deletion"
    ) -> None:
        """Tell the audit log; each component has an entry of its own there, by its format."""
        if deletion.components:
            with self._database.transaction(touches=()):
                self._database.note_change(
                    "repository.cleanup",
                    repository.name,
                    components=str(deletion.components),
                    policies=" ".join(each.name for each in policies),
                )


class _Deletion:
    """Deletes chosen components of one repository, and counts them."""

    def __init__(
        self,
        database: Database,
        pulls: PullLog,
        repository: Repository,
        selection: Selection,
        log: Callable[[str], None],
    ) -> None:
        self._database = database
        self._pulls = pulls
        self._repository = repository
        self._selection = selection
        self._log = log
        self.components = self.size = self.failed = 0

    def delete_batch(self, ids: "array[int]") -> tuple[int, int]:
        """Delete the components that still go; return how many did, and the released bytes.

        Pulls that were not written yet are written first. Whether a component goes is judged again
        in the transaction that deletes it.

        Raises:
            ReadOnly, Unavailable: nothing can be deleted.
        """
        self._pulls.flush()
        before = self.components, self.size
        assets = records.count_assets(ids)
        for group in _groups(ids, assets):
            is_large = sum(assets.get(each, 0) for each in group) > BATCH_ASSETS
            with acting_by(SOURCE), self._transaction(is_large=is_large):
                blobs = records.list_blobs(group)
                for each in self._selection.still_chosen(group):
                    self._delete(coordinate_of(each.candidate))
                self.size += records.sum_released(blobs)
        return self.components - before[0], self.size - before[1]

    def _transaction(self, *, is_large: bool) -> AbstractContextManager[None]:
        """Return a transaction, but for one large component, which takes several."""
        if is_large:
            return nullcontext()
        return self._database.transaction(repository=self._repository.config.id)

    def _delete(self, coordinate: Coordinate) -> None:
        """Delete a component; one that cannot be deleted does not keep others from it."""
        delete = self._repository.capabilities.delete_component
        assert delete is not None  # noqa: S101 - the caller has looked
        try:
            with self._savepoint():
                delete(coordinate)
        except (ReadOnly, Unavailable):
            raise
        except NotFound:
            return  # Somebody was faster.
        except Exception as error:  # noqa: BLE001 - one of them does not end the run
            self._report(coordinate, error)
            return
        self.components += 1

    def _savepoint(self) -> AbstractContextManager[None]:
        """Return what undoes a failed deletion within the transaction of others."""
        return self._database.transaction() if self._database.in_transaction() else nullcontext()

    def _report(self, coordinate: Coordinate, error: Exception) -> None:
        self.failed += 1
        shown = self._repository.rules.shown(coordinate)
        what = f"{shown.name}:{shown.version}".rstrip(":")
        if isinstance(error, RepomanError):
            reason = str(error)
        else:
            _log.error("Cleanup could not remove %s.", what, exc_info=error)
            reason = "an unexpected error, which the server log has."
        if self.failed <= FAILURES_LOGGED:
            self._log(f"{self._repository.name}: {what} could not be removed: {reason}")


def _groups(ids: Sequence[int], assets: dict[int, int]) -> Iterator[list[int]]:
    """Yield components that one transaction can delete; one with too many assets comes alone."""
    group: list[int] = []
    count = 0
    for each in ids:
        if group and count + assets.get(each, 0) > BATCH_ASSETS:
            yield group
            group, count = [], 0
        group.append(each)
        count += assets.get(each, 0)
    if group:
        yield group


def _problem_of(repository: Repository) -> str:
    """Return why nothing can be removed from a repository, as a sentence; empty if it can."""
    if repository.problem is not None:
        return f"nothing was removed: {repository.problem}"
    storage = repository.config.sections.get("storage")
    if isinstance(storage, HostedStorageSection) and storage.write_policy is WritePolicy.DENY:
        return (
            "nothing was removed: its deployment policy is read-only. Change the policy, or take "
            "the cleanup policies from the repository."
        )
    if repository.capabilities.delete_component is None:
        return "nothing was removed: components cannot be deleted from this type of repository."
    return ""
