"""The image ids of version 1, and those that images of version 2 are given there.

An id of version 1 names one layer with its settings, and so all that is below it. Images that were
pushed by version 2 have none; theirs are derived from what they consist of, so that they are the
same at every server and for ever. The derivation is that of docker's own registry for its manifests
of schema 1.
"""

import hashlib
import re

DEPTH = 128  # images upon each other; no engine of version 1 can have more
EMPTY_LAYER = bytes.fromhex("1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000")
"""A tar without files, 1024 zero bytes, in gzip."""

EMPTY_LAYER_DIGEST = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"
EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

_ID = re.compile(r"[a-f0-9]{64}")
_LIBRARY = "library/"


def is_image_id(text: str) -> bool:
    """Return whether a text is an image id as engines write it."""
    return bool(_ID.fullmatch(text))


def layer_id(blob: str, parent: str) -> str:
    """Return the id of a layer that is not the last one of its image.

    Args:
        blob: the hash of the layer as it is stored, in hex.
        parent: the id of the layer below; empty for the lowest.
    """
    return _hash(f"{blob} {parent}".encode())


def top_id(blob: str, parent: str, config: bytes) -> str:
    """Return the id of the last layer of an image, which the config belongs to."""
    return _hash(f"{blob} {parent} ".encode() + config)


def short_name(name: str) -> str:
    """Return the one form of an image name that clients write with ``library/`` and without."""
    short = name.removeprefix(_LIBRARY)
    return name if "/" in short else short


def long_name(name: str) -> str:
    """Return the other form of a short name; others stay as they are."""
    return name if "/" in name else _LIBRARY + name


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
