"""Lists: tags, catalog, referrers (OCI distribution-spec, Content Discovery)."""

import json
from collections.abc import Callable, Iterator
from functools import partial

from flask import Response, request

from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.media_types import OCI_INDEX
from repoman_docker.protocol.pagination import Page, next_link, parse_page
from repoman_docker.protocol.paths import Route
from repoman_docker.protocol.referrers import referrers_index
from repoman_docker.routes.access import Filter, visible_images, visible_tags
from repoman_docker.routes.current import repository

BATCH = 500  # referrers or names read at a time

Read = Callable[[str, int], list[str]]  # what comes after a name, at most so many


def get_tags(route: Route) -> Response:
    """Answer the tags of an image."""
    most = repository().settings.page_limit
    page = parse_page(request.args, default=most, maximum=most)
    tags = partial(repository().lists.tags, route.name)
    found = _visible(tags, page.last, page.limit + 1, visible_tags(route.name))
    return _list({"name": route.name, "tags": found[: page.limit]}, found, page)


def get_catalog(_: Route) -> Response:
    """Answer the image names that the actor may see."""
    settings = repository().settings
    usual = min(settings.catalog_page, settings.page_limit)
    page = parse_page(request.args, default=usual, maximum=settings.page_limit)
    found = _visible(repository().lists.images, page.last, page.limit + 1, visible_images())
    return _list({"repositories": found[: page.limit]}, found, page)


def _visible(read: Read, after: str, limit: int, is_visible: Filter | None) -> list[str]:
    """Return the first names after ``after`` that the actor may see."""
    if is_visible is None:
        return read(after, limit)
    found: list[str] = []
    while len(found) < limit and (batch := read(after, BATCH)):
        found += filter(is_visible, batch)
        after = batch[-1]
    return found[:limit]


def get_referrers(route: Route) -> Response:
    """Answer the manifests that name a digest as their subject; unknown ones have none."""
    subject = Digest.parse(route.reference)
    descriptors = _referrers(route.name, subject, request.args.get("last", ""))
    limit = repository().settings.referrers_limit
    index = referrers_index(descriptors, request.args.get("artifactType"), limit)
    response = Response(index.body, mimetype=OCI_INDEX)
    if index.is_filtered:
        response.headers["OCI-Filters-Applied"] = "artifactType"
    if index.last is not None:
        response.headers["Link"] = next_link(_own_path(), request.args, None, str(index.last))
    return response


def _referrers(name: str, subject: Digest, after: str) -> Iterator[Descriptor]:
    while batch := repository().lists.referrers(name, subject, after, BATCH):
        yield from batch
        after = str(batch[-1].digest)


def _list(body: dict[str, object], found: list[str], page: Page) -> Response:
    response = Response(json.dumps(body).encode(), mimetype="application/json")
    if 0 < page.limit < len(found):
        last = found[page.limit - 1]
        response.headers["Link"] = next_link(_own_path(), request.args, page.limit, last)
    return response


def _own_path() -> str:
    return request.script_root + request.path
