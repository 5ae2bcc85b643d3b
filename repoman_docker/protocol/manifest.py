"""Manifests and indexes: parsing, validation, and the content they refer to.

Source: OCI image-spec, Image Manifest and Image Index; docker's image manifest V2 schema 2; OCI
distribution-spec, Pushing manifests.
"""

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from repoman_docker.protocol import media_types
from repoman_docker.protocol.descriptor import Descriptor, parse_descriptor
from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted
from repoman_docker.protocol.reference import Digest
from repoman_docker.protocol.strict_json import JsonObject, parse_loosely, parse_object

_FIELDS = {
    name.casefold(): name
    for name in (
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "fsLayers",
        "manifests",
        "subject",
        "artifactType",
        "annotations",
    )
}
_TELLING = {
    "signatures": media_types.SCHEMA1_SIGNED,
    "fsLayers": media_types.SCHEMA1_PLAIN,
    "manifests": media_types.OCI_INDEX,
    "config": media_types.OCI_MANIFEST,
    "layers": media_types.OCI_MANIFEST,
}
"""The fields that reveal the media type of a manifest without one, the surest first."""

_SCHEMA1_REFUSED = (
    "Docker image manifests of schema 1 are obsolete and not accepted. "
    "Push with Docker 1.10 or later."
)

UNLIMITED = sys.maxsize
"""No limit on descriptors: stored manifests are always read."""

ARTIFACT_TYPE_MAX_CHARS = 255  # RFC 6838 allows 127 on each side of the slash.

USUAL_PLATFORM = ("linux", "amd64")
"""What most clients pull of an index."""


class Kind(StrEnum):
    """The shape of a manifest."""

    IMAGE = "image"
    ARTIFACT = "artifact"
    INDEX = "index"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that follows the rules of its media type.

    Attributes:
        media_type: to be sent as Content-Type; well-formed, without parameters.
        kind: ``IMAGE`` has config and layers, ``ARTIFACT`` only layers, ``INDEX`` children; the
            content of ``OTHER`` is unknown.
        config: of an image, else None.
        layers: of an image, bottom first; the blobs of an artifact; may be empty.
        children: of an index, with their platforms; may be empty.
        subject: the manifest to which this one refers as its subject, or None; need not exist.
        artifact_type: as listed with referrers: that of the manifest, else the media type of the
            config of an image, else empty.
        annotations: of the manifest itself.
        mentioned: of ``OTHER``: all digests anywhere in it.
    """

    media_type: str
    kind: Kind
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    mentioned: tuple[Digest, ...] = ()

    def required_blobs(self) -> tuple[Descriptor, ...]:
        """Return the config and layers that must exist before the push; each digest once.

        Foreign layers are omitted, as they may stay on their own servers.
        """
        config = () if self.config is None else (self.config,)
        own = (d for d in self.layers if not media_types.is_foreign_layer(d.media_type))
        return _unique((*config, *own))

    def child_manifests(self) -> tuple[Descriptor, ...]:
        """Return the children that are certainly manifests, each digest once.

        Children of other media types are omitted: build caches list blobs in an index.
        """
        return _unique(d for d in self.children if d.media_type in media_types.ACCEPTED)

    def references(self) -> tuple[Digest, ...]:
        """Return all digests that must be kept as long as this manifest exists, each once.

        They may be blobs or manifests and need not exist. The subject is not included.
        """
        named = (each.digest for each in self.descriptors())
        return tuple(dict.fromkeys((*named, *self.mentioned)))

    def descriptors(self) -> tuple[Descriptor, ...]:
        """Return the descriptors of config, layers and children; the latter as ``by_platform``."""
        config = () if self.config is None else (self.config,)
        return (*config, *self.layers, *self.by_platform())

    def by_platform(self) -> list[Descriptor]:
        """Return the children, first those that most clients pull, and attestations last."""
        return sorted(self.children, key=_rank)


def parse_manifest(
    body: bytes, content_type: str | None, descriptor_limit: int = UNLIMITED
) -> Manifest:
    """Parse a pushed manifest.

    Content of an unknown JSON media type is accepted: it is stored and served unchanged, none of
    its references is required, and its subject is ignored. The caller checks whether the blobs and
    children exist, and the size of the body.

    Args:
        body: the exact bytes pushed.
        content_type: the Content-Type header; if missing or ``application/json``, the body's
            ``mediaType`` counts, or else its shape.
        descriptor_limit: maximum number of layers or children, or of digests in unknown content.

    Raises:
        RegistryError: MANIFEST_INVALID, it breaks the rules of its media type.
    """
    fields = parse_object(body)
    fields.check_case(_FIELDS)
    media_type = _media_type(fields, media_types.parse_content_type(content_type))
    if media_types.is_manifest(media_type):
        _check_count(fields.count("layers"), "layers", descriptor_limit)
        return _image(fields, media_type)
    if media_types.is_index(media_type):
        _check_count(fields.count("manifests"), "images", descriptor_limit)
        return _index(fields, media_type)
    if media_type == media_types.OCI_ARTIFACT:
        _check_count(fields.count("blobs"), "blobs", descriptor_limit)
        return _artifact(fields)
    return _other(fields, media_type, descriptor_limit)


def _check_count(count: int, what: str, limit: int) -> None:
    if count > limit:
        raise _invalid(
            f"The manifest refers to {count} {what}; at most {limit} are accepted. An "
            "administrator can raise the limit of the repository (docker.descriptor_limit)."
        )


def read_manifest(body: bytes, content_type: str | None) -> Manifest:
    """Parse the manifest of another registry, as far as it can be understood.

    The other registry accepted it, and clients get the same bytes: any JSON object is accepted. One
    that breaks the rules of its media type is ``OTHER``.

    Args:
        body: the exact bytes.
        content_type: the Content-Type header; the body takes precedence.

    Raises:
        RegistryError: MANIFEST_INVALID, it is not a JSON object.
    """
    declared = media_types.parse_content_type(content_type)
    for each in (declared if media_types.is_json(declared) else None, None):
        with suppress(RegistryError):
            return parse_manifest(body, each)
    fields = parse_loosely(body)
    return _other(fields, _guess_foreign_type(fields, declared))


def _guess_foreign_type(fields: JsonObject, declared: str) -> str:
    for found in (fields.loose_text("mediaType"), declared):
        media_type = media_types.parse_content_type(found)
        if media_type in media_types.SCHEMA1 or (
            media_types.is_json(media_type) and media_type != media_types.JSON
        ):
            return media_type
    for key, media_type in _TELLING.items():
        if key in fields:
            return media_type
    raise _invalid("The JSON document is not a manifest.")


def _media_type(fields: JsonObject, declared: str) -> str:
    inside = fields.text("mediaType")
    if declared in ("", media_types.JSON):
        declared = inside or _guess_media_type(fields)
    if declared in media_types.SCHEMA1:
        raise _invalid(_SCHEMA1_REFUSED)
    if not media_types.is_json(declared):
        raise _invalid(
            f"{quoted(declared)} is not the media type of a manifest. "
            "Send the media type of the manifest as Content-Type."
        )
    if inside and inside != declared:
        raise _invalid(
            f"The mediaType of the manifest is {quoted(inside)}, but the Content-Type is "
            f"{quoted(declared)}. They must be equal."
        )
    return declared


def _guess_media_type(fields: JsonObject) -> str:
    if fields.integer("schemaVersion") == 1:
        return media_types.SCHEMA1_PLAIN
    if fields.is_given("manifests"):
        return media_types.OCI_INDEX
    if fields.is_given("config"):
        return media_types.OCI_MANIFEST
    raise _invalid("The media type of the manifest is unknown. Send it as Content-Type.")


def _image(fields: JsonObject, media_type: str) -> Manifest:
    # Some tools push artifacts without layers, and distribution accepts them.
    _check_shape(fields, "layers", refused=("manifests", "fsLayers"), is_required=False)
    config = fields.record("config")
    if config is None:
        raise fields.error("config", "is missing")
    parsed_config = parse_descriptor(config)
    return Manifest(
        media_type=media_type,
        kind=Kind.IMAGE,
        config=parsed_config,
        layers=tuple(map(parse_descriptor, fields.records("layers"))),
        subject=_subject(fields),
        artifact_type=_artifact_type(fields, parsed_config.media_type),
        annotations=fields.text_map("annotations"),
    )


def _index(fields: JsonObject, media_type: str) -> Manifest:
    _check_shape(fields, "manifests", refused=("config", "layers", "fsLayers"))
    return Manifest(
        media_type=media_type,
        kind=Kind.INDEX,
        children=tuple(map(parse_descriptor, fields.records("manifests"))),
        subject=_subject(fields),
        artifact_type=_artifact_type(fields),
        annotations=fields.text_map("annotations"),
    )


def _artifact(fields: JsonObject) -> Manifest:
    fields.check_case({"blobs": "blobs"})
    for key in ("config", "layers", "manifests", "fsLayers"):
        if key in fields:
            raise fields.error(key, "is not allowed in an artifact manifest")
    return Manifest(
        media_type=media_types.OCI_ARTIFACT,
        kind=Kind.ARTIFACT,
        layers=tuple(map(parse_descriptor, fields.records("blobs"))),
        subject=_subject(fields),
        artifact_type=_artifact_type(fields),
        annotations=fields.text_map("annotations"),
    )


def _other(fields: JsonObject, media_type: str, limit: int = UNLIMITED) -> Manifest:
    named = (value for key in ("digest", "blobSum") for value in fields.values_of(key))
    found = map(_find_digest, named)
    mentioned = tuple(dict.fromkeys(digest for digest in found if digest is not None))
    _check_count(len(mentioned), "digests", limit)
    return Manifest(media_type=media_type, kind=Kind.OTHER, mentioned=mentioned)


def _check_shape(
    fields: JsonObject, wanted: str, refused: tuple[str, ...], *, is_required: bool = True
) -> None:
    version = fields.integer("schemaVersion")
    if version == 1:
        raise _invalid(_SCHEMA1_REFUSED)
    if version != 2:
        raise fields.error("schemaVersion", "must be 2")
    for (
        key
    ) in refused:  # it could be an image to one client and an index to another: CVE-2021-41190
        if key in fields:
            raise fields.error(key, f"is not allowed together with {wanted}")
    if is_required and not fields.is_given(wanted):
        raise fields.error(wanted, "is missing")


def _artifact_type(fields: JsonObject, otherwise: str = "") -> str:
    found = fields.text("artifactType") or otherwise
    if len(found) > ARTIFACT_TYPE_MAX_CHARS:
        raise _invalid(
            f"The artifact type of the manifest has {len(found)} characters; at most "
            f"{ARTIFACT_TYPE_MAX_CHARS} are accepted."
        )
    return found


def _subject(fields: JsonObject) -> Descriptor | None:
    subject = fields.record("subject")
    return None if subject is None else parse_descriptor(subject)


def _find_digest(value: object) -> Digest | None:
    try:
        return Digest.parse(value) if isinstance(value, str) else None
    except RegistryError:
        return None


def _rank(child: Descriptor) -> int:
    platform = child.platform
    if platform is None:
        return 1
    # Attestations are listed beside their images, with an unknown platform.
    is_unknown = "unknown" in (platform.os, platform.architecture)
    return 2 if is_unknown else (platform.os, platform.architecture) != USUAL_PLATFORM


def _unique(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    by_digest: dict[Digest, Descriptor] = {}
    for descriptor in descriptors:
        by_digest.setdefault(descriptor.digest, descriptor)
    return tuple(by_digest.values())


def _invalid(message: str) -> RegistryError:
    return RegistryError(ErrorCode.MANIFEST_INVALID, message)
