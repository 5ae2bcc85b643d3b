"""Search in a group: asks all members side by side; those that fail are skipped and named."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from repoman.errors import RepomanError
from repoman.group.asking import MemberPool
from repoman.group.members import Member, Members, Service

Answer = TypeVar("Answer")
Filter = Callable[[str], bool]  # whether a name may be shown

# The share of the time limit that members get, so that nested groups can return what they have.
MEMBER_TIME_SHARE = 0.75

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Service]):
    member: Member[Service]
    filter: Filter | None


class GroupSearch(Generic[Service]):
    """Asks the members of a group; skips those that fail or are slow."""

    def __init__(self, members: Members[Service]) -> None:
        self._members = members
        # A pool of its own: slow searches must not delay lists.
        self._pool = MemberPool(Exception)

    def collect(
        self,
        search: Callable[[Service, Filter | None, float], Answer],
        is_visible: Filter | None,
        timeout: float,
    ) -> tuple[list[Answer], list[str]]:
        """Return the answers of the members, in their order, and the names of those that failed.

        Args:
            search: searches a member for what the filter lets pass (None: everything), within so
                many seconds.
            is_visible: whether a name may be shown; None: all may.
            timeout: seconds for all members together.
        """
        asked = [
            (member.repository.name, _Asked(member, self._filter(member, is_visible)))
            for member in self._members.all()
        ]
        found = self._pool.collect(
            asked,
            lambda each: search(each.member.service, each.filter, timeout * MEMBER_TIME_SHARE),
            timeout,
            lambda each: each.member.is_hosted,
        )
        for name, error in found.failures:
            self._tell(name, error, None if isinstance(error, RepomanError) else error)
        return found.answers, [*(name for name, _ in found.failures), *self._broken()]

    def _broken(self) -> Iterator[str]:
        for name, problem in self._members.broken():
            self._tell(name, problem)
            yield name

    def _tell(self, name: str, why: object, unexpected: Exception | None = None) -> None:
        """Log which member was skipped, and why."""
        _log.warning(
            "The search in the group %s lacks the results of %s: %s",
            self._members.group,
            name,
            why,
            exc_info=unexpected,
        )

    def _filter(self, member: Member[Service], is_visible: Filter | None) -> Filter | None:
        if not self._members.has_rules:
            return is_visible
        return lambda name: (
            self._members.serves(member, name) and (is_visible is None or is_visible(name))
        )
