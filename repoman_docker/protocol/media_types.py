"""The media types of manifests, configs and layers.

Source: OCI image-spec, Media Types; docker's image manifest V2 schema 2.
"""

import re

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
"""Artifact manifests of the release candidates of image-spec 1.1; some tools still push them."""

SCHEMA1_PLAIN = "application/vnd.docker.distribution.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
SCHEMA1 = frozenset({SCHEMA1_PLAIN, SCHEMA1_SIGNED})
"""The obsolete types of Docker schema 1, which are refused."""

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"

IMAGE_CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
"""The configs of container images; those of artifacts have other types."""

PLAIN_LAYERS = frozenset({OCI_LAYER, OCI_LAYER_GZIP, DOCKER_LAYER, DOCKER_LAYER_TAR})
"""The layers that engines of any version can read."""

JSON = "application/json"
OCTET_STREAM = "application/octet-stream"

ACCEPTED = (OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT)
"""The manifests that can be stored and served with their references checked."""

ACCEPT = ", ".join(ACCEPTED)
"""The Accept header of requests for manifests to an upstream, in one line.

It does not have ``*/*``, for which some registries would convert to schema 1.
"""

_FOREIGN_LAYERS = (
    "application/vnd.docker.image.rootfs.foreign.",
    "application/vnd.oci.image.layer.nondistributable.",
)
_RESTRICTED_NAME = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"  # RFC 6838, 4.2
_GRAMMAR = re.compile(f"{_RESTRICTED_NAME}/{_RESTRICTED_NAME}", re.IGNORECASE | re.ASCII)


def is_manifest(media_type: str) -> bool:
    """Return whether it is an image manifest (config and layers)."""
    return media_type in (OCI_MANIFEST, DOCKER_MANIFEST)


def is_index(media_type: str) -> bool:
    """Return whether it is an index (Docker: manifest list)."""
    return media_type in (OCI_INDEX, DOCKER_INDEX)


def is_foreign_layer(media_type: str) -> bool:
    """Return whether it is a foreign layer, which is not pushed but fetched from elsewhere."""
    return media_type.startswith(_FOREIGN_LAYERS)


def is_json(media_type: str) -> bool:
    """Return whether it is a well-formed media type whose content is JSON."""
    return bool(_GRAMMAR.fullmatch(media_type)) and (
        media_type == JSON or media_type.endswith("+json")
    )


def parse_content_type(header: str | None) -> str:
    """Return the media type of a Content-Type header in lower case, without its parameters.

    The result is empty if there is none; its grammar is not checked.
    """
    return (header or "").partition(";")[0].strip().lower()
