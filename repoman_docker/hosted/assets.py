"""The assets of blobs, manifests and tags, whether pushed or fetched."""

from collections.abc import Iterable, Mapping

from repoman.plugin import NewAsset, Reference, StoredBlob
from repoman_docker.layout import (
    BLOB,
    CHILD,
    MANIFEST,
    SUBJECT,
    TAG,
    blob_path,
    image,
    manifest_path,
    tag_path,
    tagged,
)
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.manifest import Manifest
from repoman_docker.protocol.media_types import OCTET_STREAM
from repoman_docker.protocol.reference import Tag

SIZE_MAX = 1 << 53
"""Larger sizes are not plausible, in bytes; a manifest may state any."""


def new_blob(name: str, digest: Digest, blob: StoredBlob) -> NewAsset:
    """Return the asset that makes stored bytes a blob of an image."""
    return NewAsset(blob_path(name, digest), BLOB, blob, OCTET_STREAM, package=image(name))


def new_manifest(name: str, digest: Digest, manifest: Manifest, blob: StoredBlob) -> NewAsset:
    """Return the asset of a manifest, with its path and its references."""
    attributes: dict[str, object] = {"digest": str(digest)}
    references = tuple(_references(name, manifest))
    blobs = (each.size or 0 for each in references if each.kind == BLOB)
    if manifest.subject is not None:
        # The entry in the list of referrers, stored so that the list reads no manifests.
        attributes["artifact_type"] = manifest.artifact_type
        attributes["annotations"] = dict(manifest.annotations)
    return NewAsset(
        path=manifest_path(name, digest),
        kind=MANIFEST,
        blob=blob,
        media_type=manifest.media_type,
        attributes=attributes,
        component=image(name),
        package=image(name),
        references=references,
        transfer_size=min(blob.size + sum(blobs), SIZE_MAX),
    )


def _references(name: str, manifest: Manifest) -> Iterable[Reference]:
    # A child of an index may also be a blob: build caches list their layers this way.
    children = {each.digest for each in manifest.children}
    sure = {each.digest for each in manifest.child_manifests()}
    sizes = {each.digest: each.size for each in reversed(manifest.descriptors())}
    for digest in manifest.references():
        size = sizes.get(digest)
        if digest in children:
            yield Reference(CHILD, manifest_path(name, digest), size)
        if digest not in sure:
            yield Reference(BLOB, blob_path(name, digest), size)
    if manifest.subject is not None:
        path = manifest_path(name, manifest.subject.digest)
        yield Reference(SUBJECT, path, manifest.subject.size)


def new_tag(
    name: str,
    tag: Tag,
    digest: Digest,
    media_type: str,
    blob: StoredBlob,
    transfer_size: int | None,
    labels: Mapping[str, str] | None = None,
) -> NewAsset:
    """Return the asset of a tag that points to a manifest of this media type.

    ``transfer_size`` is that of the manifest's asset; without ``labels``, the tag keeps those that
    it has.
    """
    return NewAsset(
        path=tag_path(name, tag),
        kind=TAG,
        blob=blob,
        media_type=media_type,
        attributes={"digest": str(digest)},
        component=tagged(name, tag),
        package=image(name),
        transfer_size=transfer_size,
        labels=labels,
        references=(Reference(TAG, manifest_path(name, digest)),),
    )
