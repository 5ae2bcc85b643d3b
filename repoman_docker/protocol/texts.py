"""Texts that users read: cleaned to one line, descriptions of images, and the header ``Warning``.

Sources: OCI image-spec, Annotations (the labels of a config have the same keys); RFC 7234, 5.5.
"""

import json
from collections.abc import Iterable, Mapping

from repoman_docker.protocol.media_types import DOCKER_CONFIG, OCI_CONFIG


def one_line(text: str) -> str:
    """Return a text in one line, without control and other non-printable characters."""
    if text.isprintable():
        return text
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
"""The media types of configs that have labels."""

DESCRIPTION_MAX_CHARS = 1000  # Longer descriptions are cut.
LABEL_MAX_CHARS = 255  # Longer names and values cannot be searched for.
LABELS_MAX = 100  # The searchable labels of one tag.
DESCRIPTION_KEYS = (
    "org.opencontainers.image.description",
    "org.opencontainers.image.title",
    "org.label-schema.description",  # used before the annotations were standardized
)


def description_of(*sources: Mapping[str, object]) -> str:
    """Return the description among annotations and labels, in one line; empty if there is none.

    The first of ``DESCRIPTION_KEYS`` that any source has wins, from the first source that has it.
    """
    for key in DESCRIPTION_KEYS:
        for source in sources:
            value = source.get(key)
            line = " ".join(one_line(value).split()) if isinstance(value, str) else ""
            if line:
                return line[:DESCRIPTION_MAX_CHARS]
    return ""


def searchable_labels(*sources: Mapping[str, object]) -> dict[str, str]:
    """Return the labels and annotations that an image can be found by; the first source wins."""
    found: dict[str, str] = {}
    for source in sources:
        for name, value in source.items():
            if len(found) < LABELS_MAX and _is_searchable(name) and _is_searchable(value):
                found.setdefault(name, str(value))
    return found


def _is_searchable(text: object) -> bool:
    """Return whether a text is short, and can be stored: half a surrogate pair is no text."""
    if not isinstance(text, str) or len(text) > LABEL_MAX_CHARS:
        return False
    return not any("\ud800" <= each <= "\udfff" for each in text)


def labels_of(config: bytes) -> Mapping[str, object]:
    """Return the labels of an image's config; none if the config is not valid."""
    try:
        labels = json.loads(config)["config"]["Labels"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return labels if isinstance(labels, dict) else {}


WARNING_MAX_CHARS = 1000  # Longer texts are cut.
WARNINGS_MAX = 5  # Further texts are left out: clients and proxies limit headers.


def render_warnings(texts: Iterable[str]) -> str:
    """Return the value of the header for some sentences, without duplicates."""
    return ", ".join(
        f'299 - "{_plain(text)}"' for text in list(dict.fromkeys(texts))[:WARNINGS_MAX]
    )


def _plain(text: str) -> str:
    plain = "".join(each for each in text if " " <= each <= "~" and each not in '"\\')
    return plain[:WARNING_MAX_CHARS]
