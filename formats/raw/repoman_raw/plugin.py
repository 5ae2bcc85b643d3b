"""Repositories of plain files: the smallest format. Its files lie under the paths of clients."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from repoman.plugin import (
    FILES_BY_PATH,
    UPLOAD_TO_DIRECTORY,
    ConnectorSection,
    File,
    FileFormat,
    Format,
    FormatUi,
    Recipe,
    Repository,
    RepositoryConfig,
    Rest,
    SearchField,
    SearchTarget,
    UploadGuide,
    UseGuide,
    UseRequest,
    check_path,
    files_format,
    files_recipes,
    hookimpl,
)
from repoman_raw.browsing import GUIDE, guide

REPOMAN_API = "1.0"  # The version of the API of plugins that this was written for.
# For pages that may run scripts, this replaces the default policy of the core.
SCRIPTS = {"Content-Security-Policy": "frame-ancestors 'self'"}


class ContentDisposition(StrEnum):
    """What browsers do with files."""

    INLINE = "inline"
    ATTACHMENT = "attachment"


class RawSection(ConnectorSection):
    """How clients reach the repository, besides /repository/<name>/ on the main port."""

    in_rest: ClassVar = {
        "content_disposition": Rest(empty=ContentDisposition.ATTACHMENT),
        "scripts": None,  # Clients refuse fields that they do not know.
    }

    scripts: bool = Field(
        False,
        description="Whether pages may run scripts on a connector; never on the main port.",
        title="Let pages run scripts",
        json_schema_extra={"hint": "On a connector; never on the main port.", "advanced": True},
    )
    content_disposition: ContentDisposition = Field(
        ContentDisposition.INLINE,
        description="Whether browsers show files (inline) or save them (attachment).",
        title="Browsers",
        json_schema_extra={
            "hint": "",
            "labels": {"inline": "show files", "attachment": "save files"},
        },
    )


class Raw(FileFormat):
    """Any path is a file, which may change at any time."""

    name = "raw"
    title = "Raw"
    checksums = ("md5", "sha1", "sha512")
    takes_puts = True
    upload = UPLOAD_TO_DIRECTORY
    rules = replace(
        FILES_BY_PATH,
        search_fields={"raw.name": SearchField(SearchTarget.NAME, "Path of a file.")},
    )

    def target(self, path: str) -> File | None:
        """Return the file at a path; directories are not listed."""
        if path == "" or path.endswith("/"):
            return None
        check_path(path)
        return File(path, is_mutable=True)

    def headers(self, config: RepositoryConfig) -> Mapping[str, str]:
        """Return what browsers are to do with files."""
        section = config.section("raw", RawSection)
        saved = section.content_disposition is ContentDisposition.ATTACHMENT
        disposition = {"Content-Disposition": "attachment"} if saved else {}
        return {**disposition, **(SCRIPTS if section.scripts else {})}


RAW = Raw()
UI = FormatUi(
    "file",
    lambda url: f"curl -O {url}/PATH",
    about="Plain files under their paths",
    path_example="/docs/manual.pdf",
)


@hookimpl
def repoman_register_formats() -> list[Format]:
    """Return the format: its name and its routes."""
    return [files_format(RAW, UI)]


@hookimpl
def repoman_register_recipes() -> list[Recipe]:
    """Return one recipe for each repository type of the format."""
    return files_recipes(RAW, {"raw": RawSection})


@hookimpl
def repoman_web_upload(repository: Repository) -> UploadGuide | None:
    """Return how the form for uploads looks."""
    return GUIDE if repository.config.format == RAW.name else None


@hookimpl
def repoman_web_use(request: UseRequest) -> UseGuide | None:
    """Return how clients use a repository."""
    return guide(request) if request.repository.config.format == RAW.name else None
