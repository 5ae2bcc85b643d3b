"""Lists: tags, catalog, referrers (OCI distribution-spec, Content Discovery)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from flask import Response, request

from repoman.plugin import Span, allow_caching, beginning_with, current_security
from repoman_docker.merge import Budget, Names, Read, read_names
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.media_types import OCI_INDEX
from repoman_docker.protocol.pagination import Page, next_link, parse_page
from repoman_docker.protocol.reference import Digest, Route
from repoman_docker.protocol.referrers import referrers_index
from repoman_docker.protocol.texts import render_warnings
from repoman_docker.routes.access import (
    Filter,
    repository,
    sees_images,
    visible_images,
    visible_spans,
    visible_tags,
)
from repoman_docker.service import Entry, Listed

BATCH_REFERRERS = 500  # referrers read at a time
SEALED = "~sealed."  # prefix of a sealed position, which no name or tag can have


class Sources:
    """The headers and warnings of the parts of one list."""

    def __init__(self) -> None:
        self._headers: dict[str, str] = {}
        self._warnings: list[str] = []
        self._are_cacheable = True

    def note(self, part: Listed[Entry]) -> Listed[Entry]:
        """Return a part after collecting its warnings; the headers of the first part win."""
        self._headers = {**part.headers, **self._headers}
        self._warnings += part.warnings
        self._are_cacheable &= part.is_cacheable
        return part

    def tell(self, response: Response) -> Response:
        """Return a response with the headers and warnings; it may be cached if all parts may."""
        if self._are_cacheable:
            allow_caching()
        response.headers.update(self._headers)
        if self._warnings:
            response.headers["Warning"] = render_warnings(self._warnings)
        return response


def get_tags(route: Route) -> Response:
    """Return the tags of an image."""
    most = repository().settings.page_limit
    page = _page(default=most, maximum=most)
    lists, sources = repository().lists, Sources()

    def read(after: str, limit: int) -> Names:
        return Names.page(sources.note(lists.tags(route.name, after, limit)), limit)

    found = _visible(read, page, visible_tags(route.name))
    return sources.tell(_list({"name": route.name, "tags": found[: page.limit]}, found, page))


def get_catalog(_: Route) -> Response:
    """Return the image names that the actor may see."""
    settings = repository().settings
    usual = min(settings.catalog_page, settings.page_limit)
    page = _page(default=usual, maximum=settings.page_limit)
    budget = Budget(settings.scan_limit)
    found = Names()
    if sees_images():
        read = partial(repository().lists.images, budget=budget)
        found = _visible(read, page, visible_images(), budget, visible_spans())
    allow_caching()  # No repository asks a remote for its images.
    return _list({"repositories": found[: page.limit]}, found, page)


def _page(default: int, maximum: int) -> Page:
    """Return the requested page; its ``last`` may be a sealed position."""
    page = parse_page(request.args, default, maximum)
    if not page.last.startswith(SEALED):
        return page
    last = current_security().cursors.open(page.last.removeprefix(SEALED))
    if last is None:
        raise RegistryError(
            ErrorCode.PAGINATION_NUMBER_INVALID,
            "The parameter last is not a position that this server issued. Start the list again.",
        )
    return replace(page, last=last)


def _visible(
    read: Read,
    page: Page,
    is_visible: Filter | None,
    budget: Budget | None = None,
    spans: Sequence[Span] = (beginning_with(""),),
) -> Names:
    """Return the visible names of a page, and one more if there is one."""
    if is_visible is None:
        return read(page.last, page.limit + 1)
    budget = budget or Budget(repository().settings.scan_limit)
    return read_names(read, page.last, page.limit + 1, is_visible, budget, spans)


def get_referrers(route: Route) -> Response:
    """Return the referrers of a digest; an unknown digest has none."""
    subject, sources = Digest.parse(route.reference), Sources()
    walk = _Referrers(route.name, subject, sources)
    settings = repository().settings
    descriptors = walk.after(request.args.get("last", ""), Budget(settings.scan_limit))
    index = referrers_index(descriptors, request.args.get("artifactType"), settings.referrers_limit)
    last = walk.until if index.last is None else str(index.last)
    response = Response(index.body, mimetype=OCI_INDEX)
    if index.is_filtered:
        response.headers["OCI-Filters-Applied"] = "artifactType"
    if last:
        response.headers["Link"] = next_link(_own_path(), request.args, None, last)
    return sources.tell(response)


class _Referrers:
    """The referrers of a manifest, read in batches.

    Attributes:
        until: where reading stopped because the budget was spent; else empty.
    """

    def __init__(self, name: str, subject: Digest, sources: Sources) -> None:
        self.until = ""
        self._name = name
        self._subject = subject
        self._sources = sources

    def after(self, last: str, budget: Budget) -> Iterator[Descriptor]:
        """Yield those after a digest, as far as the budget allows."""
        lists = repository().lists
        while True:
            part = lists.referrers(self._name, self._subject, last, BATCH_REFERRERS)
            yield from self._sources.note(part)
            if len(part) < BATCH_REFERRERS:
                return
            budget.spend(len(part))
            last = str(part[-1].digest)
            if budget.is_spent:
                self.until = last
                return


def _list(body: dict[str, object], found: Names, page: Page) -> Response:
    response = Response(json.dumps(body).encode(), mimetype="application/json")
    last = ""
    if 0 < page.limit < len(found):
        last = found[page.limit - 1]
    elif page.limit and found.until is not None:
        # The page may end at a name that the client must not see.
        last = SEALED + current_security().cursors.seal(found.until)
    if last:
        response.headers["Link"] = next_link(_own_path(), request.args, page.limit, last)
    return response


def _own_path() -> str:
    return request.script_root + request.path
