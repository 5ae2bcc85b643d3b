"""A group of repositories of files at one address; the first member that has a file answers."""

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from repoman.blobs.upload import BlobUpload
from repoman.caching import LruCache
from repoman.errors import Invalid, RepomanError, Unavailable
from repoman.files.format import (
    Document,
    File,
    FileFormat,
    Metadata,
    NewFile,
    Value,
)
from repoman.files.service import Backend, FileRepository, PackageRepository, RemoteQuery
from repoman.files.tags import tag_of
from repoman.group.asking import MemberPool
from repoman.group.members import Member, Members, readable
from repoman.group.trace import GroupTrace, Question
from repoman.http.content import Content
from repoman.proxy.cache import Source
from repoman.repositories.model import Repository
from repoman.repositories.recipes import RepositoryContext
from repoman.repositories.sections import GroupSection, RoutingSection


@dataclass(frozen=True, slots=True)
class FileMembers(Members[FileRepository]):
    """The members of a group; pins and routing rules are about packages, or else paths."""

    def service_of(self, repository: Repository) -> FileRepository | None:
        """Return the service of a member."""
        return cast("FileRepository", repository.service)


Answer = tuple[Member[FileRepository], Document]


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
        self._roots: LruCache[tuple[Value, str]] = LruCache()
        self.trace = GroupTrace(self._members, self._question)

    def document(self, metadata: Metadata) -> Document:
        """Return what the members say together; what one of them lacks is told."""
        members = self._members.serving(metadata.name)
        shadowing = self._shadowing(members, metadata.package)
        asked = shadowing or members
        answers, warnings = self._members.gather(
            asked, lambda each: (each, each.service.document(metadata))
        )
        found = [document for _, document in answers]
        failed = " ".join(warnings)
        warnings = [*warnings, *(text for each in found for text in each.warnings)]
        headers = {"X-Repoman-Cache": Source.STALE} if any(map(_is_stale, found)) else {}
        if not metadata.package:
            self._check_owners(asked, [member for member, _ in answers], failed)
            key = (metadata, *((member.key, each.tag) for member, each in answers))
            value, tag = self._roots.get(key, lambda: self._merge_roots(metadata, answers))
            return Document(lambda: value, tag, headers=headers, warnings=tuple(warnings))
        if len(found) == 1:
            return replace(found[0], headers=headers, warnings=tuple(warnings))
        tag = tag_of(*(each.tag for each in found))
        merged = partial(self._merged, metadata, found)
        return Document(merged, tag, headers=headers, warnings=tuple(warnings))

    def _merged(self, metadata: Metadata, found: list[Document]) -> Value:
        return self._format.merge(metadata, [each.value for each in found])

    def _merge_roots(self, metadata: Metadata, answers: list[Answer]) -> tuple[Value, str]:
        """Return a document about the whole group, and its tag.

        It has what each member says of the packages that it serves; names of hosted members are
        theirs alone.
        """
        values = [(member, each.value, each.tag) for member, each in answers]
        own: set[str] = set()
        for member, value, _ in values:
            if self._format.shadows and member.is_hosted:
                own.update(self._format.names(metadata, value))
        parts: list[Value] = []
        tags: list[str] = []
        for member, value, tag in values:
            hidden = {
                name
                for name in self._format.names(metadata, value)
                if (name in own and not member.is_hosted) or not self._members.serves(member, name)
            }
            parts.append(self._format.without(metadata, value, hidden) if hidden else value)
            tags.append(tag_of(tag, *sorted(hidden)) if hidden else tag)
        if len(parts) == 1:
            return parts[0], tags[0]
        return self._format.merge(metadata, parts), tag_of(*tags)

    def _check_owners(
        self,
        asked: list[Member[FileRepository]],
        answered: list[Member[FileRepository]],
        failed: str,
    ) -> None:
        """Raise if a hosted member failed: without it, its names would be anybody's (Unavailable).

        The members that have one package are known otherwise.
        """
        known = {each.key for each in answered}
        if self._format.shadows and any(e.is_hosted and e.key not in known for e in asked):
            raise Unavailable(failed or "A hosted member of the group cannot be read now.")

    def has(self, package: str) -> bool:
        """Return whether a member stores anything of a package."""
        return any(each.service.has(package) for each in self._members.all())

    def _shadowing(
        self, members: list[Member[FileRepository]], package: str
    ) -> list[Member[FileRepository]]:
        """Return the hosted members that have a package, whose names nobody else may use.

        Otherwise whoever publishes a newer version of it at a public remote would be installed
        here.
        """
        if not (self._format.shadows and package):
            return []
        return [each for each in members if each.is_hosted and each.service.has(package)]

    def get(self, file: File) -> Content:
        """Return a file of the first member that has it."""
        members = self._members.serving(file.name)
        members = self._shadowing(members, file.package) or members
        return self._members.first_content(members, lambda each: readable(each.get(file)))

    def writable(self, name: str) -> PackageRepository:
        """Return the one behind the writable member."""
        return self._members.writable(name).writable(name)

    def backends(self) -> list[Backend]:
        """Return those of the members."""
        return [
            Backend(each.service, partial(self._is_served, member, each))
            for member in self._members.all()
            for each in member.service.backends()
        ]

    def ask_remote(self, request: RemoteQuery) -> bytes | None:
        """Return None: its backends have remotes."""
        return None

    def _is_served(self, member: Member[FileRepository], backend: Backend, package: str) -> bool:
        try:
            members = self._members.serving(package)
        except RepomanError:  # a rule forbids it
            return False
        members = self._shadowing(members, package) or members
        return member.key in {each.key for each in members} and backend.serves(package)

    def check_writable(self) -> None:
        """Return if the writable member takes uploads."""
        self._members.writable().check_writable()

    def open_upload(self, file: File | None) -> BlobUpload:
        """Return an upload into the writable member."""
        return self._members.writable(None if file is None else file.name).open_upload(file)

    def save(self, *files: tuple[NewFile, BlobUpload]) -> bool:
        """Store the uploaded bytes in the writable member."""
        return self._members.writable(files[0][0].file.name).save(*files)

    def delete(self, file: File) -> None:
        """Remove a file from the writable member."""
        self._members.writable(file.name).delete(file)

    def _question(self, path: str) -> Question[FileRepository]:
        """Return what a path asks of the group (Invalid: no file can be there)."""
        try:
            file = self._format.target(path.removeprefix("/"))
        except Invalid as error:
            raise Invalid(f"path: {error}", field="path") from error
        if not isinstance(file, File):
            raise Invalid("path: no file can be there.", field="path")
        return Question(file.name, lambda member: member.get(file))


def _is_stale(document: Document) -> bool:
    return document.source == Source.STALE
