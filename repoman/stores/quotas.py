"""Quotas as administrators see them: what is used of them, and warnings about it in the log."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from repoman.catalog.records import find_repository_usage, list_repository_usages
from repoman.printable import render_size
from repoman.repositories.model import Repository
from repoman.repositories.sections import quota_of
from repoman.stores.model import StoreState
from repoman.stores.service import BlobStores

INTERVAL_S = 60.0  # How often the quotas are looked at.
REMINDER_S = 3600.0  # How often the log tells again of a quota that is exceeded.
SIZE = 4  # The place of the size among the sums of a repository.

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RepositoryQuota:
    """The quota of a repository and what is used of it, in bytes; None: there is no such limit."""

    repository: str
    used: int
    soft_limit: int | None
    limit: int | None

    @property
    def violation(self) -> str:
        """How the soft quota is exceeded, as a sentence; empty if it is not."""
        if self.soft_limit is None or self.used <= self.soft_limit:
            return ""
        return (
            f"The soft quota of the repository {self.repository} is exceeded: "
            f"{render_size(self.used)} are used, of {render_size(self.soft_limit)}."
        )

    @property
    def refusal(self) -> str:
        """Why nothing more is stored, as a sentence; empty if there is room."""
        if self.limit is None or self.used < self.limit:
            return ""
        return (
            f"The repository {self.repository} has used {render_size(self.used)} of its quota of "
            f"{render_size(self.limit)}. Nothing more is stored in it."
        )


class RepositoryQuotas:
    """The quotas of all repositories that have one; thread safe.

    Args:
        list_all: returns all repositories.
    """

    def __init__(self, list_all: Callable[[], list[Repository]]) -> None:
        self._list_all = list_all

    def states(self) -> list[RepositoryQuota]:
        """Return the quotas of the repositories that have one, by name."""
        limited = [each for each in self._list_all() if _is_limited(each)]
        sums = list_repository_usages() if limited else {}
        return [_state(each, sums.get(each.config.id)) for each in limited]

    def find(self, repository: Repository) -> RepositoryQuota:
        """Return the quota of a repository, which may have no limits."""
        return _state(repository, find_repository_usage(repository.config.id))


def _is_limited(repository: Repository) -> bool:
    quota = quota_of(repository.config.sections)
    return quota.soft_limit is not None or quota.limit is not None


def _state(repository: Repository, sums: tuple[int, ...] | None) -> RepositoryQuota:
    quota = quota_of(repository.config.sections)
    used = 0 if sums is None else sums[SIZE]
    return RepositoryQuota(repository.name, used, quota.soft_limit, quota.limit)


class QuotaWatch:
    """Logs which quotas are exceeded, and which disks are full; for one thread.

    Args:
        on_change: called when another quota is exceeded than at the last look, or one no more.
        ticks: seconds that never run backwards.
    """

    def __init__(
        self,
        stores: BlobStores,
        quotas: RepositoryQuotas,
        on_change: Callable[[], object] = lambda: None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stores = stores
        self._quotas = quotas
        self._on_change = on_change
        self._ticks = ticks
        self._next_at = float("-inf")
        self._told_at: dict[str, float] = {}

    def look(self) -> None:
        """Look at the quotas if the last look was a while ago; call it repeatedly."""
        now = self._ticks()
        if now < self._next_at:
            return
        self._next_at = now + INTERVAL_S
        found = dict(self._problems())
        has_changed = found.keys() != self._told_at.keys()
        self._told_at = {key: self._told_at.get(key, float("-inf")) for key in found}
        for key, text in found.items():
            if now - self._told_at[key] >= REMINDER_S:
                self._told_at[key] = now
                _log.warning("%s", text)
        if has_changed:
            self._on_change()

    def _problems(self) -> Iterator[tuple[str, str]]:
        """Yield what is exceeded: a key, and a sentence."""
        found: dict[str, StoreState | RepositoryQuota] = {
            **{f"store {each.info.name}": each for each in self._stores.states()},
            **{f"repository {each.repository}": each for each in self._quotas.states()},
        }
        for name, each in found.items():
            if each.violation:
                yield f"{name} soft", each.violation
            if each.refusal:
                yield f"{name} hard", each.refusal
