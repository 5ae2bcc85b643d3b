"""The JSON of V1 images, derived from a V2 config and converted back into one.

Source: Docker image specification 1.0 and 1.2.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn

from repoman_docker.protocol.v1_ids import layer_id, top_id

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
