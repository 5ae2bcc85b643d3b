"""The paths of the registry API: which resource a URL names.

An image name may contain slashes and components called ``blobs``, ``manifests`` or ``tags``;
therefore the last components name the resource, and the rest before them is the image name.

Source: OCI distribution-spec, Endpoints; docker's registry API for the catalog.
"""

from dataclasses import dataclass
from enum import StrEnum


class Resource(StrEnum):
    """What a path under ``/v2/`` names."""

    BASE = "base"
    CATALOG = "catalog"
    BLOB = "blob"
    UPLOAD_START = "upload_start"
    UPLOAD = "upload"
    MANIFEST = "manifest"
    TAGS = "tags"
    REFERRERS = "referrers"


@dataclass(frozen=True, slots=True)
class Route:
    """A parsed path; ``name`` and ``reference`` are as sent, their grammar is not checked.

    Attributes:
        resource: the requested resource.
        name: the image name; empty for ``BASE`` and ``CATALOG``.
        reference: a digest (``BLOB``, ``REFERRERS``), a tag or digest (``MANIFEST``), the id of the
            upload session (``UPLOAD``); else empty.
    """

    resource: Resource
    name: str = ""
    reference: str = ""


_WITHOUT_NAME = {"": Route(Resource.BASE), "_catalog": Route(Resource.CATALOG)}
_BY_COMPONENT = {
    "blobs": Resource.BLOB,
    "manifests": Resource.MANIFEST,
    "referrers": Resource.REFERRERS,
}


def match(path: str) -> Route | None:
    """Parse a path; return None if it is not a path of the registry API.

    Args:
        path: the decoded path after ``/v2/``, without the query.
    """
    if path in _WITHOUT_NAME:
        return _WITHOUT_NAME[path]
    head, _, last = path.rpartition("/")
    before, _, kind = head.rpartition("/")
    if kind == "uploads" and before.endswith("/blobs"):
        name = before.removesuffix("/blobs")
        return Route(Resource.UPLOAD, name, last) if last else Route(Resource.UPLOAD_START, name)
    if "/" not in head or not last:
        return None
    if (kind, last) == ("blobs", "uploads"):
        return Route(Resource.UPLOAD_START, before)
    if (kind, last) == ("tags", "list"):
        return Route(Resource.TAGS, before)
    resource = _BY_COMPONENT.get(kind)
    return None if resource is None else Route(resource, before, last)
