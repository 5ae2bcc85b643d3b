"""Where a Docker repository's assets lie, and what they refer to.

::

    blobs/DIGEST/NAME         a blob of an image; the digest is first, to find it in any image
    manifests/NAME/DIGEST     a manifest; refers to blobs, children and subject
    tags/NAME/TAG             the manifest a tag points to; refers to it
    tag-lists/NAME            the tags that a proxy's remote has, as a JSON list
    referrers/DIGEST/NAME     the referrers that a proxy's remote has, as an index
    v1-chains/NAME/DIGEST     the images of version 1 that a manifest is; has the manifest's bytes
    v1-images/ID/NAME         an image that was pushed by version 1: its JSON; refers to its layer
    v1-pushes/NAME/@ACTOR/…   a push by version 1 that has not ended; refers to its images, and to
                              v1-images/ID/@ACTOR, where nothing is

A digest contains a colon and a name does not, so every path can be read one way only. A blob or
manifest is found under the digest by which it was pushed, whatever its algorithm.
"""

from urllib.parse import quote

from repoman.plugin import Coordinate
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.reference import Tag

BLOB = "blob"  # kinds of assets
MANIFEST = "manifest"
TAG = "tag"  # of assets, components and references

IMAGE = "image"  # kind of component: an image name, as long as it has a manifest

CHILD = "child"  # kinds of references, besides BLOB and TAG
SUBJECT = "subject"

LIST = "list"  # kind of the assets that hold what a remote has listed

V1_CHAIN = "v1-chain"  # kinds of assets, and of the references by which images are found in them
V1_IMAGE = "v1-image"
V1_PUSH = "v1-push"


def blob_path(name: str, digest: Digest) -> str:
    """Return the path of a blob of an image."""
    return f"{blob_prefix(digest)}{name}"


def blob_prefix(digest: Digest) -> str:
    """Return what the paths of a blob begin with in all images."""
    return f"blobs/{digest}/"


def manifest_path(name: str, digest: Digest) -> str:
    """Return the path of a manifest."""
    return f"manifests/{name}/{digest}"


def tag_path(name: str, tag: Tag) -> str:
    """Return the path of a tag."""
    return f"tags/{name}/{tag}"


def tag_list_path(name: str) -> str:
    """Return the path of the tags that a remote has of an image."""
    return f"tag-lists/{name}"


def referrers_path(name: str, subject: Digest) -> str:
    """Return the path of the referrers that a remote has of a manifest."""
    return f"referrers/{subject}/{name}"


def reference_path(name: str, reference: Digest | Tag) -> str:
    """Return the path of what a reference names."""
    if isinstance(reference, Digest):
        return manifest_path(name, reference)
    return tag_path(name, reference)


def image(name: str) -> Coordinate:
    """Return the component that stands for an image name."""
    return Coordinate(IMAGE, name)


def tagged(name: str, tag: Tag) -> Coordinate:
    """Return the component that stands for a tag."""
    return Coordinate(TAG, name, tag)


def v1_chain_path(name: str, digest: object) -> str:
    """Return the path of what version 1 knows of a manifest."""
    return f"v1-chains/{name}/{digest}"


def v1_chain_name(path: str) -> str:
    """Return the image name in the path of a chain."""
    return path.removeprefix("v1-chains/").rpartition("/")[0]


def v1_image_path(image_id: str, name: str = "") -> str:
    """Return the path of an image of version 1; without a name, what it begins with in all."""
    return f"v1-images/{image_id}/{name}"


def v1_announced_path(image_id: str, actor: str) -> str:
    """Return the path by which the pushes are found in which somebody has announced an image."""
    return f"{v1_image_path(image_id)}@{quote(actor, safe='')}"


def v1_push_path(name: str, actor: str, key: str = "") -> str:
    """Return the path of a push by version 1; without a key, what all of the actor begin with."""
    return f"v1-pushes/{name}/@{quote(actor, safe='')}/{key}"
