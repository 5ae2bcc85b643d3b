"""The members of a Docker group, looked up at each call: a new one is there at once."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from repoman.plugin import (
    Content,
    Fan,
    GroupSection,
    NotFound,
    Repository,
    RepositoryType,
    RoutingSection,
    Unavailable,
    Unsupported,
    first_found,
    main_outage,
)
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.sections import DockerSection
from repoman_docker.service import DockerRepository

Answer = TypeVar("Answer")

TIMEOUT = 30.0  # seconds that a member gets for its part of a list
ABSENT = frozenset(
    {
        ErrorCode.BLOB_UNKNOWN,
        ErrorCode.MANIFEST_UNKNOWN,
        ErrorCode.NAME_UNKNOWN,
        ErrorCode.DENIED,  # a routing rule of a member that is a group
    }
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A repository of the group that works at present."""

    repository: Repository
    service: DockerRepository

    @property
    def key(self) -> str:
        """Its name, as it is compared: capitals make no difference."""
        return self.repository.name.lower()

    @property
    def is_hosted(self) -> bool:
        """Whether it holds all its bytes, and so can say at once what it has."""
        return self.repository.config.type is RepositoryType.HOSTED

    def has_image(self, name: str) -> bool:
        """Return whether it holds a manifest of the image."""
        return self.service.lists.has_image(name)

    def rank(self, image: str) -> tuple[bool, bool]:
        """Return its place where any member's answer is the same: first who need ask nobody."""
        return (False, False) if self.is_hosted else (True, not self.has_image(image))

    @property
    def address(self) -> str:
        """What to call it to somebody who wants to push to it."""
        docker = self.repository.config.section("docker", DockerSection)
        port = docker.https_port or docker.http_port
        return f"{self.repository.name} (port {port})" if port else self.repository.name


@dataclass(frozen=True, slots=True)
class Members:
    """How a group finds and asks its members.

    Attributes:
        name: of the group.
        settings: which members, in which order, and what is pinned to some of them.
        routing: which image names are served at all.
        find: returns a repository by name, as it is now.
        fan: asks several side by side.
        namespace: the registry that a client means; only its mirrors are members then.
    """

    name: str
    settings: GroupSection
    routing: RoutingSection
    find: Callable[[str], Repository | None]
    fan: Fan
    namespace: str = ""

    def all(self) -> Iterator[Member]:
        """Return the members that work, in order."""
        for name in self.settings.members:
            repository = self.find(name)
            if repository is None or repository.problem or not repository.config.is_online:
                continue
            service = repository.service
            if isinstance(service, DockerRepository) and (seen := self._seen(service)) is not None:
                yield Member(repository, seen)

    def broken(self) -> Iterator[tuple[str, str]]:
        """Return the members that should work and do not, with the reasons."""
        for name in self.settings.members:
            repository = self.find(name)
            if repository is not None and repository.problem and repository.config.is_online:
                yield name, repository.problem

    def has_mirror(self, registry: str) -> bool:
        """Return whether a member is a mirror of a registry, or may be one once it works."""
        for name in self.settings.members:
            repository = self.find(name)
            service = None if repository is None else repository.service
            if not isinstance(service, DockerRepository):
                return True
            mirror = service.as_mirror_of(registry)
            if mirror is not None and mirror.namespaces is not None:
                return True
        return False

    def _seen(self, service: DockerRepository) -> DockerRepository | None:
        """Return a member's services as the client sees them that means a registry."""
        if not self.namespace:
            return service
        mirror = service.as_mirror_of(self.namespace)
        return None if mirror is None or mirror.namespaces is None else mirror

    def names(self, image: str) -> frozenset[str]:
        """Return all image names that mean the same image to a member."""
        return frozenset({image}).union(*(each.service.names(image) for each in self.all()))

    def for_image(self, image: str) -> list[Member]:
        """Return the members that may answer for an image name, in order.

        Raises:
            RegistryError: DENIED, a routing rule of the group forbids the name.
        """
        members = list(self.all())
        routed = [each for each in members if self.routes(each, image)]
        if not routed and (members or not self.routing.allows(image)):
            raise self._denial(image)
        return [each for each in routed if self.serves(each, image)]

    @property
    def has_rules(self) -> bool:
        """Whether there is anything that keeps members from answering for some images."""
        return bool(self.settings.pins or self.routing.matchers)

    def routes(self, member: Member, image: str) -> bool:
        """Return whether the routing rule lets a member answer for an image name.

        An image is judged by all the names that it has at the member: who is refused
        ``library/app`` must not get it as ``app``.
        """
        return not self.routing.matchers or self.routing.allows(*member.service.names(image))

    def serves(self, member: Member, image: str) -> bool:
        """Return whether a member may answer for an image name."""
        pinned = self.pinned(member, image)
        is_free = pinned is None or member.key in pinned
        return is_free and self.routes(member, image)

    def pinned(self, member: Member, image: str) -> set[str] | None:
        """Return the keys of the only members that may answer for what a member has by this name.

        None: all may.
        """
        if not self.settings.pins:
            return None
        names = member.service.names(image)
        pins = [
            to
            for pattern, to in self.settings.pins.items()
            if any(fnmatchcase(name, pattern) for name in names)
        ]
        return {name.lower() for to in pins for name in to} if pins else None

    def writable(self, image: str | None = None) -> DockerRepository:
        """Return the member that pushes go to, those of an image name if it is given.

        Raises:
            RegistryError: DENIED, a routing rule of the group forbids the name, or another member
                answers for it.
            Unavailable: the member is offline.
            Unsupported: there is none; the text says where to push instead.
        """
        member = self._writable_member()
        if image is not None and not self.routes(member, image):
            raise self._denial(image)
        if image is not None and not self.serves(member, image):
            raise RegistryError(
                ErrorCode.DENIED,
                f"The group {self.name} reads {image} from other members than "
                f"{member.repository.name}, which takes its pushes: nobody could pull this image.",
            )
        return member.service

    def reads(self, image: str) -> bool:
        """Return whether the routing rule lets any member answer for an image name."""
        members = list(self.all())
        return any(self.routes(each, image) for each in members)

    def builds_on(self, image: str) -> bool:
        """Return whether an image name is read from the member that pushes go to.

        Raises:
            Unavailable: the member is offline.
            Unsupported: there is none.
        """
        return self.serves(self._writable_member(), image)

    def takes(self, image: str) -> bool:
        """Return whether pushes of an image name go to a member.

        Raises:
            Unavailable: the member is offline.
        """
        if not self.settings.writable_member or self.namespace:
            return False
        return self.serves(self._writable_member(), image)

    def _writable_member(self) -> Member:
        wanted = self.settings.writable_member
        if not wanted or self.namespace:
            hosted = " or ".join(member.address for member in self.all() if member.is_hosted)
            advice = f" Push to {hosted} instead." if hosted else ""
            raise Unsupported(f"{self.name} is a group that does not accept pushes.{advice}")
        member = next((each for each in self.all() if each.key == wanted.lower()), None)
        if member is None:
            raise Unavailable(
                f"The group {self.name} forwards pushes to {wanted}, which is offline or not "
                "working. Try again later."
            )
        return member

    def _denial(self, image: str) -> RegistryError:
        return RegistryError(
            ErrorCode.DENIED, f"A routing rule of the group {self.name} forbids {image}."
        )

    def first(
        self, members: Iterable[Member], ask: Callable[[DockerRepository], Content]
    ) -> Content:
        """Return the first content that a member gives; a header names the member."""
        named = ((each.repository.name, each.service) for each in members)
        name, content = first_found(named, ask, is_absence)
        # Another member may come to have it, or a remote may change: never repeated unasked.
        headers = {"X-Repoman-Member": name, **content.headers}
        return replace(content, headers=headers, is_repeatable=False)

    def collect(self, members: Iterable[Member], ask: Callable[[Member], Answer]) -> list[Answer]:
        """Return the answers of :meth:`gather`."""
        return self.gather(members, ask)[0]

    def gather(
        self, members: Iterable[Member], ask: Callable[[Member], Answer]
    ) -> tuple[list[Answer], list[str]]:
        """Return the answers of all members that have one, and sentences on those that failed.

        Raises:
            RepomanError, RegistryError: none has one; the failure of a remote goes before absence.
        """
        named = [(each.repository.name, each) for each in members]
        found = self.fan.collect(named, ask, TIMEOUT, lambda each: each.is_hosted)
        if found.failures and not found.answers:
            errors = [error for _, error in found.failures]
            raise main_outage(errors) or errors[0]
        failed = [(name, error) for name, error in found.failures if not is_absence(error)]
        for name, error in failed:
            _log.warning(
                "A list of the group %s lacks the entries of %s: %s", self.name, name, error
            )
        return found.answers, [
            f"The list lacks the entries of {name}. {error}" for name, error in failed
        ]


def readable(content: Content) -> Content:
    """Return a content whose bytes are at hand; else the error lets another member be asked."""
    body = content.open()
    if not isinstance(body, bytes):
        body.close()
    return content


def is_absence(error: Exception) -> bool:
    """Return whether a member says by this that it has nothing."""
    if isinstance(error, RegistryError):
        return error.code in ABSENT
    return isinstance(error, NotFound)
