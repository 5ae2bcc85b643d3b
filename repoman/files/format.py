"""What a format of files says of itself: which paths it has, and what is behind each of them.

A format is a few pure functions. The core makes repositories of all types of it
(:mod:`repoman.files.recipes`), with routes, caches, rights and uploads.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from repoman.blobs.upload import BlobUpload
from repoman.content_rules import ContentRules, beginning_with
from repoman.errors import Invalid, NotFound, ReadOnly, RepomanError
from repoman.events.event import Coordinate
from repoman.http.current import bearer_token
from repoman.http.errors import Failure, render_with_reason
from repoman.http.formats import access_of_method, name_of_file, speaks_nothing
from repoman.proxy.cached_files import Place
from repoman.repositories.component_upload import (
    FILE_FIELD,
    UploadedFile,
    UploadField,
    UploadForm,
    UploadSpec,
)
from repoman.repositories.model import RepositoryConfig
from repoman.repositories.sections import WritePolicy
from repoman.security.actors import Access, Credentials

if TYPE_CHECKING:
    from flask import Blueprint, Request, Response

FILE = "file"  # the kind of the assets of files, and of the components that they belong to
METADATA = "metadata"  # the kind of the assets of a remote's documents, and of states of packages
STATES = ".states/"  # In front of the paths of states of packages.
DOCUMENTS = ".documents/"  # In front of the paths of a remote's documents.
TAG_CHARS = 32  # The length of a tag.


def asset_path(kind: str, path: str) -> str:
    """Return the path of an asset as users see it: they see files alone."""
    return "" if kind == METADATA else f"/{path}"


def is_browsed(segment: str) -> bool:
    """Return whether users see what is below the first segment of a path: not what is kept."""
    return f"{segment}/" not in (STATES, DOCUMENTS)


FILES_BY_PACKAGE = ContentRules(
    component_kinds=(FILE,), asset_path=asset_path, component_name=lambda file: file.name
)
"""How a format sees its content whose files belong to packages."""

FILES_BY_PATH = ContentRules(
    component_path=lambda file: f"/{file.name}",
    component_kinds=(FILE,),  # Lists need not look which there are.
    stored_below=lambda beginning: beginning_with(beginning.removeprefix("/")),
    names_below=lambda beginning: beginning_with(beginning.removeprefix("/")),
    shown=lambda file: Coordinate(file.kind, f"/{file.name}", "", f"/{file.namespace}"),
)
"""How a format sees its content whose files belong to no packages: each is its own component."""

UPLOAD_TO_DIRECTORY = UploadSpec(
    component_fields=(
        UploadField(
            "directory",
            description="Directory of the files; / for the root",
            group="Component attributes",
        ),
    ),
    asset_fields=(FILE_FIELD, UploadField("filename", group="File")),
    takes_many=True,
)
"""What a form with files for a directory has."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that a repository may have.

    Attributes:
        package: the name that pins, routing rules and the patterns of tokens are about; empty: its
            path is.
        version: of the package; empty: the file belongs to none.
        is_mutable: whether other bytes may come to be at the same path at the remote of a proxy.
    """

    path: str
    package: str = ""
    version: str = ""
    is_mutable: bool = False

    @property
    def name(self) -> str:
        """The name that rules are about."""
        return self.package or self.path


@dataclass(frozen=True, slots=True)
class Metadata:
    """A document that a repository may have: a value that is made of its files, or parsed.

    Attributes:
        key: its name within the repository.
        package: that it is about; empty: it is about the whole repository.
        part: of it that is asked for; empty: all. It is one document nevertheless.
    """

    key: str
    package: str = ""
    part: str = ""

    @property
    def name(self) -> str:
        """The name that rules are about."""
        return self.package or self.key


@dataclass(frozen=True, slots=True)
class Checksum:
    """The digest of a file or document by an algorithm, in hex, as a text beside it; not stored."""

    of: File | Metadata
    algorithm: str

    @property
    def name(self) -> str:
        """The name that rules are about."""
        return self.of.name


Target = File | Metadata | Checksum
Value = Any
"""What a document says, as the format keeps it; never changed once it is made."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as a repository has it.

    Attributes:
        read: returns the value. Who has rendered it before needs it no more, and it may be large.
        tag: changes whenever the value does.
        source: where it came from; empty where there is but one place.
        headers: further headers of the answer.
        warnings: what may be missing in it, as sentences.
        is_cacheable: as of :class:`repoman.http.content.Content`.
    """

    read: Callable[[], Value]
    tag: str
    source: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    is_cacheable: bool = False

    @property
    def value(self) -> Value:
        """What it says (UpstreamUnavailable: a copy of a remote's document cannot be read)."""
        return self.read()


def tag_of(*parts: str) -> str:
    """Return a text that differs where the parts do, or their order: the tag of a document."""
    state = hashlib.sha256()
    for each in parts:
        state.update(f"{len(each)}:{each}".encode())
    return state.hexdigest()[:TAG_CHARS]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a package; times in seconds since the epoch, the digest is the SHA-256 in hex.

    Those of a package that is to be changed lack their attributes, which may be long as JSON.
    """

    path: str
    version: str
    digest: str
    size: int
    media_type: str
    updated_at: float
    attributes: Mapping[str, Any]
    attributes_chars: int = 0


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a hosted repository, with all its files in the order of their paths.

    ``state`` is what the format keeps of it besides, as JSON; it outlives the last file.
    """

    name: str
    files: tuple[StoredFile, ...]
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a package: its new state, and the files that go, by path."""

    state: Mapping[str, Any]
    removed: Sequence[str] = ()


ChangePackage = Callable[[Package], Change]
"""Returns what becomes of a package; called in a transaction, so it is pure and fast."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """How a document is asked for: its address below that of the remote, or a whole one."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document in one of its forms."""

    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is to be stored, as the format found it to be."""

    file: File
    media_type: str
    attributes: Mapping[str, object] = field(default_factory=dict)


class FileFormat:
    """What a format says; the defaults are those of plain files, whose remote has the same paths.

    Attributes:
        name: what repositories and rights are filed under.
        title: its display name.
        rest_name: in the paths of the REST API, where clients know another; empty: the name.
        checksums: algorithms of the checksums that are stored with each file, besides SHA-256.
        redirects: whether a document that is asked for at another path than its key is redirected
            there: the links in it are relative.
        shadows: whether a package that a hosted member of a group has is that member's alone.
        takes_puts: whether clients store a file by a PUT of its path, and delete it by DELETE.
        takes_documents: whether clients store documents and checksums too; see :meth:`taken`.
        remote_checksum: the algorithm of the checksums that the remote of a proxy has beside its
            files; empty: it has none. Files that never change are compared with them.
        write_policy: that of a hosted repository whose settings say nothing.
        refuses_early: whether a file is refused for its path alone, before its bytes are known;
            otherwise clients may send the same bytes again.
        accepts_same: whether a file may come again with the same bytes where it may not change.
        document_max_bytes: a larger document of a remote is refused. In memory it takes many times
            as much, so this is no more than what is found in practice.
        is_absolute: whether rendered documents have whole addresses, so that :meth:`render` is told
            that of the repository; others hold wherever they are served.
        rules: how lists, searches and selectors see its content.
        upload: what a form with files has; None: there are no forms.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    rest_name: ClassVar[str] = ""
    checksums: ClassVar[tuple[str, ...]] = ()
    redirects: ClassVar[bool] = False
    shadows: ClassVar[bool] = True
    takes_puts: ClassVar[bool] = False
    takes_documents: ClassVar[bool] = False
    remote_checksum: ClassVar[str] = ""
    write_policy: ClassVar[WritePolicy] = WritePolicy.ALLOW
    refuses_early: ClassVar[bool] = True
    accepts_same: ClassVar[bool] = True
    document_max_bytes: ClassVar[int] = 32 << 20
    is_absolute: ClassVar[bool] = False
    rules: ClassVar[ContentRules] = FILES_BY_PACKAGE
    upload: ClassVar[UploadSpec | None] = None

    def target(self, path: str) -> Target | None:
        """Return what may be at a path, relative to the root of the repository; None: nothing ever.

        Raises:
            Invalid: the path is not allowed.
        """
        raise NotImplementedError

    def coordinate(self, file: File) -> Coordinate:
        """Return the component that a file belongs to."""
        if file.package:
            return Coordinate(FILE, file.package, file.version)
        return Coordinate(FILE, namespace=file.path.rpartition("/")[0], name=file.path)

    def package(self, name: str) -> Coordinate:
        """Return the coordinate of a package, without a version."""
        return Coordinate(FILE, name)

    def refusal(self, target: File | Metadata, config: RepositoryConfig) -> str:
        """Return why a repository with these settings has no such thing; empty: it may have it.

        A hosted repository takes no such file, and a proxy does not ask its remote for it.
        """
        return ""

    # Proxies --------------------------------------------------------------------------------------

    def remote(self, file: File, find: Callable[[Metadata], Value]) -> Place:
        """Return where a file is; ``find`` returns documents of the remote.

        Raises:
            NotFound: no document has it.
        """
        return Place(quote(file.path))

    def fetch(self, metadata: Metadata, config: RepositoryConfig) -> Fetch:
        """Return how a proxy with these settings asks for a document."""
        return Fetch(quote(metadata.key))

    def parse(self, metadata: Metadata, body: bytes, media_type: str, url: str) -> Value:
        """Return the value of a document that the remote sent from an address.

        Raises:
            ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError: it
                cannot be read.
        """
        raise NotImplementedError

    # Hosted repositories --------------------------------------------------------------------------

    def generate(self, metadata: Metadata, package: Package) -> Value | None:
        """Return the value of a document about a package, which has a file or a state.

        None: there is no such document.
        """
        raise NotImplementedError

    def taken(self, metadata: Metadata, body: bytes) -> ChangePackage | None:
        """Return what a document that a client stores changes; None: nothing, as all of it is made.

        Raises:
            Invalid: it cannot be read.
        """
        return None

    def is_final(self, file: File) -> bool:
        """Return whether a policy that allows files once is about this one."""
        return True

    def generate_root(self, metadata: Metadata, names: Sequence[str]) -> Value:
        """Return the value of a document about the names of all packages."""
        raise NotImplementedError

    def generate_index(self, metadata: Metadata, files: Iterable[StoredFile]) -> Value | None:
        """Return the value of a document about all files; None: it is about names alone."""
        return None

    def inspect(self, file: File, content: BlobUpload) -> Mapping[str, object]:
        """Return what is kept of a file that a client stores at its path, as attributes.

        Raises:
            Invalid: it is not what its path says.
        """
        return {}

    def derive(self, file: File, content: BlobUpload) -> Iterable[tuple[NewFile, bytes]]:
        """Return the files that are made out of one that a client stores, and stored with it.

        Their paths are among those that :meth:`derived` returns, and their bytes follow from its.

        Raises:
            Invalid: it is not what its path says.
        """
        return ()

    def derived(self, path: str) -> Iterable[str]:
        """Return the paths of all that may be derived of the file at a path: it goes with it."""
        return ()

    # Groups ---------------------------------------------------------------------------------------

    def pattern(self, text: str) -> str:
        """Return a pattern of a pin, spelled as the names of packages are."""
        return text

    def names(self, metadata: Metadata, value: Value) -> Iterable[str]:
        """Return the packages that are described in a document about the whole repository.

        A format says so if clients take files by that document alone: a group then leaves out what
        a member must not serve.
        """
        return ()

    def without(self, metadata: Metadata, value: Value, names: Collection[str]) -> Value:
        """Return the part of such a document that is about other packages than these."""
        raise NotImplementedError

    def merge(self, metadata: Metadata, values: Sequence[Value]) -> Value:
        """Return one value for those of several members, whose first one takes precedence."""
        raise NotImplementedError

    # Answers --------------------------------------------------------------------------------------

    def variant(self, metadata: Metadata, accept: str) -> str:
        """Return the form of a document that a header Accept asks for."""
        return ""

    def render(self, metadata: Metadata, value: Value, variant: str, base: str) -> Rendered:
        """Return a document in a form.

        ``base`` is the address of the repository that the client addressed, without a slash at its
        end, if the format :attr:`is_absolute`; else empty.

        Raises:
            NotFound: it does not have the part that is asked for.
        """
        raise NotImplementedError

    def spelling(self, path: str) -> str | None:
        """Return what counts in a path: a version has one file of it. None: each character does."""
        return None

    def exists(self, path: str, repository: str) -> RepomanError:
        """Return the error for a file that may not be replaced by one with other bytes."""
        return ReadOnly(
            f"The file {path!r} exists in the repository {repository!r} and cannot be replaced "
            "(deployment policy: allow_once). Delete it, or choose another path."
        )

    def render_error(self, failure: Failure) -> "Response":
        """Return the answer for a request that failed."""
        return render_with_reason(failure)

    def headers(self, config: RepositoryConfig) -> Mapping[str, str]:
        """Return further headers of each file of a repository."""
        return {}

    def files_of(self, form: UploadForm) -> Iterable[tuple[File, UploadedFile]]:
        """Return what the files of a form are; that of :data:`UPLOAD_TO_DIRECTORY`.

        Raises:
            Invalid: something is wrong with the form.
        """
        for each in form.files:
            path = f"{form.fields['directory'].strip('/')}/{each.fields['filename'].strip('/')}"
            path = path.removeprefix("/")
            file = self.target(path)
            if not isinstance(file, File):
                raise Invalid(f"No file can have the path {path!r}.")
            yield file, each

    def uploaded(self, file: File, config: RepositoryConfig) -> ChangePackage | None:
        """Return what the file of a form changes of its package, by the settings; None: nothing."""
        return None

    # Requests -------------------------------------------------------------------------------------

    def routes(self, blueprint: "Blueprint") -> None:
        """Add routes of the format's own; those of paths are there already."""

    def access(self, request: "Request") -> Access:
        """Return what a request needs: a right on a path, and for tokens on the package there."""
        return replace(access_of_method(request), name=self.name_at(request.path))

    def name_at(self, path: str) -> str:
        """Return the name that rules are about of what is at a path, which begins with a slash."""
        try:
            target = self.target(path.removeprefix("/"))
        except (Invalid, NotFound):
            target = None
        return name_of_file(path) if target is None else target.name

    def token(self, request: "Request") -> str | None:
        """Return the token of this server that a request carries; None if it has none."""
        return bearer_token(request)

    def credentials(self, request: "Request") -> Credentials | None:
        """Return name and password that are elsewhere than in the header; None: it counts."""
        return None

    def speaks(self, path: str) -> bool:
        """Return whether only clients of this format ask for a path, as seen from the root."""
        return speaks_nothing(path)

    def edits(self, query: Mapping[str, str]) -> bool:
        """Return whether a client asks for a document in order to send it back, changed.

        Then it is that of the repository which takes the changes.
        """
        return False
