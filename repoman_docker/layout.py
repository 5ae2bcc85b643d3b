"""The paths of the assets of a Docker repository, and their references.

::

    blobs/DIGEST/NAME         a blob of an image; the digest is first, to find it in any image
    manifests/NAME/DIGEST     a manifest; refers to blobs, children and subject
    tags/NAME/TAG             the manifest a tag points to; refers to it
    tag-lists/NAME            the tags that a proxy's remote has, as a JSON list
    referrers/DIGEST/NAME     the referrers that a proxy's remote has, as an index
    v1-chains/NAME/DIGEST     the V1 images that a manifest becomes; has the manifest's bytes
    v1-images/ID/NAME         an image that was pushed with V1: its JSON; refers to its layer
    v1-pushes/NAME/@ACTOR/…   an unfinished V1 push; refers to its images, and to
                              v1-images/ID/@ACTOR, which has no asset

A digest contains a colon and a name does not, so every path is unambiguous. A blob or manifest is
stored under the digest with which it was pushed, whatever its algorithm.
"""

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha1
from urllib.parse import quote

from repoman.plugin import (
    Asset,
    AuditEntry,
    ContentStore,
    Coordinate,
    NewAsset,
    Pull,
    Reference,
    StoredBlob,
    trash_path,
)
from repoman_docker.protocol.manifest import Manifest
from repoman_docker.protocol.media_types import OCTET_STREAM
from repoman_docker.protocol.reference import ALGORITHMS, Digest, Tag

BLOB = "blob"  # kinds of assets
MANIFEST = "manifest"
TAG = "tag"  # of assets, components and references

IMAGE = "image"  # kind of component: an image name that has a manifest

CHILD = "child"  # kinds of references, besides BLOB and TAG
SUBJECT = "subject"

LIST = "list"  # kind of the assets that cache lists of a remote

V1_CHAIN = "v1-chain"  # kinds of assets, and of the references from them to images
V1_IMAGE = "v1-image"
V1_PUSH = "v1-push"

COLLECTION = "collection"
"""The source of events by which the collection removes content."""
REQUEST = "request"
"""The source of events by which a client removes content."""
DISMISSED = {"cleanup": "A cleanup policy removed its last tag"}
"""Why an untagged manifest goes without a rule about those, by the source of what took its tag."""

ATTACHING_SUFFIXES = ("", ".sig", ".att", ".sbom")
"""What follows the digest of a manifest in the tags that belong to it, by clients without subjects:
nothing by the referrers tag schema, else by cosign."""
_ATTACHING_TAG = re.compile(r"sha256-([0-9a-f]{64})(\.[a-z]+)?")

SIZE_MAX = 1 << 53
"""Larger sizes are not plausible, in bytes; a manifest may state any."""

ENTRY_MAX_CHARS = 4096
"""The annotations that are stored for the list of referrers, as JSON; lists read many at once."""


def blob_path(name: str, digest: Digest) -> str:
    """Return the path of a blob of an image."""
    return f"blobs/{digest}/{name}"


def blob_prefix(digest: Digest) -> str:
    """Return the prefix of the paths of a blob in all images."""
    return f"blobs/{digest}/"


def manifest_path(name: str, digest: Digest) -> str:
    """Return the path of a manifest."""
    return f"manifests/{name}/{digest}"


def manifest_prefixes(name: str) -> list[str]:
    """Return the prefixes of the paths of all manifests of an image, but of no image below it."""
    return [f"manifests/{name}/{algorithm}:" for algorithm in ALGORITHMS]


def tag_path(name: str, tag: Tag) -> str:
    """Return the path of a tag."""
    return f"tags/{name}/{tag}"


def owner_path(name: str, tag: str) -> str:
    """Return the path of the manifest to which a tag belongs by its name; empty: to none."""
    if not tag.startswith("sha256-"):  # Nearly all do not.
        return ""
    found = _ATTACHING_TAG.fullmatch(tag)
    if found is None or (found[2] or "") not in ATTACHING_SUFFIXES:
        return ""
    return f"manifests/{name}/sha256:{found[1]}"


def attaching_tags(path: str) -> list[str]:
    """Return the paths of the tags that may belong to the manifest at a path."""
    name, _, digest = path.removeprefix("manifests/").rpartition("/")
    tag = f"tags/{name}/{digest.replace(':', '-')}"
    return [f"{tag}{each}" for each in ATTACHING_SUFFIXES] if digest.startswith("sha256:") else []


def tag_list_path(name: str) -> str:
    """Return the path of the cached list of an image's tags."""
    return f"tag-lists/{name}"


def referrers_path(name: str, subject: Digest) -> str:
    """Return the path of the cached list of a manifest's referrers."""
    return f"referrers/{subject}/{name}"


def reference_path(name: str, reference: Digest | Tag) -> str:
    """Return the path to which a reference leads."""
    if isinstance(reference, Digest):
        return manifest_path(name, reference)
    return tag_path(name, reference)


def image(name: str) -> Coordinate:
    """Return the component of an image name."""
    return Coordinate(IMAGE, name)


def tagged(name: str, tag: Tag) -> Coordinate:
    """Return the component of a tag."""
    return Coordinate(TAG, name, tag)


def v1_chain_path(name: str, digest: object) -> str:
    """Return the path of the chain of V1 images of a manifest."""
    return f"v1-chains/{name}/{digest}"


def v1_chain_of(path: str) -> str:
    """Return the path of the chain of a manifest, given the path of that."""
    return f"v1-chains/{path.removeprefix('manifests/')}"


def manifest_of_chain(path: str) -> str:
    """Return the path of the manifest of a chain."""
    return f"manifests/{path.removeprefix('v1-chains/')}"


def v1_chain_name(path: str) -> str:
    """Return the image name in the path of a chain."""
    return path.removeprefix("v1-chains/").rpartition("/")[0]


def v1_image_path(image_id: str, name: str = "") -> str:
    """Return the path of a V1 image; without a name, the prefix for all image names."""
    return f"v1-images/{image_id}/{name}"


def v1_announced_path(image_id: str, actor: str) -> str:
    """Return the path to which pushes refer that announced an image."""
    return f"{v1_image_path(image_id)}@{quote(actor, safe='')}"


def v1_push_path(name: str, actor: str, key: str = "") -> str:
    """Return the path of a V1 push; without a key, the prefix of all pushes of the actor."""
    return f"v1-pushes/{name}/@{quote(actor, safe='')}/{key}"


def new_blob(name: str, digest: Digest, blob: StoredBlob) -> NewAsset:
    """Return the asset that makes stored bytes a blob of an image."""
    return NewAsset(blob_path(name, digest), BLOB, blob, OCTET_STREAM, package=image(name))


def new_manifest(
    name: str, digest: Digest, manifest: Manifest, blob: StoredBlob, body: bytes
) -> NewAsset:
    """Return the asset of a manifest with these bytes, with its path and its references."""
    attributes: dict[str, object] = {"digest": str(digest)}
    references = tuple(_references(name, manifest))
    blobs = (each.size or 0 for each in references if each.kind == BLOB)
    if manifest.subject is not None:
        attributes |= _list_entry(manifest)
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
        checksums={"sha1": sha1(body, usedforsecurity=False).hexdigest()},
    )


def _list_entry(manifest: Manifest) -> dict[str, object]:
    """Return the entry in the list of referrers, stored so that the list reads few manifests.

    Of very long annotations it has those that fit, and ``is_abridged`` tells so.
    """
    short: dict[str, str] = {}
    left = ENTRY_MAX_CHARS
    for name, text in manifest.annotations.items():
        if len(name) + len(text) < left and (size := len(json.dumps({name: text}))) <= left:
            short[name] = text
            left -= size
    entry: dict[str, object] = {"artifact_type": manifest.artifact_type, "annotations": short}
    if len(short) < len(manifest.annotations):
        entry["is_abridged"] = True
    return entry


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


def size_indexes(content: ContentStore, saved: NewAsset) -> None:
    """Count the image that most clients pull into indexes: a saved one, and those that list it.

    Of the images that are there, it is the first of those in the order of the references. To be
    called after saving a manifest and its tags, in the same transaction.
    """
    indexes = [source for *_, source in content.graph.named_by([saved.path], (CHILD,))]
    if any(each.kind == CHILD for each in saved.references):
        indexes.insert(0, saved.path)
    for path in indexes:
        content.add_transfer(path, CHILD, alias=TAG)


def manifest_pull(content: ContentStore, asset: Asset) -> Pull:
    """Return what a client has that gets a manifest: by its tag, or by digest with all its tags.

    The tags of the indexes that list it are in use as well.
    """
    if asset.kind == TAG:
        name = asset.path.removeprefix("tags/").rpartition("/")[0]
        digest = Digest.parse(asset.attributes["digest"])
        return content.pull_of(asset.path, manifest_path(name, digest))
    return content.pull_of(asset.path, referrers=TAG, wholes=CHILD)


def deletion_entries(paths: Iterable[str]) -> dict[str, AuditEntry]:
    """Return how the audit log tells of the deletion of manifests, tags and blobs, by path."""
    entries = {}
    for path in paths:
        kind, _, rest = path.partition("/")
        if kind in ("manifests", "tags"):
            entries[path] = AuditEntry("delete", title_of(path))
        elif kind == "blobs":
            digest, _, name = rest.partition("/")
            entries[path] = AuditEntry("delete blob", f"{name}@{digest}")
    return entries


def name_in(path: str) -> str:
    """Return the image name in the path of a blob, a manifest, a tag or a V1 image."""
    return _split(path)[0]


def reference_in(path: str) -> str:
    """Return the tag, the digest or the id in the path of one of these."""
    return _split(path)[1]


def _split(path: str) -> tuple[str, str]:
    """Return image name and reference of a path, which may be that of something in the trash."""
    kind, _, rest = path.removeprefix(trash_path("")).partition("/")
    if kind in ("blobs", "v1-images"):
        reference, _, name = rest.partition("/")
    else:
        name, _, reference = rest.rpartition("/")
    return name, reference


def title_of(path: str) -> str:
    """Return the name of an asset for people, such as ``app:1.0`` or ``app@sha256:…``."""
    name, reference = _split(path)
    return f"{name}:{reference}" if path.startswith("tags/") else f"{name}@{reference}"
