"""What a Docker group is in addition to a group of any format: names of images, and mirrors."""

from dataclasses import dataclass

from repoman.plugin import (
    Invalid,
    Member,
    Members,
    NotFound,
    Question,
    Repository,
)
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.reference import Digest, Resource, match, parse_name, parse_reference
from repoman_docker.rules import ROOT
from repoman_docker.service import DockerRepository, RegistryFailure, failure

ABSENT = frozenset(
    {
        ErrorCode.BLOB_UNKNOWN,
        ErrorCode.MANIFEST_UNKNOWN,
        ErrorCode.NAME_UNKNOWN,
        ErrorCode.DENIED,  # a routing rule of a member that is a group
    }
)


@dataclass(frozen=True, slots=True)
class DockerMembers(Members[DockerRepository]):
    """The members of a Docker group.

    Attributes:
        namespace: the registry that a client means; then only its mirrors are members.
    """

    namespace: str = ""

    def service_of(self, repository: Repository) -> DockerRepository | None:
        """Return the services of a member, as a client that means a certain registry sees them."""
        service = repository.service
        if not isinstance(service, DockerRepository) or not self.namespace:
            return service if isinstance(service, DockerRepository) else None
        mirror = service.as_mirror_of(self.namespace)
        return None if mirror is None or mirror.namespaces is None else mirror

    def names_of(self, service: DockerRepository, name: str) -> frozenset[str]:
        """Return the names of an image at a member: ``app`` may be ``library/app`` as well."""
        return service.names(name)

    def has(self, member: Member[DockerRepository], name: str) -> bool:
        """Return whether a member stores a manifest of the image."""
        return member.service.lists.has_image(name)

    def is_absence(self, error: Exception) -> bool:
        """Return whether an error means that a member does not have the content."""
        if isinstance(error, RegistryFailure):
            return error.code in ABSENT
        return isinstance(error, NotFound)

    def denial(self, text: str) -> RegistryFailure:
        """Return the error DENIED."""
        return failure(ErrorCode.DENIED, text)

    @property
    def takes_uploads(self) -> bool:
        """Whether a member takes pushes; mirrors do not."""
        return bool(self.settings.writable_member) and not self.namespace

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


def parse_question(path: str) -> Question[DockerRepository]:
    """Return what a path asks of a group: a manifest, or the tags of an image.

    Raises:
        Invalid: it is neither.
    """
    route = match(path.removeprefix(ROOT)) if path.startswith(ROOT) else None
    try:
        if route is not None and route.resource is Resource.TAGS:
            image = parse_name(route.name)
            return Question(image, lambda m: m.lists.tags(image, "", 1), is_merged=True)
        if route is not None and route.resource is Resource.MANIFEST:
            name, reference = parse_name(route.name), parse_reference(route.reference)
            return Question(
                name,
                lambda m: m.manifests.head(name, reference),
                part=("manifests", reference),
                is_same_everywhere=isinstance(reference, Digest),
            )
    except RegistryError as error:
        raise Invalid(f"path: {error}", field="path") from error
    raise Invalid(
        "path: must be /v2/NAME/manifests/REFERENCE or /v2/NAME/tags/list, such as "
        "/v2/team/app/manifests/latest.",
        field="path",
    )
