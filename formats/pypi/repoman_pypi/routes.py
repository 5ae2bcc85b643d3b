"""Uploads as twine, uv and poetry send them: a form with the file and its metadata."""

import re
import zipfile
from collections.abc import Mapping, Sequence

from flask import Blueprint, Response

from repoman.plugin import (
    BlobUpload,
    File,
    FileUpload,
    Invalid,
    NewFile,
    receive_file_form,
)
from repoman_pypi.paths import path_of, project_of, split_filename

PATHS = ("/", "/legacy/", "/simple/")
METADATA_MAX_BYTES = 4 << 20
METADATA_NAME = re.compile(r"[^/]+\.dist-info/METADATA")
DIGESTS = (("sha256_digest", "sha256"), ("md5_digest", "md5"))
OBSOLETE = ("submit", "doc_upload")

Fields = Mapping[str, Sequence[str]]


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes of uploads."""
    for path in PATHS:
        blueprint.post(path, endpoint=f"upload {path}")(upload)


def upload() -> Response:
    """Store the file of a form, with the METADATA of a wheel beside it."""
    with receive_file_form("content") as form:
        action = _text(form.fields, ":action")
        if action in OBSOLETE:
            raise Invalid(f"The action {action!r} is no longer needed.")
        if action != "file_upload":
            raise Invalid(f"The action {action!r} is not supported, only file_upload is.")
        file = _checked(form)
        requires, summary = (_text(form.fields, key) for key in ("requires_python", "summary"))
        given = {"requires_python": requires, "summary": summary}
        new = NewFile(file, form.media_type, {key: text for key, text in given.items() if text})
        form.save(new, *_metadata(form, file))
    return Response(status=200)


def _checked(form: FileUpload) -> File:
    """Return the file that a form has (Invalid: name, version or digest do not fit)."""
    name = form.filename
    found, path = split_filename(name), path_of(name)
    if found is None or path is None or "/" in name or "\\" in name:
        raise Invalid(f"{name!r} is not the name of a wheel or source distribution.")
    project, version = _text(form.fields, "name"), _text(form.fields, "version")
    if project_of(project) != found[0]:
        raise Invalid(f"The file name {name!r} does not fit the name {project!r}.")
    given = split_filename(f"x-{version}.tar.gz")
    if given is None or given[1] != found[1]:
        raise Invalid(f"The file name {name!r} does not fit the version {version!r}.")
    digests = [(key, _text(form.fields, key), form.bytes.hexdigest(kind)) for key, kind in DIGESTS]
    if not any(text for _, text, _ in digests):
        raise Invalid("The form has no digest of the file.")
    for key, text, real in digests:
        if text and text.lower() != real:
            raise Invalid(f"{key}: the digest does not match the uploaded file.")
    return File(path, *found)


def _metadata(form: FileUpload, file: File) -> list[tuple[NewFile, BlobUpload]]:
    """Return the METADATA of a wheel as a file beside it (PEP 658)."""
    if not file.path.endswith(".whl"):
        return []
    try:
        with form.bytes.open_reader() as source, zipfile.ZipFile(source) as archive:
            entries = [
                each for each in archive.infolist() if METADATA_NAME.fullmatch(each.filename)
            ]
            if len(entries) != 1:
                raise Invalid(f"{form.filename} does not have one METADATA.")
            with archive.open(entries[0]) as entry:
                data = entry.read(METADATA_MAX_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise Invalid(f"{form.filename} is not a wheel: {error}.") from error
    if len(data) > METADATA_MAX_BYTES:
        raise Invalid(f"The METADATA of {form.filename} is larger than {METADATA_MAX_BYTES} bytes.")
    beside = form.open_beside()
    beside.write(data)
    described = File(f"{file.path}.metadata", file.package, file.version)
    return [(NewFile(described, "text/plain"), beside)]


def _text(fields: Fields, name: str) -> str:
    return next(iter(fields.get(name, ())), "")
