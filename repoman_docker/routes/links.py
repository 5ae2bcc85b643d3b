"""Links from lists of all formats to the pages about images, and kinds and criteria of searches."""

from typing import Any

from flask import url_for

from repoman.plugin import (
    AssetView,
    ComponentLink,
    Coordinate,
    Repository,
    SearchCriteria,
    SearchInput,
    SearchKind,
)
from repoman_docker.layout import BLOB, IMAGE, MANIFEST, TAG

CRITERIA = SearchCriteria(
    "docker",
    (
        SearchKind("images", "Images", "cube", IMAGE, counted=("tag", "tags")),
        SearchKind("tags", "Tags", "tag", TAG),
    ),
    (
        SearchInput("docker.labels", "Image label", "NAME=VALUE"),
        SearchInput("docker.layerId", "Layer or image digest", "sha256:…"),
    ),
)


def link_component(repository: Repository, coordinate: Coordinate) -> ComponentLink | None:
    """Return the link to the page about a tag or an image; None: there is none."""
    values: dict[str, Any] = {"repository": repository.name, "name": coordinate.name}
    if coordinate.kind == TAG:
        url = url_for("docker_pages.tag", **values, reference=coordinate.version)
        title = f"{coordinate.name}:{coordinate.version}"
        return ComponentLink(url, "tag", title=title)
    if coordinate.kind == IMAGE:
        return ComponentLink(url_for("docker_pages.show", **values), "cube")
    return None


def link_asset(repository: Repository, asset: AssetView) -> ComponentLink | None:
    """Return the link to the page about a manifest, a tag or a layer; None: there is none."""
    _, _, rest = asset.stored_path.partition("/")
    if asset.kind in (MANIFEST, TAG):
        name, _, reference = rest.rpartition("/")
        is_tag = asset.kind == TAG
        endpoint = "docker_pages.tag" if is_tag else "docker_pages.digest"
        values: dict[str, Any] = {"repository": repository.name, "name": name}
        values["reference"] = reference
        title = f"{name}:{reference}" if is_tag else f"{name}@{reference}"
        return ComponentLink(
            url_for(endpoint, **values), "tag" if is_tag else "cube", _what(asset), title
        )
    if asset.kind == BLOB:
        digest, _, name = rest.partition("/")
        url = url_for("docker_pages.layer", repository=repository.name, name=name, digest=digest)
        return ComponentLink(url, "layers", "Layer or configuration", f"{name}@{digest}")
    return None


def _what(asset: AssetView) -> str:
    return "Tag" if asset.kind == TAG else "Manifest"


def link_deletion(repository: Repository, asset: AssetView) -> str | None:
    """Return the address of the page that deletes a tag or a manifest; None: of other things."""
    if asset.kind not in (MANIFEST, TAG):
        return None
    _, _, rest = asset.stored_path.partition("/")
    name, _, reference = rest.rpartition("/")
    values: dict[str, Any] = {"repository": repository.name, "name": name, "tag": reference}
    return url_for("docker_pages.show_deletion", **values)
