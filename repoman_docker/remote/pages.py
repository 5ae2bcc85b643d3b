"""Lists that a remote sends in pages, and how to follow their links.

Source: OCI distribution-spec, Listing Tags. Registries behind a proxy often put an internal
scheme, host or path into their links; only the query counts.
"""

import logging
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar
from urllib.parse import quote, urljoin

from repoman.plugin import (
    NotFound,
    UpstreamRefused,
    UpstreamResponse,
    UpstreamUnavailable,
    is_same_server,
)
from repoman_docker.protocol.pagination import parse_next_link

PAGE_MAX_BYTES = 8 << 20
"""The maximum size of a page, in bytes."""

LISTS_MAX_BYTES = 64 << 20
"""The maximum size of all pages of a list, in bytes."""

PAGES_MAX = 10_000
"""The maximum number of pages of a list."""

EMPTY_PAGES_MAX = 10
"""The maximum number of consecutive empty pages: registries filter pages by rights."""

PAGE_ENTRIES = 1000
"""The number of entries to request for each page."""

Entry = TypeVar("Entry", bound=Hashable)

_log = logging.getLogger(__name__)


class Pages(Generic[Entry]):
    """The entries of one list, without duplicates, as they arrive; for one thread.

    Args:
        remote: its address.
        path: of the list, with its query.
        ask: sends a GET to a path or an address, and checks its status.
        parse: returns the entries of a page, or raises UpstreamUnavailable.
        guess: returns the query for the page after an entry, for registries that cut lists
            without a link.

    Attributes:
        gap: why entries may be missing, once the last page has been read; empty if none are.
    """

    def __init__(
        self,
        remote: str,
        path: str,
        ask: Callable[[str], UpstreamResponse],
        parse: Callable[[bytes], list[Entry]],
        guess: Callable[[Entry], str] | None = None,
    ) -> None:
        self._remote = remote
        self._path = path
        self._ask = ask
        self._parse = parse
        self._guess = guess
        self._left = LISTS_MAX_BYTES
        self._empty = 0
        self._asked = {path}
        self._is_guess = self._was_mended = False
        self.gap = ""

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries (UpstreamError, NotFound)."""
        seen: set[Entry] = set()
        path: str | None = self._path
        for _ in range(PAGES_MAX):
            if path is None:
                return
            page = self._read(path, is_first=not seen and path == self._path)
            if page is None:
                return
            entries, url, link = page
            new = [each for each in dict.fromkeys(entries) if each not in seen]
            seen.update(new)
            yield from new
            path = self._next(entries, new, url, link)
        if path is not None:
            self._miss(f"it has more than {PAGES_MAX} pages")

    def _read(self, path: str, *, is_first: bool) -> tuple[list[Entry], str, str | None] | None:
        """Return a page, the address it came from and its link; None if the list ends."""
        try:
            with self._ask(path) as response:
                body = response.read_all(PAGE_MAX_BYTES)
                link = parse_next_link(response.headers.get("Link"))
        except (NotFound, UpstreamRefused, UpstreamUnavailable) as error:
            if is_first:
                raise
            if not self._is_guess:
                self._miss(str(error).rstrip("."))
            return None
        self._left -= len(body)
        if self._left < 0:
            raise UpstreamUnavailable(
                f"The remote {self._remote} sent a list of more than {LISTS_MAX_BYTES} bytes."
            )
        return self._parse(body), response.url, link

    def _next(
        self, entries: list[Entry], new: list[Entry], url: str, link: str | None
    ) -> str | None:
        """Return the path of the next page; None if the list ends."""
        self._empty = 0 if entries else self._empty + 1
        was_guess, self._is_guess = self._is_guess, False
        if link is None:
            return None if was_guess and not new else self._guessed(entries)
        if entries and not new:
            if self._was_mended:
                self._miss("its next page cannot be found")
            return None  # the link leads to nothing new
        if self._empty > EMPTY_PAGES_MAX:
            self._miss("too many of its pages are empty")
            return None
        path = self._follow(url, link)
        if path is None or path in self._asked:
            if path is None or self._was_mended:
                where = link.partition("?")[0][:200]  # the query may contain credentials
                self._miss(f"it continues at {where}, which cannot be followed")
            return None
        self._asked.add(path)
        return path

    def _follow(self, url: str, link: str) -> str | None:
        """Return the address of the next page, at the remote or at the host of this page."""
        self._was_mended = False
        with suppress(ValueError):  # a link without a valid host can still have a query
            target = urljoin(url, link)
            came_from_elsewhere = not is_same_server(self._remote, url)
            if target.startswith(f"{self._remote}/") or (
                came_from_elsewhere and is_same_server(url, target)
            ):
                return target
        self._was_mended = True
        query = link.partition("#")[0].partition("?")[2]
        return f"{self._path.partition('?')[0]}?{query}" if query else None

    def _guessed(self, entries: list[Entry]) -> str | None:
        """Return the path of the page after one with exactly the requested number of entries."""
        if self._guess is None or len(entries) != PAGE_ENTRIES:
            return None
        self._is_guess = True
        return f"{self._path.partition('?')[0]}?{self._guess(entries[-1])}"

    def _miss(self, why: str) -> None:
        self.gap = f"The list of the remote {self._remote} may be incomplete: {why}."
        _log.warning("%s", self.gap)


def page_after(entry: str) -> str:
    """Return the query for the page after an entry."""
    return f"n={PAGE_ENTRIES}&last={quote(entry, safe='')}"
