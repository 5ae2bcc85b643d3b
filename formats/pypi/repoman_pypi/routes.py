"""Uploads as twine, uv and poetry send them: a form with the file and its metadata."""

import re
from collections.abc import Iterable, Mapping

from flask import Blueprint, Response
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from repoman.plugin import (
    BlobUpload,
    File,
    Invalid,
    NewFile,
    read_tar_member,
    read_zip_member,
    receive_file_form,
)
from repoman_pypi.paths import file_of, project_of, whole

PATHS = ("/", "/legacy/", "/simple/")
METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
PKG_INFO = re.compile(r"[^/]+/PKG-INFO")
DIGESTS = {"sha256_digest": "sha256", "md5_digest": "md5"}
OBSOLETE = ("submit", "doc_upload")
SUMMARY_MAX_CHARS = 512  # as at the public index; the rest is not kept
KEPT = ("requires_python", "summary")


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes of uploads."""
    for path in PATHS:
        blueprint.post(path, endpoint=f"upload {path}", strict_slashes=False)(upload)


def upload() -> Response:
    """Store the file of a form."""
    with receive_file_form("content") as form:
        action = form.text(":action")
        if action in OBSOLETE:
            raise Invalid(f"The action {action!r} is no longer needed.")
        if action != "file_upload":
            raise Invalid(f"The action {action!r} is not supported, only file_upload is.")
        file = _checked(form.filename, form.text("name"), form.text("version"))
        form.check_digests(DIGESTS)
        attributes = _kept({key: form.text(key) for key in KEPT})
        form.save(NewFile(file, form.media_type, attributes))
    return Response(status=200)


def distribution(filename: str) -> File:
    """Return the file of this name (Invalid: it is none that clients may upload)."""
    file = file_of(filename)
    if file is None or filename != whole(filename):
        raise Invalid(f"{filename!r} is not the name of a wheel or source distribution.")
    return file


def read_attributes(file: File, content: BlobUpload) -> dict[str, str]:
    """Return what is kept of a file by the metadata in it (Invalid: that is of another file)."""
    data = _read_metadata(file, content)
    return _kept({key: _field(key.replace("_", "-"), data) for key in KEPT})


def describe(file: File, content: BlobUpload) -> Iterable[tuple[NewFile, bytes]]:
    """Return the METADATA of a wheel as a file beside it (PEP 658; Invalid: it is of another)."""
    if not file.path.endswith(".whl"):
        return ()
    beside = File(f"{file.path}.metadata", file.package, file.version)
    return [(NewFile(beside, "text/plain"), _read_metadata(file, content))]


def _read_metadata(file: File, content: BlobUpload) -> bytes:
    """Return the metadata in a file (Invalid: it is of another file)."""
    filename = file.path.rpartition("/")[2]
    pattern = METADATA if filename.endswith(".whl") else PKG_INFO
    read = read_tar_member if filename.endswith(".gz") else read_zip_member
    with content.open_reader() as source:
        data = read(source, filename, pattern)
    _checked(filename, _field("Name", data), _field("Version", data))
    return data


def _kept(given: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that are kept (Invalid: one is wrong)."""
    kept = {key: text[:SUMMARY_MAX_CHARS] for key, text in given.items() if text}
    _check_python(kept.get("requires_python", ""))
    return kept


def _checked(filename: str, name: str, version: str) -> File:
    """Return the file of this name (Invalid: the project or the version do not fit)."""
    file = distribution(filename)
    if project_of(name) != file.package:
        raise Invalid(f"The file name {filename!r} does not fit the name {name!r}.")
    given = file_of(f"x-{version}.tar.gz")
    if given is None or given.version != file.version:
        raise Invalid(f"The file name {filename!r} does not fit the version {version!r}.")
    return file


def _field(name: str, metadata: bytes) -> str:
    """Return a field that is there once; else nothing.

    The library that reads all fields takes time quadratic to their number.
    """
    header = re.split(rb"\r?\n\r?\n", metadata, maxsplit=1)[0]
    found = re.findall(rb"^%b:(.*)" % name.encode(), header, re.MULTILINE | re.IGNORECASE)
    return found[0].decode(errors="replace").strip() if len(found) == 1 else ""


def _check_python(versions: str) -> None:
    try:
        SpecifierSet(versions)
    except InvalidSpecifier as error:
        raise Invalid(f"requires_python: {error}", field="requires_python") from error
