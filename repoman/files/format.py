"""What a format of files says of itself: which paths it has, and what is behind each of them.

A format is a few pure functions. The core makes repositories of all types of it
(:mod:`repoman.files.recipes`), with routes, caches, rights and uploads.
"""

import mimetypes
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from repoman.content_rules import DEFAULT_RULES, ContentRules, beginning_with
from repoman.errors import Invalid
from repoman.events.event import Coordinate
from repoman.repositories.component_upload import (
    FILE_FIELD,
    UploadedFile,
    UploadField,
    UploadForm,
    UploadSpec,
)
from repoman.repositories.model import RepositoryConfig

if TYPE_CHECKING:
    from flask import Blueprint

FILE = "file"  # the kind of the assets of files, and of the components that they belong to
PATH_MAX_CHARS = 1024  # A longer path is refused.
# Control characters, and the character that replaces bytes that are not UTF-8.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")

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
        checksums: algorithms of the checksums that are stored with each file, besides SHA-256.
        takes_puts: whether clients store a file by a PUT of its path, and delete it by DELETE.
        rules: how lists, searches and selectors see its content.
        upload: what a form with files has; None: there are no forms.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    checksums: ClassVar[tuple[str, ...]] = ()
    takes_puts: ClassVar[bool] = False
    rules: ClassVar[ContentRules] = DEFAULT_RULES
    upload: ClassVar[UploadSpec | None] = None

    def target(self, path: str) -> File | None:
        """Return what is at a path, relative to the root of the repository; None: nothing ever.

        Raises:
            Invalid: the path is not allowed.
        """
        raise NotImplementedError

    def coordinate(self, file: File) -> Coordinate:
        """Return the component that a file belongs to."""
        if file.package:
            return Coordinate(FILE, file.package, file.version)
        return Coordinate(FILE, namespace=file.path.rpartition("/")[0], name=file.path)

    def remote_path(self, file: File) -> str:
        """Return the address of a file below that of the remote, or a whole one."""
        return quote(file.path)

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
            if file is None:
                raise Invalid(f"No file can have the path {path!r}.")
            yield file, each

    def routes(self, blueprint: "Blueprint") -> None:
        """Add routes of the format's own; those of paths are there already."""


def guess_media_type(path: str) -> str:
    """Return the media type that the name of a file suggests."""
    guess, encoding = mimetypes.guess_type(path)
    if guess is None or encoding is not None:  # app.tar.gz does not have the type of app.tar
        guess = "application/octet-stream"
    return guess


def check_path(path: str) -> None:
    """Check the path of a file, relative to the root of its repository.

    Raises:
        Invalid: the path is not allowed; the message says why.
    """
    if len(path) > PATH_MAX_CHARS:
        raise Invalid(f"The path has {len(path)} characters; at most {PATH_MAX_CHARS} are allowed.")
    if _FORBIDDEN.search(path):
        raise Invalid("The path contains a control character or is not UTF-8.")
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            raise Invalid(f"The path {path!r} contains the segment {segment!r}.")
