"""A raw group: several repositories at one address; the first member that has a file answers."""

from dataclasses import dataclass
from typing import cast

from repoman.plugin import (
    BlobUpload,
    Content,
    GroupSection,
    Invalid,
    MemberPool,
    Members,
    Question,
    Repository,
    RepositoryContext,
    RoutingSection,
    readable,
)
from repoman_raw.service import RawRepository, check_file, check_path


@dataclass(frozen=True, slots=True)
class RawMembers(Members[RawRepository]):
    """The members of a raw group; pins and routing rules are about paths."""

    def service_of(self, repository: Repository) -> RawRepository | None:
        """Return the service of a member."""
        return cast("RawRepository", repository.service)


class RawGroup:
    """Implements :class:`repoman_raw.service.RawRepository`; writes go to the writable member."""

    def __init__(self, members: RawMembers) -> None:
        self._members = members

    def get(self, path: str) -> Content:
        """Return a file of the first member that has it."""
        check_file(path)
        members = self._members.serving(path)
        return self._members.first_content(members, lambda each: readable(each.get(path)))

    def open_blob_upload(self, path: str) -> BlobUpload:
        """Return an upload into the writable member."""
        check_path(path)
        return self._members.writable(path).open_blob_upload(path)

    def save(self, path: str, upload: BlobUpload, media_type: str) -> bool:
        """Store the uploaded bytes in the writable member."""
        return self._members.writable(path).save(path, upload, media_type)

    def delete(self, path: str) -> None:
        """Remove a file from the writable member."""
        check_file(path)
        self._members.writable(path).delete(path)


def open_members(context: RepositoryContext) -> RawMembers:
    """Return the members of a group."""
    return RawMembers(
        context.config.name,
        context.config.section("group", GroupSection),
        context.config.section("routing", RoutingSection),
        context.find_repository,
        MemberPool(),
    )


def parse_question(path: str) -> Question[RawRepository]:
    """Return what a path asks of a group.

    Raises:
        Invalid: no file can be there.
    """
    file = path.removeprefix("/")
    try:
        check_path(file)
    except Invalid as error:
        raise Invalid(f"path: {error}", field="path") from error
    return Question(file, lambda member: member.get(file))
