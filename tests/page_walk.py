"""Follows the links of pages, from page to page, a few of each kind."""

import html
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl, urljoin, urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RequestRedirect
from werkzeug.test import TestResponse

from repoman.core import Repoman
from repoman.http.admin import create_admin_app
from repoman.http.router import registered_formats

LINK = re.compile(r'<a\b[^>]*?\bhref="([^"]+)"')
NOT_PAGES = ("/repository/", "/service/", "/static/")


class Visited(NamedTuple):
    """A page that was opened; its kind is the route and the names of the parameters."""

    kind: str
    address: str
    page: TestResponse


@dataclass
class PageWalk:
    """A walk by links.

    Attributes:
        routes: those of the main port.
        open: opens an address as a browser does.
        of_a_kind: how many pages of one kind are opened.
        broken: the links that lead to no page, or to a failure.
    """

    routes: MapAdapter
    open: Callable[[str], TestResponse]
    of_a_kind: int
    broken: list[str] = field(default_factory=list)

    def run(self, *starts: str) -> Iterator[Visited]:
        """Yield the pages that are reached from the first ones."""
        queue, seen, opened = deque(starts), set(starts), defaultdict[str, int](int)
        while queue:
            address = queue.popleft()
            kind = self._kind(address)
            if kind is None or opened[kind] >= self.of_a_kind:
                continue
            opened[kind] += 1
            page = self.open(address)
            if page.status_code >= 400:
                self.broken.append(f"{page.status_code} {address}")
            if page.mimetype != "text/html":
                continue
            yield Visited(kind, address, page)
            for link in links_of(address, page.text):
                if link not in seen:
                    seen.add(link)
                    queue.append(link)

    def _kind(self, address: str) -> str | None:
        """Return the kind of a page; None for what is no page."""
        parts = urlsplit(address)
        if parts.netloc or parts.path.startswith(NOT_PAGES):
            return None
        try:
            endpoint, _ = self.routes.match(parts.path, "GET")
        except RequestRedirect:
            return None
        except HTTPException:
            self.broken.append(address)
            return None
        return " ".join([endpoint, *sorted({name for name, _ in parse_qsl(parts.query)})])


def routes_of(repoman: Repoman) -> MapAdapter:
    """Return the routes of the main port."""
    return create_admin_app(repoman, registered_formats(repoman)).url_map.bind("localhost")


def links_of(address: str, text: str) -> Iterator[str]:
    """Yield where the links of a page lead, without the own host."""
    for link in LINK.findall(text):
        url = urljoin(address, html.unescape(link)).partition("#")[0]
        yield url.removeprefix("http://localhost")
