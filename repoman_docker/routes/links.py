"""Links from lists of all formats to the pages about images."""

from typing import Any

from flask import url_for

from repoman.plugin import ComponentLink, Coordinate, Repository
from repoman_docker.layout import IMAGE, TAG


def link_component(repository: Repository, coordinate: Coordinate) -> ComponentLink | None:
    """Return the link to the page about a tag or an image; None: there is none."""
    values: dict[str, Any] = {"repository": repository.name, "name": coordinate.name}
    if coordinate.kind == TAG:
        url = url_for("docker_pages.tag", **values, reference=coordinate.version)
        return ComponentLink(url, "tag")
    if coordinate.kind == IMAGE:
        return ComponentLink(url_for("docker_pages.show", **values), "cube")
    return None
