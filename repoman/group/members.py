"""The members of a group, looked up at each call, so that changes apply at once.

A format derives its own class from :class:`Members` and defines the names of its content. The
order of the members, the rules of the group and the treatment of failures are the same everywhere.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from repoman.db.topics import note_failure
from repoman.errors import Denied, NotFound, RepomanError, Unavailable, Unsupported
from repoman.group.asking import MemberPool, first_found, main_outage
from repoman.http.content import Content
from repoman.repositories.model import Repository, RepositoryType
from repoman.repositories.sections import GroupSection, RoutingSection

Service = TypeVar("Service")
Answer = TypeVar("Answer")

LIST_TIMEOUT_S = 30.0  # A member has to return its part of a list within this time.

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member(Generic[Service]):
    """A member of the group that is online and works, with its service as the group sees it."""

    repository: Repository
    service: Service

    @property
    def key(self) -> str:
        """Its name for comparisons, which ignore case."""
        return self.repository.name.lower()

    @property
    def is_hosted(self) -> bool:
        """Whether it stores all of its content, so it knows at once what it has."""
        return self.repository.config.type is RepositoryType.HOSTED


@dataclass(frozen=True, slots=True)
class Members(ABC, Generic[Service]):
    """Finds and asks the members of a group; thread safe.

    Pins and routing rules apply to *names*: of images, packages or paths, as the format defines.

    Attributes:
        group: the name of the group.
        settings: the members in order, and the names that are pinned to some of them.
        routing: the rule that decides which names the group serves.
        find: returns the current repository of a name.
        pool: asks several members in parallel.
    """

    group: str
    settings: GroupSection
    routing: RoutingSection
    find: Callable[[str], Repository | None]
    pool: MemberPool

    # What a format says -------------------------------------------------------------------------

    @abstractmethod
    def service_of(self, repository: Repository) -> Service | None:
        """Return the service of a member; None if it does not take part in these requests."""

    def names_of(self, service: Service, name: str) -> frozenset[str]:
        """Return all names that mean the same to a member, ``name`` among them."""
        return frozenset({name})

    def has(self, member: Member[Service], name: str) -> bool:
        """Return whether a member stores something under a name; contacts no remote."""
        return member.is_hosted

    def is_absence(self, error: Exception) -> bool:
        """Return whether an error means that a member does not have the content."""
        return isinstance(error, NotFound | Denied)  # denied: by a rule of a member that is a group

    def denial(self, text: str) -> RepomanError:
        """Return the error for what the rules of the group forbid."""
        return Denied(text)

    @property
    def takes_uploads(self) -> bool:
        """Whether a member takes what is uploaded to the group."""
        return bool(self.settings.writable_member)

    # Who is asked ---------------------------------------------------------------------------------

    def all(self) -> Iterator[Member[Service]]:
        """Yield the working members, in order."""
        for name in self.settings.members:
            repository = self.find(name)
            if repository is None or repository.problem or not repository.config.is_online:
                continue
            service = self.service_of(repository)
            if service is not None:
                yield Member(repository, service)

    def broken(self) -> Iterator[tuple[str, str]]:
        """Yield the members that are online but do not work, with the reasons."""
        for name in self.settings.members:
            repository = self.find(name)
            if repository is not None and repository.problem and repository.config.is_online:
                yield name, repository.problem

    def names(self, name: str) -> frozenset[str]:
        """Return all names that mean the same to a member."""
        return frozenset({name}).union(*(self.names_of(each.service, name) for each in self.all()))

    def serving(self, name: str, *part: object) -> list[Member[Service]]:
        """Return the members that may answer for a name, or for a part of it, in order.

        Raises:
            RepomanError: the :meth:`denial`, a routing rule of the group forbids the name.
        """
        members = list(self.all())
        routed = [each for each in members if self.routes(each, name, *part)]
        if not routed and (members or not self.routing.allows(name, part=part)):
            raise self._forbidden(name)
        return [each for each in routed if self._pins_allow(each, name)]

    @property
    def has_rules(self) -> bool:
        """Whether a rule or a pin keeps members from answering for some names."""
        return bool(self.settings.pins) or self.routing.is_restricted

    def routes(self, member: Member[Service], name: str, *part: object) -> bool:
        """Return whether the routing rule lets a member answer for a name, or for a part of it.

        All names that it has at the member count: who is refused one must not get it by another.
        """
        return not self.routing.is_restricted or self.routing.allows(
            *self.names_of(member.service, name), part=part
        )

    def serves(self, member: Member[Service], name: str, *part: object) -> bool:
        """Return whether a member may answer for a name, or for a part of it."""
        return self._pins_allow(member, name) and self.routes(member, name, *part)

    def pinned(self, member: Member[Service], name: str) -> set[str] | None:
        """Return the keys of the members to which a name of a member is pinned.

        None: it is not pinned, so all members may answer.
        """
        if not self.settings.pins:
            return None
        return self.settings.pinned(*self.names_of(member.service, name))

    def _pins_allow(self, member: Member[Service], name: str) -> bool:
        """Return whether no pin keeps a member from answering for a name."""
        pinned = self.pinned(member, name)
        return pinned is None or member.key in pinned

    def obstacle(self, member: Member[Service], name: str, *part: object) -> str:
        """Return why a member may not answer, as a sentence; empty if it may."""
        if not self.routes(member, name, *part):
            return str(self._forbidden(name))
        pinned = self.pinned(member, name)
        if pinned is not None and member.key not in pinned:
            return f"{name} is pinned to {' and '.join(sorted(pinned)) or 'no member'}."
        return ""

    def rank(self, member: Member[Service], name: str) -> tuple[bool, bool]:
        """Return its sort key where all answers are equal: first those that need no remote."""
        return (False, False) if member.is_hosted else (True, not self.has(member, name))

    def reads(self, name: str, *part: object) -> bool:
        """Return whether the routing rule lets any member answer for a name, or a part of it."""
        return any([self.routes(each, name, *part) for each in self.all()])

    # Uploads --------------------------------------------------------------------------------------

    def writable(self, name: str | None = None, *part: object) -> Service:
        """Return the member that takes uploads, or those of a name, or of a part of it, if given.

        Raises:
            RepomanError: the :meth:`denial`, a routing rule of the group forbids the name, or
                another member answers for it.
            Unavailable: the member is offline.
            Unsupported: there is none; the message says where to upload instead.
        """
        member = self._writable_member()
        if name is not None and not self.routes(member, name, *part):
            raise self._forbidden(name)
        if name is not None and not self._pins_allow(member, name):
            raise self.denial(
                f"The group {self.group} reads {name} from other members than "
                f"{member.repository.name}, which takes its pushes: nobody could pull it."
            )
        return member.service

    def builds_on(self, name: str, *part: object) -> bool:
        """Return whether a name, or a part of it, is read from the writable member.

        Raises:
            Unavailable: the member is offline.
            Unsupported: there is none.
        """
        return self.serves(self._writable_member(), name, *part)

    def takes(self, name: str, *part: object) -> bool:
        """Return whether the writable member takes the uploads of a name, or of a part of it.

        Raises:
            Unavailable: the member is offline.
        """
        return self.takes_uploads and self.serves(self._writable_member(), name, *part)

    def _writable_member(self) -> Member[Service]:
        if not self.takes_uploads:
            hosted = [each.repository.address for each in self.all() if each.is_hosted]
            advice = f" Push to {' or '.join(hosted)} instead." if hosted else ""
            raise Unsupported(f"{self.group} is a group that does not accept pushes.{advice}")
        wanted = self.settings.writable_member
        member = next((each for each in self.all() if each.key == wanted.lower()), None)
        if member is None:
            raise Unavailable(
                f"The group {self.group} forwards pushes to {wanted}, which is offline or not "
                "working. Try again later."
            )
        return member

    def _forbidden(self, name: str) -> RepomanError:
        return self.denial(f"A routing rule of the group {self.group} forbids {name}.")

    # Answers --------------------------------------------------------------------------------------

    def first(
        self, members: Iterable[Member[Service]], ask: Callable[[Service], Answer]
    ) -> tuple[str, Answer]:
        """Return the first answer and the name of its member; see :func:`first_found`."""
        named = ((each.repository.name, each.service) for each in members)
        return first_found(named, ask, self.is_absence)

    def first_content(
        self, members: Iterable[Member[Service]], ask: Callable[[Service], Content]
    ) -> Content:
        """Return the first content that a member returns; a header names the member.

        A remote that did not have it may have it soon, so what comes after one is not cacheable.
        """
        asked: list[Member[Service]] = []

        def ask_next(member: Member[Service]) -> Content:
            asked.append(member)
            return ask(member.service)

        named = ((each.repository.name, each) for each in members)
        name, content = first_found(named, ask_next, self.is_absence)
        headers = {"X-Repoman-Member": name, **content.headers}
        is_lasting = content.is_cacheable and all(each.is_hosted for each in asked[:-1])
        return replace(content, headers=headers, is_cacheable=is_lasting)

    def collect(
        self, members: Iterable[Member[Service]], ask: Callable[[Member[Service]], Answer]
    ) -> list[Answer]:
        """Return the answers of :meth:`gather`, about what all members have stored here."""
        return self.gather(members, ask, lambda _: True)[0]

    def gather(
        self,
        members: Iterable[Member[Service]],
        ask: Callable[[Member[Service]], Answer],
        is_quick: Callable[[Member[Service]], bool] = lambda each: each.is_hosted,
    ) -> tuple[list[Answer], list[str]]:
        """Return the answers of all members that have one, and a warning for each that failed.

        Those that are quick, since they ask no remote, do not wait for a thread.

        Raises:
            RepomanError: no member has one; failures take precedence.
        """
        named = [(each.repository.name, each) for each in members]
        found = self.pool.collect(named, ask, LIST_TIMEOUT_S, is_quick)
        if found.failures and not found.answers:
            errors = [error for _, error in found.failures]
            raise main_outage(errors) or errors[0]
        failed = [(name, error) for name, error in found.failures if not self.is_absence(error)]
        if failed:
            note_failure()
        for name, error in failed:
            _log.warning(
                "A list of the group %s lacks the entries of %s: %s", self.group, name, error
            )
        return found.answers, [
            f"The list lacks the entries of {name}. {error}" for name, error in failed
        ]


def readable(content: Content) -> Content:
    """Open a content here, so that an error leads to the next member."""
    body = content.open()
    if not isinstance(body, bytes):
        body.close()
    return content
