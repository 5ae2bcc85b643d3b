"""The Docker API V1 without I/O: its image ids, the JSON of its images, and its paths.

A V1 id identifies one layer with its settings, and thereby all layers below it. Images that were
pushed with V2 have none; their ids are derived from their content, so that they are the same on
every server and never change. The derivation is that of Docker's own registry for manifests of
schema 1.

Repository names may contain slashes and words like ``tags``, so paths are parsed from the right, as
those of V2 are.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, NoReturn

Fields = Mapping[str, Any]

ARCHITECTURE = "amd64"  # the default if a V1 image does not state it
OS = "linux"

# The fields that only a config has, and those that only a V1 image has.
_ONLY_V2 = frozenset({"rootfs", "history", "os.version", "os.features"})
_ONLY_V1 = frozenset({"id", "parent", "parent_id", "layer_id", "Size", "throwaway"})


class BrokenJson(ValueError):
    """A text is not the expected JSON object; the message says why."""


@dataclass(frozen=True, slots=True)
class Link:
    """A V1 image in its chain: the id and the exact JSON."""

    id: str
    json: bytes


def parse_fields(body: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        BrokenJson: the text is not a JSON object.
    """
    try:
        value = json.loads(body, parse_constant=_refuse, parse_float=_parse_float)
    except (ValueError, RecursionError) as error:
        raise BrokenJson("Invalid JSON") from error
    if not isinstance(value, dict):
        raise BrokenJson("Invalid JSON: not an object")
    return value


def parse_diff_ids(config: bytes, count: int) -> list[str]:
    """Return the digests of the unpacked layers that the config of an image lists.

    Raises:
        BrokenJson: it does not list ``count`` layers.
    """
    rootfs = parse_fields(config).get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(found, list) or len(found) != count:
        raise BrokenJson("it does not list every layer")
    return [str(each) for each in found]


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _parse_float(text: str) -> float:
    # A number that is too large for a float would later be written as invalid JSON.
    return value if isfinite(value := float(text)) else _refuse(text)


def derive_chain(config: bytes, blobs: Sequence[str]) -> list[Link]:
    """Return the V1 images of a V2 image, the lowest first.

    Args:
        config: the exact bytes of its config.
        blobs: the hashes of its layers as they are stored, in hex, the lowest first; at least one.

    Raises:
        BrokenJson: the config is not valid.
    """
    fields = parse_fields(config)
    histories = list(_histories(fields))
    links: list[Link] = []
    parent = ""
    for number, blob in enumerate(blobs[:-1]):
        own = layer_id(blob, parent)
        history = histories[number] if len(histories) == len(blobs) else {}
        links.append(Link(own, _layer_json(own, parent, history)))
        parent = own
    top = top_id(blobs[-1], parent, config)
    kept = {key: value for key, value in fields.items() if key not in _ONLY_V2}
    links.append(Link(top, _dump({**kept, "id": top, **_parent(parent)})))
    return links


def _histories(fields: Fields) -> Iterator[Fields]:
    """Yield the history of each layer."""
    histories = fields.get("history")
    for each in histories if isinstance(histories, list) else ():
        if isinstance(each, dict) and not each.get("empty_layer"):
            yield each


def _layer_json(own: str, parent: str, history: Fields) -> bytes:
    fields: dict[str, Any] = {"id": own, **_parent(parent)}
    fields |= {key: history[key] for key in ("created", "author", "comment") if history.get(key)}
    fields["container_config"] = {"Cmd": [history.get("created_by") or ""]}
    return _dump(fields)


def _parent(parent: str) -> dict[str, str]:
    return {"parent": parent} if parent else {}


def history_of(fields: Fields) -> dict[str, Any]:
    """Return the history entry of a V1 image in a V2 config."""
    container = fields.get("container_config")
    command = container.get("Cmd") if isinstance(container, dict) else None
    history = {
        "created": fields.get("created"),
        "author": fields.get("author"),
        "created_by": " ".join(map(str, command)) if isinstance(command, list) else command,
        "comment": fields.get("comment"),
    }
    return {key: value for key, value in history.items() if value}


def render_config(top: Fields, histories: Sequence[Fields], diff_ids: Sequence[str]) -> bytes:
    """Return the V2 config of a V1 chain, always as the same bytes.

    Args:
        top: the fields of the top image.
        histories: of all images, the lowest first.
        diff_ids: the digests of all uncompressed layers, the lowest first.
    """
    kept = {key: value for key, value in top.items() if key not in _ONLY_V1}
    return _dump(
        {
            "architecture": ARCHITECTURE,
            "os": OS,
            **{key: value for key, value in kept.items() if value is not None},
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            "history": list(histories),
        }
    )


def _dump(fields: Fields) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


CHAIN_MAX_IMAGES = 128  # No V1 engine supports a longer chain of images.
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


_TAGGED = 2  # the position, from the right, of ``tags`` before a tag


class Kind(StrEnum):
    """What a path under ``/v1/repositories/`` names."""

    REPOSITORY = "repository"
    IMAGES = "images"
    TAGS = "tags"
    TAG = "tag"
    TAG_JSON = "tag_json"
    JSON = "json"
    PROPERTIES = "properties"
    AUTH = "auth"
    LAYER_ACCESS = "layer_access"


@dataclass(frozen=True, slots=True)
class V1Route:
    """A parsed path.

    Attributes:
        kind: the requested resource.
        name: the image name as sent, its grammar not checked.
        detail: a tag or an image id, where the kind has one; else empty.
    """

    kind: Kind
    name: str
    detail: str = ""


_LAST = {
    "images": Kind.IMAGES,
    "tags": Kind.TAGS,
    "json": Kind.JSON,
    "properties": Kind.PROPERTIES,
    "auth": Kind.AUTH,
}


def match_repository(path: str) -> V1Route | None:
    """Parse a path; return None if it is not a path of the API.

    Args:
        path: the decoded path after ``/v1/repositories/``; a slash at its end does not matter.
    """
    parts = path.rstrip("/").split("/")
    if len(parts) > _TAGGED and parts[-2] == "tags":
        return V1Route(Kind.TAG, "/".join(parts[:-2]), parts[-1])
    if len(parts) > _TAGGED + 1 and parts[-3] == "tags" and parts[-1] == "json":
        return V1Route(Kind.TAG_JSON, "/".join(parts[:-3]), parts[-2])
    if len(parts) > _TAGGED + 1 and parts[-3] == "layer" and parts[-1] == "access":
        return V1Route(Kind.LAYER_ACCESS, "/".join(parts[:-3]), parts[-2])
    if len(parts) > 1 and parts[-1] in _LAST:
        return V1Route(_LAST[parts[-1]], "/".join(parts[:-1]))
    return V1Route(Kind.REPOSITORY, "/".join(parts)) if parts[0] else None
