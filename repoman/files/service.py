"""What every repository of files does, whatever its type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from repoman.blobs.upload import BlobUpload
from repoman.files.format import ChangePackage, Document, File, Metadata, NewFile
from repoman.http.conditions import NO_PRECONDITION, Precondition
from repoman.http.content import Content
from repoman.http.current import current_actor, current_ref, current_security
from repoman.repositories.model import Repository, RepositoryConfig
from repoman.repositories.sections import HostedStorageSection, WritePolicy
from repoman.security.actors import WRITING, Access

CheckFile = Callable[[File, bool], None]
"""Takes a file and whether nothing is at its path; raises an error if it must not be stored."""


def check_write(file: File, _is_free: bool = False) -> None:
    """Return if the user of the current request may store a file.

    Raises:
        Denied, Unauthenticated: the user may not.
    """
    access = Access(WRITING, f"/{file.path}", file.name)
    current_security().authorizer.check(current_actor(), current_ref(), access)


def takes_uploads(repository: Repository) -> bool:
    """Return whether a repository is a hosted one whose write policy allows uploads."""
    storage = repository.config.sections.get("storage")
    return (
        isinstance(storage, HostedStorageSection) and storage.write_policy is not WritePolicy.DENY
    )


@dataclass(frozen=True, slots=True)
class RemoteQuery:
    """A request to the remote of a proxy, past its cache.

    The path is below its address, or a whole one: another server is not told the login.
    """

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """A hosted repository or a proxy that answers for a repository: itself, or a member.

    ``serves`` returns whether it answers for a package: pins, rules and shadows may forbid it.
    """

    service: "FileRepository"
    serves: Callable[[str], bool]


class FileRepository(Protocol):
    """Files by path. All methods are thread safe."""

    def get(self, file: File) -> Content:
        """Return a file.

        Raises:
            NotFound: there is none.
            UpstreamError: the remote of a proxy failed, and its cache does not have it.
        """

    def document(self, metadata: Metadata) -> Document:
        """Return a document.

        Raises:
            NotFound: there is none.
            UpstreamError: the remote of a proxy failed, and its cache does not have it.
        """

    def owns(self, package: str) -> bool:
        """Return whether a package belongs to a hosted repository here; contacts no remote.

        Raises:
            Unavailable: a member of a group that is down may own it.
        """

    def owned(self, metadata: Metadata) -> frozenset[str]:
        """Return which packages in a document about all of them belong to hosted repositories here.

        Raises:
            Unavailable: a member of a group that is down may own some.
        """

    def writable(self, name: str) -> "PackageRepository":
        """Return the hosted repository that takes changes of a package (ReadOnly, Unsupported)."""

    def backends(self) -> list[Backend]:
        """Return which repositories answer for this one, in order."""

    def ask_remote(self, request: RemoteQuery) -> bytes | None:
        """Return the body of an answer of the remote; None: there is none.

        Raises:
            UpstreamError: it failed, or answered with another status than 200.
        """

    def check_writable(self) -> None:
        """Return if anything may be stored here at all (ReadOnly, Unsupported, Unavailable)."""

    def open_upload(self, file: File | None) -> BlobUpload:
        """Begin the upload of the bytes of a file; call this before reading the body.

        None: which file it will be is not known yet.

        Raises:
            ReadOnly: the write policy refuses a file at this path.
            Unsupported: this type of repository takes no uploads.
        """

    def save(
        self,
        *files: tuple[NewFile, BlobUpload],
        check: CheckFile,
        condition: Precondition = NO_PRECONDITION,
    ) -> bool:
        """Store uploaded bytes as files, all or none; return whether the first one is new.

        A file that is there with the same bytes stays as it is. What the format derives of these is
        stored with them. ``check`` is asked about each; the ``condition`` is for the first.

        Raises:
            RepomanError: what ``check`` raises; then nothing is stored.
            PreconditionFailed: what is at the path does not meet the condition.
            ReadOnly: the write policy refuses it, for example because another client was faster.
        """

    def delete(self, file: File, condition: Precondition = NO_PRECONDITION) -> None:
        """Remove a file.

        Raises:
            PreconditionFailed: it does not meet the condition.
            NotFound: there is none.
            ReadOnly: the write policy refuses it.
            Unsupported: nothing can be removed from this type of repository.
        """


class PackageRepository(FileRepository, Protocol):
    """Files by path, and the states of packages that a format keeps with them.

    Attributes:
        config: the settings of the repository.
    """

    config: RepositoryConfig

    def save(
        self,
        *files: tuple[NewFile, BlobUpload],
        check: CheckFile,
        condition: Precondition = NO_PRECONDITION,
        change: ChangePackage | None = None,
    ) -> bool:
        """Store files as above, and in the same transaction change the package of the first one."""

    def change(self, package: str, change: ChangePackage) -> None:
        """Change a package in one transaction.

        Raises:
            ReadOnly: the write policy refuses it.
            RepomanError: what ``change`` raises; then nothing is changed.
        """
