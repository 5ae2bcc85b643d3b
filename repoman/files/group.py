"""A group of repositories of files at one address; the first member that has a file answers."""

from dataclasses import dataclass
from typing import cast

from repoman.blobs.upload import BlobUpload
from repoman.errors import Invalid
from repoman.files.format import File, FileFormat, NewFile
from repoman.files.service import FileRepository
from repoman.group.asking import MemberPool
from repoman.group.members import Members, readable
from repoman.group.trace import GroupTrace, Question
from repoman.http.content import Content
from repoman.repositories.model import Repository
from repoman.repositories.recipes import RepositoryContext
from repoman.repositories.sections import GroupSection, RoutingSection


@dataclass(frozen=True, slots=True)
class FileMembers(Members[FileRepository]):
    """The members of a group; pins and routing rules are about packages, or else paths."""

    def service_of(self, repository: Repository) -> FileRepository | None:
        """Return the service of a member."""
        return cast("FileRepository", repository.service)


class GroupFiles:
    """Implements :class:`repoman.files.service.FileRepository`; writes go to one member."""

    def __init__(self, format_: FileFormat, context: RepositoryContext) -> None:
        self._format = format_
        self._members = FileMembers(
            context.config.name,
            context.config.section("group", GroupSection),
            context.config.section("routing", RoutingSection),
            context.find_repository,
            MemberPool(),
        )
        self.trace = GroupTrace(self._members, self._question)

    def get(self, file: File) -> Content:
        """Return a file of the first member that has it."""
        members = self._members.serving(file.name)
        return self._members.first_content(members, lambda each: readable(each.get(file)))

    def open_upload(self, file: File) -> BlobUpload:
        """Return an upload into the writable member."""
        return self._members.writable(file.name).open_upload(file)

    def save(self, new: NewFile, upload: BlobUpload) -> bool:
        """Store the uploaded bytes in the writable member."""
        return self._members.writable(new.file.name).save(new, upload)

    def delete(self, file: File) -> None:
        """Remove a file from the writable member."""
        self._members.writable(file.name).delete(file)

    def _question(self, path: str) -> Question[FileRepository]:
        """Return what a path asks of the group (Invalid: no file can be there)."""
        try:
            file = self._format.target(path.removeprefix("/"))
        except Invalid as error:
            raise Invalid(f"path: {error}", field="path") from error
        if file is None:
            raise Invalid("path: no file can be there.", field="path")
        return Question(file.name, lambda member: member.get(file))
