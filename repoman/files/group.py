"""A group of repositories of files at one address; the first member that has a file answers."""

from dataclasses import replace
from functools import partial

from repoman.blobs.upload import BlobUpload
from repoman.caching import LruCache
from repoman.errors import Invalid, NotFound, RepomanError
from repoman.files.format import (
    Document,
    File,
    FileFormat,
    Metadata,
    NewFile,
    Value,
    tag_of,
)
from repoman.files.owners import FileMember, FileMembers, Owned, Owners
from repoman.files.service import Backend, CheckFile, FileRepository, PackageRepository, RemoteQuery
from repoman.group.asking import MemberPool
from repoman.group.members import readable
from repoman.group.trace import GroupTrace, Question
from repoman.http.conditions import NO_PRECONDITION, Precondition
from repoman.http.content import Content
from repoman.proxy.cache import Source
from repoman.repositories.recipes import RepositoryContext
from repoman.repositories.sections import GroupSection, RoutingSection

Answer = tuple[FileMember, Document]


class GroupFiles:
    """Implements :class:`repoman.files.service.FileRepository`; writes go to one member."""

    def __init__(self, format_: FileFormat, context: RepositoryContext) -> None:
        self._format = format_
        self._members = FileMembers(
            context.config.name,
            _with_patterns(format_, context.config.section("group", GroupSection)),
            context.config.section("routing", RoutingSection),
            context.find_repository,
            MemberPool(),
        )
        self._owners = Owners(format_, self._members)
        self._roots: LruCache[tuple[Value, str]] = LruCache()
        self.trace = GroupTrace(self._members, self._question)

    def document(self, metadata: Metadata) -> Document:
        """Return what the members say together; what one of them lacks is told."""
        members = self._answering(metadata)
        if metadata.package and not members:
            raise NotFound(f"No member of the group answers for {metadata.package}.")
        owned = {} if metadata.package else self._owners.by_member(metadata)
        answers, warnings = self._members.gather(
            members, lambda each: (each, each.service.document(metadata))
        )
        found = [document for _, document in answers]
        warnings = [*warnings, *(text for each in found for text in each.warnings)]
        headers = {"X-Repoman-Cache": Source.STALE} if any(map(_is_stale, found)) else {}
        if not metadata.package:
            value, tag = self._root(metadata, answers, owned)
            return Document(lambda: value, tag, headers=headers, warnings=tuple(warnings))
        if len(found) == 1:
            same = replace(found[0], headers=headers, warnings=tuple(warnings))
            return replace(same, is_cacheable=False)
        tag = tag_of(*(each.tag for each in found))
        merged = partial(self._merged, metadata, found)
        return Document(merged, tag, headers=headers, warnings=tuple(warnings))

    def _merged(self, metadata: Metadata, found: list[Document]) -> Value:
        return self._format.merge(metadata, [each.value for each in found])

    def _answering(self, metadata: Metadata) -> list[FileMember]:
        """Return the members to ask for a document; rules are about packages, not about roots."""
        if not metadata.package:
            return list(self._members.all())
        return self._owners.only(self._members.serving(metadata.name), metadata.package)

    def _root(self, metadata: Metadata, answers: list[Answer], owned: Owned) -> tuple[Value, str]:
        """Return a document about the whole group and its tag, kept until a member changes."""
        down = (each.key for each in self._owners.broken())
        tags = ((member.key, each.tag) for member, each in answers)
        key = (metadata.key, *tags, *owned.items(), *down)  # It has all parts.
        return self._roots.get(key, lambda: self._merge_roots(metadata, answers, owned))

    def _merge_roots(
        self, metadata: Metadata, answers: list[Answer], owned: Owned
    ) -> tuple[Value, str]:
        """Return a document about the whole group, and its tag.

        It has what each member says of the packages that it serves; those that members own are
        theirs alone, or also of those with which they share them, unless they are offline.
        """
        everything, absent = frozenset().union(*owned.values()), self._owners.absent(owned)
        parts: list[Value] = []
        tags: list[str] = []
        for member, document in answers:
            value, tag = document.value, document.tag
            names = set(self._format.names(metadata, value))
            others = (everything & names) - owned.get(member.key, frozenset())
            foreign = {
                each for each in others if each in absent or not self._owners.shares(member, each)
            }
            hidden = {each for each in names if not self._members.serves(member, each)} | foreign
            self._owners.check_free(names - hidden - everything)
            parts.append(self._format.without(metadata, value, hidden) if hidden else value)
            tags.append(tag_of(tag, *sorted(hidden)) if hidden else tag)
        if len(parts) == 1:
            return parts[0], tags[0]
        return self._format.merge(metadata, parts), tag_of(*tags)

    def owns(self, package: str) -> bool:
        """Return whether a member that serves a package owns it."""
        return self._owners.owns(package)

    def owned(self, metadata: Metadata) -> frozenset[str]:
        """Return the packages that members own."""
        return self._owners.owned(metadata)

    def get(self, file: File) -> Content:
        """Return a file of the first member that has it."""
        members = self._owners.only(self._members.serving(file.name), file.package)
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

    def _is_served(self, member: FileMember, backend: Backend, package: str) -> bool:
        try:
            members = self._owners.only(self._members.serving(package), package)
        except RepomanError:  # a rule forbids it, or it may be that of a member that is down
            return False
        return member.key in {each.key for each in members} and backend.serves(package)

    def check_writable(self) -> None:
        """Return if the writable member takes uploads."""
        self._members.writable().check_writable()

    def open_upload(self, file: File | None) -> BlobUpload:
        """Return an upload into the writable member."""
        return self._members.writable(None if file is None else file.name).open_upload(file)

    def save(
        self,
        *files: tuple[NewFile, BlobUpload],
        check: CheckFile,
        condition: Precondition = NO_PRECONDITION,
    ) -> bool:
        """Store the uploaded bytes in the writable member."""
        member = self._members.writable(files[0][0].file.name)
        return member.save(*files, check=check, condition=condition)

    def delete(self, file: File, condition: Precondition = NO_PRECONDITION) -> None:
        """Remove a file from the writable member."""
        self._members.writable(file.name).delete(file, condition)

    def _question(self, path: str) -> Question[FileRepository]:
        """Return what a path asks of the group (Invalid: no file can be there)."""
        try:
            file = self._format.target(path.removeprefix("/"))
        except Invalid as error:
            raise Invalid(f"path: {error}", field="path") from error
        if not isinstance(file, File):
            raise Invalid("path: no file can be there.", field="path")
        return Question(file.name, lambda member: member.get(file))


def _with_patterns(format_: FileFormat, section: GroupSection) -> GroupSection:
    """Return the settings of a group with pins as the format spells names."""
    pins: dict[str, tuple[str, ...]] = {}
    for text, members in section.pins.items():
        pattern = format_.pattern(text)
        pins[pattern] = (*pins.get(pattern, ()), *members)
    return section.model_copy(update={"pins": pins})


def _is_stale(document: Document) -> bool:
    return document.source == Source.STALE
