"""The members of a Docker group, looked up at each call, so that changes apply at once."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from repoman.plugin import (
    Content,
    GroupSection,
    MemberPool,
    NotFound,
    Repository,
    RepositoryType,
    RoutingSection,
    Unavailable,
    Unsupported,
    first_found,
    main_outage,
)
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.sections import DockerSection
from repoman_docker.service import DockerRepository, RegistryFailure, failure

Answer = TypeVar("Answer")

LIST_TIMEOUT_S = 30.0  # seconds that a member has to return its part of a list
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
    """A member of the group that is online and works."""

    repository: Repository
    service: DockerRepository

    @property
    def key(self) -> str:
        """Its name for comparisons, which ignore case."""
        return self.repository.name.lower()

    @property
    def is_hosted(self) -> bool:
        """Whether it stores all its bytes, so that it knows at once what it has."""
        return self.repository.config.type is RepositoryType.HOSTED

    def has_image(self, name: str) -> bool:
        """Return whether it stores a manifest of the image."""
        return self.service.lists.has_image(name)

    def rank(self, image: str) -> tuple[bool, bool]:
        """Return its sort key where all answers are equal: hosted members come first."""
        return (False, False) if self.is_hosted else (True, not self.has_image(image))

    @property
    def address(self) -> str:
        """Its name and port, for messages to clients that want to push."""
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
        find: returns the current repository of a name.
        pool: asks several members in parallel.
        namespace: the registry that a client means; then only its mirrors are members.
    """

    name: str
    settings: GroupSection
    routing: RoutingSection
    find: Callable[[str], Repository | None]
    pool: MemberPool
    namespace: str = ""

    def all(self) -> Iterator[Member]:
        """Return the working members, in order."""
        for name in self.settings.members:
            repository = self.find(name)
            if repository is None or repository.problem or not repository.config.is_online:
                continue
            service = repository.service
            if isinstance(service, DockerRepository) and (seen := self._seen(service)) is not None:
                yield Member(repository, seen)

    def broken(self) -> Iterator[tuple[str, str]]:
        """Return the members that are online but do not work, with the reasons."""
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
        """Return the services of a member, as a client that means a certain registry sees them."""
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
            RegistryFailure: DENIED, a routing rule of the group forbids the name.
        """
        members = list(self.all())
        routed = [each for each in members if self.routes(each, image)]
        if not routed and (members or not self.routing.allows(image)):
            raise self._denial(image)
        return [each for each in routed if self.serves(each, image)]

    @property
    def has_rules(self) -> bool:
        """Whether a rule or a pin keeps members from answering for some images."""
        return bool(self.settings.pins or self.routing.matchers)

    def routes(self, member: Member, image: str) -> bool:
        """Return whether the routing rule lets a member answer for an image name.

        All names that the image has at the member count: a client that is refused ``library/app``
        must not get it as ``app``.
        """
        return not self.routing.matchers or self.routing.allows(*member.service.names(image))

    def serves(self, member: Member, image: str) -> bool:
        """Return whether a member may answer for an image name."""
        pinned = self.pinned(member, image)
        is_free = pinned is None or member.key in pinned
        return is_free and self.routes(member, image)

    def pinned(self, member: Member, image: str) -> set[str] | None:
        """Return the keys of the members to which an image of a member is pinned.

        None: it is not pinned, so all members may answer.
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
        """Return the member that takes pushes, or the pushes of an image name if one is given.

        Raises:
            RegistryFailure: DENIED, a routing rule of the group forbids the name, or another member
                answers for it.
            Unavailable: the member is offline.
            Unsupported: there is none; the message says where to push instead.
        """
        member = self._writable_member()
        if image is not None and not self.routes(member, image):
            raise self._denial(image)
        if image is not None and not self.serves(member, image):
            raise failure(
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
        """Return whether an image name is read from the writable member.

        Raises:
            Unavailable: the member is offline.
            Unsupported: there is none.
        """
        return self.serves(self._writable_member(), image)

    def takes(self, image: str) -> bool:
        """Return whether the writable member takes the pushes of an image name.

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

    def _denial(self, image: str) -> RegistryFailure:
        return failure(
            ErrorCode.DENIED, f"A routing rule of the group {self.name} forbids {image}."
        )

    def first(
        self, members: Iterable[Member], ask: Callable[[DockerRepository], Content]
    ) -> Content:
        """Return the first content that a member returns; a header names the member."""
        named = ((each.repository.name, each.service) for each in members)
        name, content = first_found(named, ask, is_absence)
        # Another member may get it later, or a remote may change: never cache this response.
        headers = {"X-Repoman-Member": name, **content.headers}
        return replace(content, headers=headers, is_cacheable=False)

    def collect(self, members: Iterable[Member], ask: Callable[[Member], Answer]) -> list[Answer]:
        """Return the answers of :meth:`gather`."""
        return self.gather(members, ask)[0]

    def gather(
        self, members: Iterable[Member], ask: Callable[[Member], Answer]
    ) -> tuple[list[Answer], list[str]]:
        """Return the answers of all members that have one, and a warning for each that failed.

        Raises:
            RepomanError: no member has one; failures take precedence.
        """
        named = [(each.repository.name, each) for each in members]
        found = self.pool.collect(named, ask, LIST_TIMEOUT_S, lambda each: each.is_hosted)
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
    """Open a content here, so that an error leads to the next member."""
    body = content.open()
    if not isinstance(body, bytes):
        body.close()
    return content


def is_absence(error: Exception) -> bool:
    """Return whether an error means that a member does not have the content."""
    if isinstance(error, RegistryFailure):
        return error.code in ABSENT
    return isinstance(error, NotFound)
