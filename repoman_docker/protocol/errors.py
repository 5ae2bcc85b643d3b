"""The errors of the registry API: codes, statuses, messages, and their JSON body.

::

    RegistryError         one error: code, message, detail, status, headers
    ├── MissingBlob       a manifest refers to a blob that does not exist
    └── RegistryErrors    several of them in one answer, the most important first

Clients show ``<code in words>: <message>`` and mostly only the first error, so the message has the
reason. The docker daemon repeats a failed transfer up to five times for every code other than
UNAUTHORIZED, DENIED, UNSUPPORTED, TOOMANYREQUESTS and NAME_UNKNOWN.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Self

from repoman_docker.protocol.texts import one_line


class ErrorCode(StrEnum):
    """An error code, with its usual HTTP ``status`` and a default ``message``.

    Source: OCI distribution-spec, Error Codes; those marked extra come from docker's registry.
    """

    status: int
    message: str

    def __new__(cls, value: str, status: int, message: str) -> Self:
        """Create a member of the enumeration."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.status = status
        member.message = message
        return member

    BLOB_UNKNOWN = "BLOB_UNKNOWN", 404, "The image has no such blob."
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID", 400, "The upload is not valid. Start it again."
    BLOB_UPLOAD_UNKNOWN = (
        "BLOB_UPLOAD_UNKNOWN",
        404,
        "The upload does not exist or has expired. Start it again.",
    )
    DIGEST_INVALID = "DIGEST_INVALID", 400, "The digest is malformed or does not match the content."
    MANIFEST_BLOB_UNKNOWN = (
        "MANIFEST_BLOB_UNKNOWN",
        400,
        "The manifest refers to a blob that does not exist. Push the blob first.",
    )
    MANIFEST_INVALID = "MANIFEST_INVALID", 400, "The manifest is not valid."
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN", 404, "The image has no such tag or manifest."
    NAME_INVALID = "NAME_INVALID", 400, "The image name is not valid."
    NAME_UNKNOWN = "NAME_UNKNOWN", 404, "There is no image with this name."
    SIZE_INVALID = "SIZE_INVALID", 400, "The length received differs from the length announced."
    UNAUTHORIZED = "UNAUTHORIZED", 401, "Authentication is required. Run 'docker login' first."
    DENIED = "DENIED", 403, "You are not allowed to do this."
    UNSUPPORTED = "UNSUPPORTED", 405, "This repository does not support the operation."
    TOOMANYREQUESTS = "TOOMANYREQUESTS", 429, "Too many requests. Try again later."
    # extra
    PAGINATION_NUMBER_INVALID = (
        "PAGINATION_NUMBER_INVALID",
        400,
        "The parameter n must be a number of entries, 0 or more.",
    )
    RANGE_INVALID = (
        "RANGE_INVALID",
        416,
        "The chunk does not start where the upload ends. Query the status of the upload.",
    )
    TAG_INVALID = "TAG_INVALID", 400, "The tag is not valid."
    UNAVAILABLE = "UNAVAILABLE", 503, "The repository is not available. Try again later."
    UNKNOWN = "UNKNOWN", 500, "Internal server error. The server log has the details."


class RegistryError(Exception):
    """An error response of the registry.

    Args:
        code: what kind of error it is.
        message: a short sentence that the client shows to its user; None for the default of
            the code.
        detail: any JSON value for programs, omitted if None.
        status: the HTTP status if it is not the code's usual one.
        headers: headers to send with the response (``Location``, ``Retry-After``, …).
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        detail: object = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.message = code.message if message is None else one_line(message)
        self.detail = detail
        self.status = code.status if status is None else status
        self.headers: Mapping[str, str] = dict(headers or {})
        super().__init__(self.message)

    @property
    def errors(self) -> Sequence["RegistryError"]:
        """The single errors to render, the most important first; at least one."""
        return (self,)


class RegistryErrors(RegistryError):
    """Several errors in one response, with the code, status and headers of the first.

    Args:
        errors: at least one, the most important first.
    """

    def __init__(self, errors: Sequence[RegistryError]) -> None:
        first = errors[0]
        super().__init__(first.code, first.message, first.detail, first.status, first.headers)
        self._errors = tuple(errors)

    @property
    def errors(self) -> Sequence[RegistryError]:
        """The single errors to render, the most important first; at least one."""
        return self._errors


class MissingBlob(RegistryError):
    """The refusal of a manifest that refers to a blob that does not exist.

    Args:
        digest: of the blob.
    """

    def __init__(self, digest: str) -> None:
        text = f"The manifest refers to the blob {digest}, which does not exist. Push it first."
        super().__init__(ErrorCode.MANIFEST_BLOB_UNKNOWN, text, {"digest": digest})
        self.digest = digest


def missing_blobs(digests: Iterable[object]) -> RegistryErrors:
    """Return the refusal of a manifest that refers to missing blobs, with one error for each.

    Args:
        digests: the missing digests, at least one; each once.
    """
    return RegistryErrors([MissingBlob(str(digest)) for digest in digests])


def render_errors(error: RegistryError) -> bytes:
    """Return the body of an error response, for ``Content-Type: application/json``.

    Source: OCI distribution-spec, Error Codes.
    """
    body = {"errors": [_as_json(single) for single in error.errors]}
    return json.dumps(body, default=str).encode("ascii")


def _as_json(error: RegistryError) -> dict[str, object]:
    entry: dict[str, object] = {"code": error.code.value, "message": error.message}
    if error.detail is not None:
        entry["detail"] = error.detail
    return entry


def quoted(text: str) -> str:
    """Return client input in quotes, shortened and escaped for use in a message."""
    return repr(text if len(text) <= 80 else text[:80] + "…")
