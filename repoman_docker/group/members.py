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
    Unsupported,
    UpstreamError,
    first_found,
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

    def _seen(self, service: DockerRepository) -> DockerRepository | None:
        """Return a member's services as the client sees them that means a registry."""
        if not self.namespace:
            return service
        mirror = service.as_mirror_of(self.namespace)
        return None if mirror is None or mirror.namespaces is None else mirror

    def for_image(self, image: str) -> list[Member]:
        """Return the members that may answer for an image name, in order.

        Raises:
            RegistryError: DENIED, a routing rule of the group forbids the name.
        """
        if not self.routing.allows(image):
            raise RegistryError(
                ErrorCode.DENIED, f"A routing rule of the group {self.name} forbids {image}."
            )
        pinned = self.pinned(image)
        return [each for each in self.all() if pinned is None or each.key in pinned]

    @property
    def has_rules(self) -> bool:
        """Whether there is anything that keeps members from answering for some images."""
        return bool(self.settings.pins or self.routing.matchers)

    def serves(self, member: Member, image: str) -> bool:
        """Return whether a member may answer for an image name."""
        pinned = self.pinned(image)
        is_free = pinned is None or member.key in pinned
        return is_free and self.routing.allows(image)

    def pinned(self, image: str) -> set[str] | None:
        """Return the keys of the only members that may answer for an image; None if all may."""
        pins = [to for pattern, to in self.settings.pins.items() if fnmatchcase(image, pattern)]
        return {name.lower() for to in pins for name in to} if pins else None

    def writable(self) -> DockerRepository:
        """Return the member that pushes go to.

        Raises:
            Unsupported: there is none; the text says where to push instead.
        """
        for member in self.all():
            if member.key == self.settings.writable_member.lower():
                return member.service
        hosted = " or ".join(member.address for member in self.all() if member.is_hosted)
        advice = f" Push to {hosted} instead." if hosted else ""
        raise Unsupported(f"{self.name} is a group, which is only read from.{advice}")

    def first(
        self, members: Iterable[Member], ask: Callable[[DockerRepository], Content]
    ) -> Content:
        """Return the first content that a member gives; a header names the member."""
        named = ((each.repository.name, each.service) for each in members)
        name, content = first_found(named, ask, is_absence)
        # Another member may come to have it, or a remote may change: never repeated unasked.
        headers = {**content.headers, "X-Repoman-Member": name}
        return replace(content, headers=headers, is_repeatable=False)

    def collect(self, members: Iterable[Member], ask: Callable[[Member], Answer]) -> list[Answer]:
        """Return the answers of all members that have one; the log tells which could not be asked.

        Raises:
            RepomanError, RegistryError: none has one; the failure of a remote goes before absence.
        """
        named = [(each.repository.name, each) for each in members]
        found = self.fan.collect(named, ask, TIMEOUT)
        for name, error in found.failures:
            if not is_absence(error):
                _log.warning("A list of the group %s lacks %s: %s", self.name, name, error)
        if found.failures and not found.answers:
            errors = [error for _, error in found.failures]
            raise next((each for each in errors if isinstance(each, UpstreamError)), errors[0])
        return found.answers


def is_absence(error: Exception) -> bool:
    """Return whether a member says by this that it has nothing."""
    if isinstance(error, RegistryError):
        return error.code in ABSENT
    return isinstance(error, NotFound)
