"""Lists: tags, catalog, referrers (OCI distribution-spec, Content Discovery)."""

import json
from collections.abc import Iterator

from flask import Response, request

from repoman_docker.merge import Read, read_names
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.media_types import OCI_INDEX
from repoman_docker.protocol.pagination import Page, next_link, parse_page
from repoman_docker.protocol.paths import Route
from repoman_docker.protocol.referrers import referrers_index
from repoman_docker.protocol.warnings import render_warnings
from repoman_docker.routes.access import Filter, visible_images, visible_tags
from repoman_docker.routes.current import repository
from repoman_docker.service import Entry, Listed

BATCH = 500  # referrers read at a time


class Sources:
    """What the parts of one list have to say of where they come from."""

    def __init__(self) -> None:
        self._headers: dict[str, str] = {}
        self._warnings: list[str] = []

    def note(self, part: Listed[Entry]) -> Listed[Entry]:
        """Return a part whose source is to be told; that of the first part counts."""
        self._headers = {**part.headers, **self._headers}
        self._warnings += part.warnings
        return part

    def tell(self, response: Response) -> Response:
        """Return a response with what there is to say."""
        response.headers.update(self._headers)
        if self._warnings:
            response.headers["Warning"] = render_warnings(self._warnings)
        return response


def get_tags(route: Route) -> Response:
    """Answer the tags of an image."""
    most = repository().settings.page_limit
    page = parse_page(request.args, default=most, maximum=most)
    lists, sources = repository().lists, Sources()

    def read(after: str, limit: int) -> list[str]:
        return sources.note(lists.tags(route.name, after, limit))

    found = _visible(read, page.last, page.limit + 1, visible_tags(route.name))
    return sources.tell(_list({"name": route.name, "tags": found[: page.limit]}, found, page))


def get_catalog(_: Route) -> Response:
    """Answer the image names that the actor may see."""
    settings = repository().settings
    usual = min(settings.catalog_page, settings.page_limit)
    page = parse_page(request.args, default=usual, maximum=settings.page_limit)
    found = _visible(repository().lists.images, page.last, page.limit + 1, visible_images())
    return _list({"repositories": found[: page.limit]}, found, page)


def _visible(read: Read, after: str, limit: int, is_visible: Filter | None) -> list[str]:
    """Return the first names after ``after`` that the actor may see."""
    return read(after, limit) if is_visible is None else read_names(read, after, limit, is_visible)


def get_referrers(route: Route) -> Response:
    """Answer the manifests that name a digest as their subject; unknown ones have none."""
    subject, sources = Digest.parse(route.reference), Sources()
    descriptors = _referrers(route.name, subject, request.args.get("last", ""), sources)
    limit = repository().settings.referrers_limit
    index = referrers_index(descriptors, request.args.get("artifactType"), limit)
    response = Response(index.body, mimetype=OCI_INDEX)
    if index.is_filtered:
        response.headers["OCI-Filters-Applied"] = "artifactType"
    if index.last is not None:
        response.headers["Link"] = next_link(_own_path(), request.args, None, str(index.last))
    return sources.tell(response)


def _referrers(name: str, subject: Digest, after: str, sources: Sources) -> Iterator[Descriptor]:
    lists = repository().lists
    while batch := sources.note(lists.referrers(name, subject, after, BATCH)):
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
