"""Search in a group: the results of the members, in member order."""

import logging
from dataclasses import dataclass

from repoman.plugin import MemberPool, RepomanError
from repoman_docker.group.members import Member, Members
from repoman_docker.search import PATIENCE, Filter, Found, collect

# The members get this share of the time limit: nested groups still return what they have.
MEMBER_TIME_SHARE = 0.75

_log = logging.getLogger(__name__)


class GroupSearch:
    """Asks the members in parallel; skips those that fail or are slow."""

    def __init__(self, members: Members) -> None:
        self._members = members
        # A pool of its own: slow searches must not delay lists.
        self._pool = MemberPool(Exception)

    def find(
        self, term: str, first: int, is_visible: Filter | None, patience: float = PATIENCE
    ) -> Found:
        """See :class:`repoman_docker.search.ImageSearch`."""
        asked = [
            (member.repository.name, _Asked(member, self._filter(member, is_visible)))
            for member in self._members.all()
        ]
        found = self._pool.collect(
            asked,
            lambda each: each.member.service.search.find(
                term, first, each.filter, patience * MEMBER_TIME_SHARE
            ),
            patience,
            lambda each: each.member.is_hosted,
        )
        for name, error in found.failures:
            self._tell(name, error, None if isinstance(error, RepomanError) else error)
        failed = [name for name, _ in found.failures]
        for name, problem in self._members.broken():
            self._tell(name, problem)
            failed.append(name)
        failed += [name for answer in found.answers for name in answer.failed]
        hits = [hit for answer in found.answers for hit in answer.hits]
        # Whether the uncached results of a remote are also in other members is not known.
        more = sum(answer.total - len(answer.hits) for answer in found.answers)
        names = {each.name for each in hits}
        return collect(hits, tuple(dict.fromkeys(failed)), len(names) + more)

    def _tell(self, name: str, why: object, unexpected: Exception | None = None) -> None:
        """Log which member was skipped, and why."""
        group = self._members.name
        _log.warning(
            "The search in the group %s lacks the results of %s: %s",
            group,
            name,
            why,
            exc_info=unexpected,
        )

    def _filter(self, member: Member, is_visible: Filter | None) -> Filter | None:
        if not self._members.has_rules:
            return is_visible
        return lambda name: (
            self._members.serves(member, name) and (is_visible is None or is_visible(name))
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    member: Member
    filter: Filter | None
