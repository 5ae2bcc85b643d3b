"""What is attached to an image: signatures, SBOMs, provenance, and whatever else names it.

Anybody who may push to an image can attach something to it, and nothing is verified here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from repoman.plugin import Action, Referrer, RepositoryView, StoredAsset
from repoman_docker.browsing.kinds import (
    ATTESTATION_KEY,
    ATTESTED_KEY,
    LEGACY_SUFFIXES,
    AttachmentType,
    attachment_type_of,
    is_attestation,
    referrer_type,
)
from repoman_docker.browsing.loading import LoadedImage, legacy_path
from repoman_docker.browsing.platforms import platform_of
from repoman_docker.browsing.reading import READER
from repoman_docker.layout import SUBJECT, manifest_path, tagged
from repoman_docker.protocol.reference import Tag

ATTACHED_MAX = 200  # Things that are shown; images have a few.
DETAIL_MAX_CHARS = 300
_PLAIN_KEYS = frozenset({"org.opencontainers.image.created", ATTESTATION_KEY, ATTESTED_KEY})


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something that is attached; ``size`` is in bytes, ``at`` in seconds since the epoch.

    Attributes:
        detail: what its annotations say.
        digest: of its manifest, or of a layer of an attestation.
        to: a platform, or empty: the image as a whole.
        at: when it was pushed.
    """

    type: AttachmentType
    detail: str
    media_type: str
    digest: str
    size: int
    to: str
    at: float

    @property
    def is_signature(self) -> bool:
        """Return whether it is a signature, which nobody has verified."""
        return self.type.name == "Signature"


def list_attachments(
    view: RepositoryView, image: LoadedImage, referrers: Iterable[Referrer]
) -> list[Attachment]:
    """Return what is attached to an image and to its platforms; of one statement.

    ``referrers`` are what has them as subject.
    """
    subjects = _subjects(image)
    found = [
        _of_referrer(each, subjects[each.key[1]])
        for each in referrers
        if each.kind == SUBJECT and each.key[1] in subjects
    ]
    found += _of_tags(image, subjects)
    found += _of_index(view, image)
    may = view.may
    return [each for each in found if may(Action.READ, tagged(image.name, Tag(each.digest)))][
        :ATTACHED_MAX
    ]


def _subjects(image: LoadedImage) -> dict[str, str]:
    """Return the paths of the manifests of an image, with their platforms."""
    found = {manifest_path(image.name, each.digest): each.platform for each in image.platforms}
    return {**found, manifest_path(image.name, image.digest): ""}


def _of_referrer(referrer: Referrer, to: str) -> Attachment:
    attributes: Mapping[str, Any] = referrer.attributes
    return Attachment(
        referrer_type(referrer),
        _detail(attributes.get("annotations") or {}),
        str(attributes.get("artifact_type") or referrer.media_type),
        str(attributes.get("digest", "")),
        referrer.size,
        to,
        referrer.updated_at,
    )


def _of_tags(image: LoadedImage, subjects: Mapping[str, str]) -> Iterator[Attachment]:
    """Yield what cosign stores under tags that are made of the digest of an image."""
    named = {manifest_path(image.name, each.digest): each.digest for each in image.platforms}
    named[manifest_path(image.name, image.digest)] = image.digest
    for path, digest in named.items():
        for suffix, label in LEGACY_SUFFIXES.items():
            stored = image.nearby.get(legacy_path(image.name, digest, suffix))
            if stored is not None:
                yield _of_tag(stored, label, subjects[path])


def _of_tag(stored: StoredAsset, label: AttachmentType, to: str) -> Attachment:
    digest = str(stored.attributes["digest"])
    tag = stored.key[1].rpartition("/")[2]
    return Attachment(
        label, f"tag {tag}", stored.media_type, digest, stored.transfer_size, to, stored.updated_at
    )


def _of_index(view: RepositoryView, image: LoadedImage) -> Iterator[Attachment]:
    """Yield the attestations that are children of an index, as BuildKit pushes them."""
    platforms = {str(each.digest): platform_of(each) for each in image.top.children}
    for child in image.top.children:
        stored = image.nearby.get(manifest_path(image.name, child.digest))
        if stored is None or not is_attestation(child):
            continue
        to = platforms.get(child.annotations.get(ATTESTED_KEY, ""), "")
        for layer in READER.manifest(view, stored).layers:
            yield Attachment(
                attachment_type_of(layer.media_type, layer.annotations),
                _detail(layer.annotations),
                layer.media_type,
                str(layer.digest),
                layer.size,
                to,
                stored.updated_at,
            )


def _detail(annotations: Mapping[str, Any]) -> str:
    told = [
        f"{key} = {value}"
        for key, value in annotations.items()
        if isinstance(value, str) and key not in _PLAIN_KEYS and "\n" not in value
    ]
    return ", ".join(told)[:DETAIL_MAX_CHARS]
