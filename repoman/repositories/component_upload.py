"""Uploads by a form: fields and files that a format makes components of.

A format declares what such a form has (:class:`UploadSpec`), and a repository takes it
(:class:`UploadTarget`). The names of fields are those of Sonatype Nexus Repository 3:
``<format>.<field>`` for a component, ``<format>.asset1`` for a file and ``<format>.asset1.<field>``
for what belongs to that file; the format and the number may be left out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from repoman.blobs.upload import BlobUpload
from repoman.errors import Invalid

CSRF_FIELD = "NX-ANTI-CSRF-TOKEN"  # Pages send it; it is about the session and not the component.
_FILE = re.compile(r"asset[0-9]{0,4}")
_FILE_FIELD = re.compile(rf"({_FILE.pattern})\.(.+)", re.DOTALL)


class FieldType(StrEnum):
    """What a field of a form has."""

    STRING = "STRING"
    BOOLEAN = "BOOLEAN"
    FILE = "FILE"


@dataclass(frozen=True, slots=True)
class UploadField:
    """A field of a form; ``group`` is the heading under which pages show it."""

    name: str
    type: FieldType = FieldType.STRING
    description: str | None = None
    is_optional: bool = False
    group: str | None = None


FILE_FIELD = UploadField("asset", FieldType.FILE)


@dataclass(frozen=True, slots=True)
class UploadSpec:
    """What a form has: fields of the component, and fields of each file.

    Attributes:
        takes_many: whether it may have several files.
    """

    component_fields: tuple[UploadField, ...] = ()
    asset_fields: tuple[UploadField, ...] = ()
    takes_many: bool = False


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of a form: its bytes, which are no blob yet, and the fields that belong to it."""

    bytes: BlobUpload
    filename: str = ""
    media_type: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form that has arrived: the fields of the component, and its files."""

    fields: Mapping[str, str]
    files: Sequence[UploadedFile]


# Takes a path, as content selectors see it, and whether nothing is there yet; raises an error if
# the user must not write there.
CheckWrite = Callable[[str, bool], None]


class UploadTarget(Protocol):
    """A repository that takes forms; thread safe."""

    def check_writable(self) -> None:
        """Return if anything may be written at all (ReadOnly)."""

    def open_file_upload(self) -> BlobUpload:
        """Begin the upload of the bytes of a file."""

    def store_upload(self, form: UploadForm, check: CheckWrite) -> list[str]:
        """Store a form, as a whole or not at all; ``check`` is asked about each path.

        Return the paths of the assets that the files have become, in their order.

        Raises:
            Invalid: something is wrong with the form.
            ReadOnly: the write policy refuses it.
        """


def is_file_field(spec: UploadSpec, format_: str, name: str) -> bool:
    """Return whether a form may have a file of this name."""
    name = name.removeprefix(f"{format_}.")
    return bool(_FILE.fullmatch(name)) and (spec.takes_many or name == FILE_FIELD.name)


def parse_form(
    spec: UploadSpec,
    format_: str,
    texts: Mapping[str, Sequence[str]],
    files: Sequence[tuple[str, UploadedFile]],
) -> UploadForm:
    """Return the form that the texts and files of a request make; files come with their names.

    Fields that the format does not declare are ignored.

    Raises:
        Invalid: a field or file is missing, or is there twice; ``field`` is its name.
    """
    fields: dict[str, str] = {}
    of_files: dict[str, dict[str, str]] = {}
    for name, values in texts.items():
        own = name.removeprefix(f"{format_}.")
        if own == CSRF_FIELD:
            continue
        if match := _FILE_FIELD.fullmatch(own):
            of_files.setdefault(match[1], {})[match[2]] = values[-1]
        elif _FILE.fullmatch(own):
            raise Invalid(f"{name}: must be a file.", field=name)
        else:
            fields[own] = values[-1]
    found = _files(format_, files, of_files)
    for each in spec.component_fields:
        _require(each, fields, format_)
    for name, file in found.items():
        for each in spec.asset_fields:
            _require(each, file.fields, f"{format_}.{name}")
    return UploadForm(fields, list(found.values()))


def _files(
    format_: str,
    files: Sequence[tuple[str, UploadedFile]],
    fields: Mapping[str, Mapping[str, str]],
) -> dict[str, UploadedFile]:
    """Return the files with their fields, by name without the format."""
    found: dict[str, UploadedFile] = {}
    for name, file in files:
        own = name.removeprefix(f"{format_}.")
        if own in found:
            raise Invalid(f"{name}: is there more than once.", field=name)
        if file.filename or file.bytes.size:  # A page sends a file field that is not filled in.
            known = fields.get(own, {})
            found[own] = UploadedFile(file.bytes, file.filename, file.media_type, known)
    for own in [*fields, FILE_FIELD.name] if not found else fields:
        if own not in found:
            name = f"{format_}.{own}"
            raise Invalid(f"{name}: the file is missing.", field=name)
    return found


def _require(wanted: UploadField, given: Mapping[str, str], prefix: str) -> None:
    is_needed = wanted.type is not FieldType.FILE and not wanted.is_optional
    if is_needed and not given.get(wanted.name):
        name = f"{prefix}.{wanted.name}"
        raise Invalid(f"{name}: is required.", field=name)
