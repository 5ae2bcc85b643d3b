"""The assets of blobs, manifests and tags, whether pushed or fetched."""

from collections.abc import Iterable

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


def new_blob(name: str, digest: Digest, blob: StoredBlob) -> NewAsset:
    """Return the asset that makes stored bytes a blob of an image."""
    return NewAsset(blob_path(name, digest), BLOB, blob, OCTET_STREAM)


def new_manifest(name: str, digest: Digest, manifest: Manifest, blob: StoredBlob) -> NewAsset:
    """Return the asset of a manifest, with its path and its references."""
    attributes: dict[str, object] = {"digest": str(digest)}
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
        references=tuple(_references(name, manifest)),
    )


def _references(name: str, manifest: Manifest) -> Iterable[Reference]:
    # A child of an index may also be a blob: build caches list their layers this way.
    children = {each.digest for each in manifest.children}
    sure = {each.digest for each in manifest.child_manifests()}
    for digest in manifest.references():
        if digest in children:
            yield Reference(CHILD, manifest_path(name, digest))
        if digest not in sure:
            yield Reference(BLOB, blob_path(name, digest))
    if manifest.subject is not None:
        yield Reference(SUBJECT, manifest_path(name, manifest.subject.digest))


def new_tag(name: str, tag: Tag, digest: Digest, media_type: str, blob: StoredBlob) -> NewAsset:
    """Return the asset of a tag that points to a manifest of this media type."""
    return NewAsset(
        path=tag_path(name, tag),
        kind=TAG,
        blob=blob,
        media_type=media_type,
        attributes={"digest": str(digest)},
        component=tagged(name, tag),
        references=(Reference(TAG, manifest_path(name, digest)),),
    )
