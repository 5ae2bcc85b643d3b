"""The image ids of V1, and the V1 ids of V2 images.

A V1 id identifies one layer with its settings, and thereby all layers below it. Images that were
pushed with V2 have none; their ids are derived from their content, so that they are the same on
every server and never change. The derivation is that of Docker's own registry for manifests of
schema 1.
"""

import hashlib
import re

DEPTH = 128  # maximum number of images in a chain; no V1 engine supports more
EMPTY_LAYER = bytes.fromhex("1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000")
"""A gzipped tar archive without files, 1024 zero bytes."""

EMPTY_LAYER_DIGEST = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"
EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

_ID = re.compile(r"[a-f0-9]{64}")
_LIBRARY = "library/"


def is_image_id(text: str) -> bool:
    """Return whether a text is an image id as engines write it."""
    return bool(_ID.fullmatch(text))


def layer_id(blob: str, parent: str) -> str:
    """Return the id of a layer that is not the top one of its image.

    Args:
        blob: the hash of the layer as it is stored, in hex.
        parent: the id of the layer below; empty for the lowest.
    """
    return _hash(f"{blob} {parent}".encode())


def top_id(blob: str, parent: str, config: bytes) -> str:
    """Return the id of the top layer of an image, to which the config belongs."""
    return _hash(f"{blob} {parent} ".encode() + config)


def short_name(name: str) -> str:
    """Return the short form of an image name, which clients also write with ``library/``."""
    short = name.removeprefix(_LIBRARY)
    return name if "/" in short else short


def long_name(name: str) -> str:
    """Return the other form of a short name; other names are returned unchanged."""
    return name if "/" in name else _LIBRARY + name


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
