"""Descriptors: references inside a manifest to content, with media type, digest and size.

Source: OCI image-spec, Descriptors and Image Index (platform).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.reference import Digest
from repoman_docker.protocol.strict_json import JsonObject

_FIELDS = {
    name.casefold(): name
    for name in (
        "mediaType",
        "digest",
        "size",
        "urls",
        "annotations",
        "data",
        "artifactType",
        "platform",
    )
}


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform of the content; fields that are not given are empty.

    Attributes:
        os: for example ``linux``.
        architecture: for example ``amd64``.
        variant: of the processor, for example ``v8``.
    """

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to a blob or manifest.

    Attributes:
        media_type: of the content; not empty, its grammar not checked.
        digest: of the content; the algorithm may be one that is not supported.
        size: of the content, in bytes.
        annotations: free texts; only the short ones if there is ``read_annotations``.
        artifact_type: of the artifact; empty if not given.
        platform: for children of an index, else None.
        urls: the addresses of a foreign layer.
        read_annotations: reads the content and returns all annotations; None: there are no more.
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str = ""
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    read_annotations: Callable[[], Mapping[str, str]] | None = None


def parse_descriptor(fields: JsonObject) -> Descriptor:
    """Return the descriptor in a JSON object.

    The embedded ``data``, if any, must be a string and is otherwise ignored.

    Raises:
        RegistryError: MANIFEST_INVALID, a field is missing, malformed or of the wrong type.
    """
    fields.check_case(_FIELDS)
    fields.text("data")
    media_type = fields.text("mediaType")
    if not media_type:
        raise fields.error("mediaType", "is missing")
    return Descriptor(
        media_type=media_type,
        digest=_digest(fields),
        size=fields.size("size"),
        annotations=fields.text_map("annotations"),
        artifact_type=fields.text("artifactType"),
        platform=_platform(fields.record("platform")),
        urls=_urls(fields),
    )


def _digest(fields: JsonObject) -> Digest:
    text = fields.text("digest")
    try:
        return Digest.parse(text)
    except RegistryError as error:
        raise fields.error("digest", f"is not valid: {error.message.rstrip('.')}") from error


def _platform(fields: JsonObject | None) -> Platform | None:
    if fields is None:
        return None
    fields.text("os.version")  # Of no use here, but their types are checked.
    fields.texts("os.features")
    return Platform(
        os=fields.text("os"),
        architecture=fields.text("architecture"),
        variant=fields.text("variant"),
    )


def _urls(fields: JsonObject) -> tuple[str, ...]:
    urls = fields.texts("urls")
    if not all(_is_fetchable(url) for url in urls):
        raise fields.error("urls", "must hold http or https URLs without a fragment")
    return urls


def _is_fetchable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and "#" not in url
