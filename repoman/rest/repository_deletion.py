"""What goes with a repository that is deleted, worked out before it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from repoman.catalog.model import RepositorySummary
from repoman.catalog.visibility import EveryViewer
from repoman.core import Repoman
from repoman.repositories.model import Connector, Repository
from repoman.repositories.repository_records import list_uploads
from repoman.repositories.sections import GroupSection

UPLOADS_COUNTED = 100  # Open uploads beyond so many are not counted.


@dataclass(frozen=True, slots=True)
class LostMember:
    """A group that loses the repository as a member; ``pins`` are those that name it."""

    group: Repository
    pins: int
    is_writable: bool


@dataclass(frozen=True, slots=True)
class RepositoryDeletion:
    """What goes.

    Attributes:
        summary: its content, and when it was last used.
        privileges: how many privileges on it roles lose.
        roles: the ids of these roles.
        tokens: how many user tokens are for it alone.
        uploads: how many uploads are open, up to ``UPLOADS_COUNTED``.
    """

    summary: RepositorySummary
    connectors: tuple[Connector, ...]
    groups: tuple[LostMember, ...]
    privileges: int
    roles: tuple[str, ...]
    tokens: int
    uploads: int


def plan_deletion(repoman: Repoman, repository: Repository) -> RepositoryDeletion:
    """Return what goes if a repository is deleted now."""
    summaries = repoman.catalog.summaries(EveryViewer(repoman.repositories))
    privileges = repoman.security.privileges.of_repository(repository.name)
    losing = [each for each in repoman.security.roles.all() if privileges & {*each.privileges}]
    return RepositoryDeletion(
        summary=summaries.get(repository.name, RepositorySummary()),
        connectors=tuple(repoman.repositories.connectors_of(repository)),
        groups=tuple(_groups(repoman, repository.name.lower())),
        privileges=len(privileges),
        roles=tuple(each.id for each in losing),
        tokens=_count_tokens(repoman, repository.name.lower()),
        uploads=len(list_uploads(repository.config.id, UPLOADS_COUNTED)),
    )


def _groups(repoman: Repoman, name: str) -> Iterator[LostMember]:
    for each in repoman.repositories.all():
        for section in each.config.sections.values():
            if not isinstance(section, GroupSection):
                continue
            if name in {member.lower() for member in section.members}:
                pins = sum(name in {one.lower() for one in to} for to in section.pins.values())
                yield LostMember(each, pins, section.writable_member.lower() == name)


def _count_tokens(repoman: Repoman, name: str) -> int:
    """Return how many tokens have patterns that only this repository matches."""
    names = [each.name.lower() for each in repoman.repositories.all()]
    count = 0
    for token in repoman.security.user_tokens.of_user():
        patterns = token.limit.repositories
        count += {each for each in names if _matches(each, patterns)} == {name}
    return count


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
