"""The description of an image: one line for lists of images.

Source: OCI image-spec, Annotations; the labels of a config have the same keys.
"""

import json
from collections.abc import Mapping

from repoman_docker.protocol.media_types import DOCKER_CONFIG, OCI_CONFIG
from repoman_docker.protocol.texts import one_line

CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
"""The media types of configs that have labels."""

LONGEST = 1000  # characters
LABEL_MAX_CHARS = 255  # Longer names and values cannot be searched for.
LABELS_MAX = 100  # The searchable labels of one tag.
KEYS = (
    "org.opencontainers.image.description",
    "org.opencontainers.image.title",
    "org.label-schema.description",  # used before the annotations were standardized
)


def description_of(*sources: Mapping[str, object]) -> str:
    """Return the description among annotations and labels, in one line; empty if there is none.

    The first key of ``KEYS`` that any source has wins, from the first source that has it.
    """
    for key in KEYS:
        for source in sources:
            value = source.get(key)
            line = " ".join(one_line(value).split()) if isinstance(value, str) else ""
            if line:
                return line[:LONGEST]
    return ""


def searchable_labels(*sources: Mapping[str, object]) -> dict[str, str]:
    """Return the labels and annotations that an image can be found by; the first source wins."""
    found: dict[str, str] = {}
    for source in sources:
        for name, value in source.items():
            is_short = isinstance(value, str) and len(value) <= LABEL_MAX_CHARS
            if is_short and len(name) <= LABEL_MAX_CHARS and len(found) < LABELS_MAX:
                found.setdefault(name, str(value))
    return found


def labels_of(config: bytes) -> Mapping[str, object]:
    """Return the labels of an image's config; none if the config is not valid."""
    try:
        labels = json.loads(config)["config"]["Labels"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return labels if isinstance(labels, dict) else {}
