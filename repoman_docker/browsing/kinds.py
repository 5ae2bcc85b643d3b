"""What manifests are to people: images, charts, caches, and what is attached to an image.

Sources: the media types that helm, BuildKit, cosign, notation, syft, trivy and oras use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from repoman.plugin import Referrer
from repoman_docker.protocol import media_types
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.manifest import Kind, Manifest

CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
IN_TOTO = "application/vnd.in-toto+json"
PREDICATE_KEYS = ("in-toto.io/predicate-type", "predicateType", "dev.sigstore.bundle.predicateType")
ATTESTATION_KEY = "vnd.docker.reference.type"
ATTESTED_KEY = "vnd.docker.reference.digest"


class ArtifactKind(StrEnum):
    """What a tag leads to."""

    IMAGE = "image"
    INDEX = "index"
    CACHE = "build cache"
    CHART = "Helm chart"
    ARTIFACT = "artifact"


class AttachmentIcon(StrEnum):
    """What something attached is, as a picture may show it."""

    SIGNATURE = "sign"
    SBOM = "sbom"
    PROVENANCE = "stamp"
    OTHER = "file"


@dataclass(frozen=True, slots=True)
class AttachmentType:
    """What something attached is called, and what more is known of it."""

    icon: AttachmentIcon
    name: str
    about: str


_CHARTS = frozenset({"application/vnd.cncf.helm.config.v1+json"})
_SIGNATURE, _SBOM = (AttachmentIcon.SIGNATURE, "Signature"), (AttachmentIcon.SBOM, "SBOM")
_TYPES: Mapping[str, AttachmentType] = {
    "application/vnd.dev.sigstore.bundle.v0.3+json": AttachmentType(
        *_SIGNATURE, "Sigstore bundle 0.3"
    ),
    "application/vnd.dev.sigstore.bundle+json;version=0.3": AttachmentType(
        *_SIGNATURE, "Sigstore bundle 0.3"
    ),
    "application/vnd.dev.cosign.artifact.sig.v1+json": AttachmentType(*_SIGNATURE, "cosign"),
    "application/vnd.dev.cosign.simplesigning.v1+json": AttachmentType(*_SIGNATURE, "cosign"),
    "application/vnd.cncf.notary.signature": AttachmentType(*_SIGNATURE, "notation"),
    "application/vnd.cncf.notary.v2.signature": AttachmentType(*_SIGNATURE, "notation"),
    "application/spdx+json": AttachmentType(*_SBOM, "SPDX, JSON"),
    "text/spdx+json": AttachmentType(*_SBOM, "SPDX, JSON"),
    "text/spdx": AttachmentType(*_SBOM, "SPDX"),
    "application/vnd.cyclonedx+json": AttachmentType(*_SBOM, "CycloneDX, JSON"),
    "application/vnd.cyclonedx+xml": AttachmentType(*_SBOM, "CycloneDX, XML"),
    "application/vnd.cyclonedx": AttachmentType(*_SBOM, "CycloneDX"),
    "application/vnd.syft+json": AttachmentType(*_SBOM, "Syft, JSON"),
    "application/vnd.dev.cosign.artifact.sbom.v1+json": AttachmentType(*_SBOM, "cosign"),
    "application/sarif+json": AttachmentType(AttachmentIcon.OTHER, "Scan report", "SARIF"),
    "application/vnd.aquasec.trivy.report.sarif.v1": AttachmentType(
        AttachmentIcon.OTHER, "Scan report", "Trivy"
    ),
    "application/vnd.oci.empty.v1+json": AttachmentType(AttachmentIcon.OTHER, "Artifact", ""),
}
_PREDICATES: tuple[tuple[str, AttachmentType], ...] = (
    (
        "https://slsa.dev/provenance/",
        AttachmentType(AttachmentIcon.PROVENANCE, "Build provenance", "SLSA, in-toto"),
    ),
    ("https://spdx.dev/Document", AttachmentType(*_SBOM, "SPDX, in-toto")),
    ("https://cyclonedx.org/bom", AttachmentType(*_SBOM, "CycloneDX, in-toto")),
    ("https://sigstore.dev/cosign/sign/", AttachmentType(*_SIGNATURE, "cosign")),
)
# What cosign puts behind the digest of an image to make the tag of what belongs to it.
LEGACY_SUFFIXES: Mapping[str, AttachmentType] = {
    ".sig": AttachmentType(*_SIGNATURE, "cosign"),
    ".att": AttachmentType(AttachmentIcon.OTHER, "Attestation", "cosign"),
    ".sbom": AttachmentType(*_SBOM, "cosign"),
}


def kind_of(manifest: Manifest) -> ArtifactKind:
    """Return what a manifest is to people."""
    config = "" if manifest.config is None else manifest.config.media_type
    if config == CACHE_CONFIG or any(each.media_type == CACHE_CONFIG for each in manifest.children):
        return ArtifactKind.CACHE
    if manifest.kind is Kind.INDEX:
        return ArtifactKind.INDEX
    if config in media_types.IMAGE_CONFIGS:
        return ArtifactKind.IMAGE
    return ArtifactKind.CHART if config in _CHARTS else ArtifactKind.ARTIFACT


def attachment_type_of(artifact_type: str, annotations: Mapping[str, str]) -> AttachmentType:
    """Return what something attached is called: by its type, or by what it states."""
    for key in PREDICATE_KEYS:
        predicate = annotations.get(key, "")
        for beginning, label in _PREDICATES:
            if predicate.startswith(beginning):
                return label
        if predicate:
            return AttachmentType(AttachmentIcon.OTHER, "Attestation", predicate)
    if artifact_type == IN_TOTO:
        return AttachmentType(AttachmentIcon.OTHER, "Attestation", "in-toto")
    found = _TYPES.get(artifact_type)
    return found or AttachmentType(
        AttachmentIcon.OTHER, artifact_type or "Artifact", "no friendly name is known"
    )


def referrer_type(referrer: Referrer) -> AttachmentType:
    """Return what something is called that has an image as its subject."""
    attributes = referrer.attributes
    annotations = attributes.get("annotations") or {}
    return attachment_type_of(str(attributes.get("artifact_type") or ""), annotations)


def is_attestation(child: Descriptor) -> bool:
    """Return whether a child of an index is about another one, and is not an image itself."""
    platform = child.platform
    is_unknown = platform is not None and (platform.os, platform.architecture) == ("unknown",) * 2
    return is_unknown or ATTESTATION_KEY in child.annotations
