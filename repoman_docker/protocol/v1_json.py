"""The JSON of images of version 1, made from a config of version 2 and turned back into one.

Source: docker's image specification 1.0 and 1.2.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn

from repoman_docker.protocol.v1_ids import layer_id, top_id

Fields = Mapping[str, Any]

ARCHITECTURE = "amd64"  # where an image of version 1 does not say
OS = "linux"

# What a config has of its own, and an image of version 1 has not, and inversely.
_ONLY_V2 = frozenset({"rootfs", "history", "os.version", "os.features"})
_ONLY_V1 = frozenset({"id", "parent", "parent_id", "layer_id", "Size", "throwaway"})


class BrokenJson(ValueError):
    """A text is not the JSON object that it should be; the message says it to people."""


@dataclass(frozen=True, slots=True)
class Link:
    """An image of version 1 in its chain: the id and the exact JSON."""

    id: str
    json: bytes


def parse_fields(body: bytes) -> dict[str, Any]:
    """Return the object that a text is.

    Raises:
        BrokenJson: it is none.
    """
    try:
        value = json.loads(body, parse_constant=_refuse, parse_float=_parse_float)
    except (ValueError, RecursionError) as error:
        raise BrokenJson("Invalid JSON") from error
    if not isinstance(value, dict):
        raise BrokenJson("Invalid JSON: not an object")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _parse_float(text: str) -> float:
    # A number too large for one would be written as no JSON afterwards.
    return value if isfinite(value := float(text)) else _refuse(text)


def derive_chain(config: bytes, blobs: Sequence[str]) -> list[Link]:
    """Return the images of version 1 that an image of version 2 is, the lowest first.

    Args:
        config: the exact bytes of its config.
        blobs: the hashes of its layers as they are stored, in hex, the lowest first; at least one.

    Raises:
        BrokenJson: the config is none.
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
    """Yield what is told of each layer."""
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
    """Return what the config of version 2 tells of one image of version 1."""
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
    """Return the config of version 2 for a chain of version 1, always in the same bytes.

    Args:
        top: the fields of the last image.
        histories: of all images, the lowest first.
        diff_ids: the digests of all layers without compression, the lowest first.
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
