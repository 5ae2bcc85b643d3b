"""What the criteria of a cleanup policy choose in a repository, without removing anything."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from repoman.catalog import records
from repoman.catalog.contents import SHOWN, Contents, Entry
from repoman.catalog.model import ComponentQuery, PageRequest
from repoman.clocks import DAY_S
from repoman.patterns import find_pattern
from repoman.repositories.cleanup import CleanupPolicies
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.model import Repository
from repoman.security.actors import Actor

PAGES_MAX = 10  # So many pages of the catalog are read; each examines a limited number of rows.
PAGE_ITEMS = 500  # The components of one of them.
BY_DATE = "date"  # The `sort_by` of policies that keep what was stored last, not the last version.


@dataclass(frozen=True, slots=True)
class Preview:
    """The components that a policy chooses.

    Attributes:
        is_complete: whether the whole repository was examined; otherwise there may be more.
    """

    entries: list[Entry]
    is_complete: bool


class CleanupPreview:
    """Finds out what policies choose; thread safe.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        contents: Contents,
        policies: CleanupPolicies,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._contents = contents
        self._policies = policies
        self._clock = clock

    def choose(
        self, repository: Repository, policy: CleanupPolicy, actor: Actor | None, text: str = ""
    ) -> Preview:
        """Return the components of a repository that a policy chooses, as far as the actor sees.

        ``text`` has words, each in a name, namespace, version or description. A policy without
        criteria chooses nothing.

        Raises:
            Invalid: a criterion is not valid; ``field`` is its attribute.
        """
        self._policies.check(policy)
        if not policy.has_criteria:
            return Preview([], is_complete=True)
        query = self._query(policy, text)
        found: list[Entry] = []
        after: str | None = ""
        for _ in range(PAGES_MAX):
            page = PageRequest(PAGE_ITEMS, after or "")
            read = self._contents.components(repository, page, actor, query)
            found += _chosen(policy, query, read.items)
            after = read.next
            if after is None:
                break
        return Preview(found, is_complete=after is None)

    def _query(self, policy: CleanupPolicy, text: str) -> ComponentQuery:
        """Return what a policy asks of a component itself."""
        now = self._clock()
        return ComponentQuery(
            only_shown=SHOWN.only_shown,
            text=text,
            updated=(None, _ago(now, policy.last_updated_days)),
            downloaded=(None, _ago(now, policy.last_downloaded_days)),
            is_prerelease={"PRERELEASES": True, "RELEASES": False}.get(policy.release_type or ""),
        )


def _ago(now: float, days: int | None) -> float | None:
    return None if days is None else now - days * DAY_S


def _chosen(policy: CleanupPolicy, query: ComponentQuery, entries: list[Entry]) -> Iterator[Entry]:
    """Yield what the other criteria choose among components."""
    fits = find_pattern(policy.asset_regex).matches if policy.asset_regex else None
    unused = query.downloaded[1]
    chosen = [
        each
        for each in entries
        if (unused is None or (each.view.downloaded_at or each.view.updated_at) <= unused)
        and (fits is None or any(fits(asset.path) for asset in each.assets))
    ]
    if policy.retain is not None:
        column = "updated_at" if policy.sort_by == BY_DATE else "version_key"
        old = records.list_beyond_newest([each.view.id for each in chosen], policy.retain, column)
        chosen = [each for each in chosen if each.view.id in old]
    yield from chosen
