"""The protocol of raw repositories of any type, their settings, and which paths a file may have."""

import mimetypes
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Protocol

from pydantic import Field

from repoman.plugin import BlobUpload, ConnectorSection, Content, Invalid, NotFound, Rest

# For pages that may run scripts, this replaces the default policy of the core.
SCRIPTS = {"Content-Security-Policy": "frame-ancestors 'self'"}


class RawRepository(Protocol):
    """Files by path. All methods are thread safe.

    Every method raises Invalid where :func:`repoman_raw.service.check_path` does.
    """

    def get(self, path: str) -> Content:
        """Return a file.

        Raises:
            NotFound: there is no such file; directories are not listed.
        """

    def open_blob_upload(self, path: str) -> BlobUpload:
        """Begin the upload of the bytes of a file; call this before reading the body.

        Raises:
            ReadOnly: the write policy refuses a file at this path.
        """

    def save(self, path: str, upload: BlobUpload, media_type: str) -> bool:
        """Store the uploaded bytes as the file at a path; return whether the file is new.

        Raises:
            ReadOnly: the write policy refuses it, for example because another client was faster.
        """

    def delete(self, path: str) -> None:
        """Remove a file.

        Raises:
            NotFound: there is no such file.
            ReadOnly: the write policy refuses it.
        """


class ContentDisposition(StrEnum):
    """What browsers do with files."""

    INLINE = "inline"
    ATTACHMENT = "attachment"


class RawSection(ConnectorSection):
    """How clients reach the repository, besides /repository/<name>/ on the main port."""

    in_rest: ClassVar = {
        "content_disposition": Rest(empty=ContentDisposition.ATTACHMENT),
        # Clients refuse fields that they do not know.
        **dict.fromkeys(("http_port", "https_port", "external_url", "scripts")),
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

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of files."""
        saved = self.content_disposition is ContentDisposition.ATTACHMENT
        disposition = {"Content-Disposition": "attachment"} if saved else {}
        return {**disposition, **(SCRIPTS if self.scripts else {})}


PATH_MAX_CHARS = 1024  # A longer path is refused.
# Control characters, and the character that replaces bytes that are not UTF-8.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")


def guess_media_type(path: str) -> str:
    """Return the media type that the name of a file suggests."""
    guess, encoding = mimetypes.guess_type(path)
    if guess is None or encoding is not None:  # app.tar.gz does not have the type of app.tar
        guess = "application/octet-stream"
    return guess


def check_file(path: str) -> None:
    """Check the path of a file that may exist, relative to the root of its repository.

    Raises:
        NotFound: it is the path of a directory.
        Invalid: see :func:`check_path`.
    """
    if path == "" or path.endswith("/"):
        raise NotFound("Directories are not listed. Request a file.")
    check_path(path)


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
