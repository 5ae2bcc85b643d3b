"""The paths of V1 that name repositories and images.

Repository names may contain slashes and words like ``tags``, so paths are parsed from the right, as
those of V2 are.
"""

from dataclasses import dataclass
from enum import StrEnum

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
class Place:
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


def match_repository(path: str) -> Place | None:
    """Parse a path; return None if it is not a path of the API.

    Args:
        path: the decoded path after ``/v1/repositories/``; a slash at its end does not matter.
    """
    parts = path.rstrip("/").split("/")
    if len(parts) > _TAGGED and parts[-2] == "tags":
        return Place(Kind.TAG, "/".join(parts[:-2]), parts[-1])
    if len(parts) > _TAGGED + 1 and parts[-3] == "tags" and parts[-1] == "json":
        return Place(Kind.TAG_JSON, "/".join(parts[:-3]), parts[-2])
    if len(parts) > _TAGGED + 1 and parts[-3] == "layer" and parts[-1] == "access":
        return Place(Kind.LAYER_ACCESS, "/".join(parts[:-3]), parts[-2])
    if len(parts) > 1 and parts[-1] in _LAST:
        return Place(_LAST[parts[-1]], "/".join(parts[:-1]))
    return Place(Kind.REPOSITORY, "/".join(parts)) if parts[0] else None
