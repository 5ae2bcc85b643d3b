"""Whose a package is in a group: what a hosted repository stores belongs to it alone.

Otherwise whoever publishes a newer version of it at a public remote would be installed here. A pin
gives a package to other members, and one that spells its name has them share it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from repoman.caching import LruCache
from repoman.errors import Denied, Unavailable
from repoman.files.format import FileFormat, Metadata
from repoman.files.service import FileRepository
from repoman.group.members import Member, Members
from repoman.repositories.model import Repository, RepositoryType

FileMember = Member[FileRepository]
Owned = dict[str, frozenset[str]]
"""The packages of members, by their keys."""


@dataclass(frozen=True, slots=True)
class FileMembers(Members[FileRepository]):
    """The members of a group; pins and routing rules are about packages, or else paths."""

    def service_of(self, repository: Repository) -> FileRepository | None:
        """Return the service of a member."""
        return cast("FileRepository", repository.service)

    def down(self) -> Iterator[FileMember]:
        """Yield the members that are offline or do not work, and may have packages of their own.

        Those that have a problem have no service.
        """
        for name in self.settings.members:
            repository = self.find(name)
            if repository is None or repository.config.type is RepositoryType.PROXY:
                continue
            if repository.problem or not repository.config.is_online:
                yield Member(repository, cast("FileRepository", repository.service))


class Owners:
    """Tells which members own packages; thread safe. It contacts no remote."""

    def __init__(self, format_: FileFormat, members: FileMembers) -> None:
        self._format = format_
        self._members = members
        self._owned: LruCache[Owned] = LruCache()

    def only(self, members: list[FileMember], package: str) -> list[FileMember]:
        """Return those of the members that own a package, or share it; all of them if nobody does.

        Raises:
            Unavailable: a member that is offline or does not work may own it.
        """
        if not (self._format.shadows and package):
            return members
        owners = {each.key for each in members if each.service.owns(package)}
        if not owners:
            self._check_down(package)
            return members
        return [each for each in members if each.key in owners or self.shares(each, package)]

    def shares(self, member: FileMember, package: str) -> bool:
        """Return whether a pin that spells the name of a package gives it to a member, remotes too.

        A pattern is no such pin: who writes one does not know all the names that match.
        """
        sharing = self._members.settings.pins.get(package, ())
        return member.key in {each.lower() for each in sharing}

    def owns(self, package: str) -> bool:
        """Return whether a member that serves a package owns it (Unavailable: as above)."""
        try:
            members = self._members.serving(package)
        except Denied:
            return False
        if any(each.service.owns(package) for each in members):
            return True
        self._check_down(package)
        return False

    def owned(self, metadata: Metadata) -> frozenset[str]:
        """Return the packages in a document about all of them that members own.

        Raises:
            Unavailable: a member that does not work may own any of them.
        """
        for each in self.broken():
            raise _down(each, "packages of its own")
        return frozenset().union(*self.by_member(metadata).values())

    def by_member(self, metadata: Metadata) -> Owned:
        """Return the packages in a document about all of them that each member owns and serves."""
        if not self._format.shadows:
            return {}
        members = [each for each in self._members.down() if not each.repository.problem]
        members += self._members.all()
        found = [(each, each.service.owned(metadata)) for each in members]
        if not self._members.has_rules:
            return {each.key: names for each, names in found}
        key = (metadata.key, *((each.key, names) for each, names in found))
        return self._owned.get(key, lambda: {each.key: self._served(each, n) for each, n in found})

    def absent(self, owned: Owned) -> frozenset[str]:
        """Return those of the owned packages that members own that are offline."""
        return frozenset().union(*(owned.get(each.key, ()) for each in self._members.down()))

    def broken(self) -> list[FileMember]:
        """Return the members that do not work, so that they cannot tell what they own."""
        if not self._format.shadows:
            return []
        return [each for each in self._members.down() if each.repository.problem]

    def check_free(self, names: Iterable[str]) -> None:
        """Return if no member that does not work may own one of the packages (Unavailable)."""
        broken = self.broken()
        for name in names if broken else ():
            for each in broken:
                if self._members.serves(each, name):
                    raise _down(each, name)

    def _served(self, member: FileMember, names: frozenset[str]) -> frozenset[str]:
        return frozenset(name for name in names if self._members.serves(member, name))

    def _check_down(self, package: str) -> None:
        """Return if no member that is down may own a package (Unavailable)."""
        for each in self._members.down():
            may_own = each.repository.problem or each.service.owns(package)
            if may_own and self._members.serves(each, package):
                raise _down(each, package)


def _down(member: FileMember, what: str) -> Unavailable:
    name = member.repository.name
    state = "does not work" if member.repository.problem else "is offline"
    return Unavailable(
        f"The member {name} of the group {state} and may have {what}, which nobody else may "
        f"serve then. Mend {name}, pin the package to other members, or take {name} out of the "
        "group."
    )
