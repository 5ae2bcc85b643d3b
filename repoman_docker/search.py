"""Image search: what every type of repository offers, and where a proxy searches for images.

A proxy searches an index beside what it has cached. The registry API V2 has no search;
``docker search`` uses the index of the API V1.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Protocol
from urllib.parse import urlencode

from repoman.plugin import (
    NotFound,
    SingleFlight,
    UpstreamClient,
    UpstreamRefused,
    UpstreamUnavailable,
)
from repoman_docker.protocol.texts import one_line

SEARCH_MAX_IMAGES = 1000  # Images that one search finds at most, over all pages.
SEARCH_TIMEOUT_S = 8.0  # How long a search waits for the results of remotes.
HUB = "https://index.docker.io"
LIBRARY = "library/"  # prefix of the official images of Docker Hub, which its index omits
INDEX_TIMEOUT_S = 5.0  # How long a search waits for this index.
INDEX_PAGE_SIZE = 100  # Results on a page of an index.
ANSWER_MAX_BYTES = 4 << 20  # A larger page of an index is refused.
CATALOG_AGE_S = 300.0  # How long a catalog is kept in memory.
CATALOG_MAX_NAMES = 20_000  # Further names of a catalog are not read.
NAME_MAX_CHARS = 255  # Longer names are left out.
DESCRIPTION_MAX_CHARS = 1000  # Longer descriptions are cut.
STARS_MAX = 1 << 31  # Higher values are not plausible, and some clients cannot decode them.

Filter = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class ImageHit:
    """An image that was found, as the index describes it; ``is_stored``: it is here as well."""

    name: str
    description: str = ""
    stars: int = 0
    is_official: bool = False
    is_automated: bool = False
    is_stored: bool = False


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The results of a search.

    Attributes:
        hits: at least as many as requested, if there are that many, and all that are known
            without further requests; each name once, the best first.
        total: the total number, as far as known; never over ``SEARCH_MAX_IMAGES``.
        failed: the names of repositories whose results are incomplete.
    """

    hits: tuple[ImageHit, ...] = ()
    total: int = 0
    failed: tuple[str, ...] = ()


class ImageSearch(Protocol):
    """Searches one repository; thread safe."""

    def find(
        self, term: str, first: int, is_visible: Filter | None, patience: float = SEARCH_TIMEOUT_S
    ) -> SearchResult:
        """Return the ``first`` images whose name or description has every word of ``term``.

        ``is_visible`` decides whether a name may be shown; None: all may. Results later than
        ``patience`` seconds are ignored. Raises only failures of the repository itself: the result
        reports a remote that fails.
        """


def collect(hits: Iterable[ImageHit], failed: tuple[str, ...] = (), total: int = 0) -> SearchResult:
    """Return hits as a result, each name once; the first hit of a name wins.

    ``total`` is the minimum total number, if known.
    """
    unique: dict[str, ImageHit] = {}
    for each in hits:
        unique.setdefault(each.name, each)
    return SearchResult(
        tuple(unique.values())[:SEARCH_MAX_IMAGES],
        min(max(len(unique), total), SEARCH_MAX_IMAGES),
        failed,
    )


@dataclass(frozen=True, slots=True)
class IndexAnswer:
    """The results of an index: some images, the best first, and the total number."""

    hits: list[ImageHit]
    total: int


class ImageIndex(Protocol):
    """Searches for images; thread safe."""

    def search(self, term: str, limit: int) -> IndexAnswer:
        """Return at most ``limit`` images (UpstreamError)."""


@dataclass(frozen=True, slots=True)
class IndexContext:
    """What a strategy gets.

    Attributes:
        remote: the address of the proxy's remote.
        url: the address of a custom index; empty if none is set.
        open_client: returns a client for an address, with a timeout in seconds.
        login: the headers that authenticate the proxy at its remote, for no other host.
        list_images: yields the names of the remote's catalog as they come (NotFound,
            UpstreamError).
    """

    remote: str
    url: str
    open_client: Callable[[str, float], UpstreamClient]
    login: Mapping[str, str] = field(default_factory=dict, repr=False)
    list_images: Callable[[], Iterable[str]] = tuple


IndexFactory = Callable[[IndexContext], ImageIndex]


def registry_index(context: IndexContext) -> ImageIndex:
    """Search the remote of the proxy, or its catalog if it has no search."""
    searching = V1Index(context.open_client(context.remote, INDEX_TIMEOUT_S), context.login)
    return RegistryIndex(searching, CatalogIndex(context.list_images))


def hub_index(context: IndexContext) -> ImageIndex:
    """Search Docker Hub."""
    return V1Index(context.open_client(HUB, INDEX_TIMEOUT_S))


def custom_index(context: IndexContext) -> ImageIndex:
    """Search the index at the configured address."""
    return V1Index(context.open_client(context.url, INDEX_TIMEOUT_S))


class V1Index:
    """The search of the registry API V1, at any host that supports it."""

    def __init__(self, client: UpstreamClient, headers: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._headers = headers or {}

    def search(self, term: str, limit: int) -> IndexAnswer:
        """See :class:`ImageIndex`; a host without a search returns no results."""
        return self.find(term, limit) or IndexAnswer([], 0)

    def find(self, term: str, limit: int) -> IndexAnswer | None:
        """Do the same, but return None if there is no search."""
        found: dict[str, ImageHit] = {}
        total = 0
        for page in range(1, -(-limit // INDEX_PAGE_SIZE) + 1):
            size = min(limit, INDEX_PAGE_SIZE)
            answer = self._get_page(term, size, page)
            if answer is None:
                return None
            new = [each for each in answer.hits if each.name not in found]
            found |= {each.name: each for each in new}
            total = max(answer.total, len(found))
            # An index without pages returns the same results again.
            if not new or len(answer.hits) < size or len(found) >= limit:
                break
        return IndexAnswer(list(found.values())[:limit], total)

    def _get_page(self, term: str, size: int, page: int) -> IndexAnswer | None:
        query = {"q": term.removeprefix(LIBRARY), "n": size, **({"page": page} if page > 1 else {})}
        with self._client.open("GET", f"v1/search?{urlencode(query)}", self._headers) as response:
            if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise UpstreamRefused(
                    f"The index {self._client.remote} answered a search with the status "
                    f"{response.status}."
                )
            if response.status != HTTPStatus.OK:
                return None
            body = response.read_all(ANSWER_MAX_BYTES)
        try:
            return parse_answer(json.loads(body))
        except (ValueError, RecursionError) as error:
            raise UpstreamUnavailable(
                f"The index {self._client.remote} sent an invalid answer to a search."
            ) from error


class CatalogIndex:
    """The names in a catalog, which is all that a V2 registry offers for a search."""

    def __init__(
        self, list_images: Callable[[], Iterable[str]], ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._list_images = list_images
        self._ticks = ticks
        self._read: tuple[float, list[str]] | None = None
        self._flights: SingleFlight[list[str]] = SingleFlight()

    def search(self, term: str, limit: int) -> IndexAnswer:
        """See :class:`ImageIndex`; a catalog that the proxy may not read counts as empty."""
        words = term.lower().split()
        names = [each for each in self._names() if all(word in each for word in words)]
        names.sort(key=lambda each: (not each.startswith(term.lower()), each))
        return IndexAnswer([ImageHit(each) for each in names[:limit]], len(names))

    def _names(self) -> list[str]:
        if (read := self._fresh()) is not None:
            return read
        # Concurrent searches for different terms need the same catalog.
        return self._flights.run("catalog", self._walk)

    def _fresh(self) -> list[str] | None:
        read = self._read
        return None if read is None or self._ticks() - read[0] >= CATALOG_AGE_S else read[1]

    def _walk(self) -> list[str]:
        if (read := self._fresh()) is not None:
            return read  # another thread was faster
        now = self._ticks()
        try:
            names = list(islice(self._list_images(), CATALOG_MAX_NAMES))
        except (NotFound, UpstreamRefused):
            names = []
        self._read = (now, names)
        return names


class RegistryIndex:
    """The search of a registry, or its catalog if it has no search."""

    def __init__(self, searching: V1Index, catalog: CatalogIndex) -> None:
        self._searching = searching
        self._catalog = catalog

    def search(self, term: str, limit: int) -> IndexAnswer:
        """See :class:`ImageIndex`."""
        return self._searching.find(term, limit) or self._catalog.search(term, limit)


def parse_answer(fields: object) -> IndexAnswer:
    """Return the results in the answer of an index, without invalid ones.

    Raises:
        ValueError: the answer as a whole is invalid.
    """
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    results = fields.get("results")
    if not isinstance(results, list | None):
        raise ValueError("results is not a list")
    hits = list(_hits(results or []))
    return IndexAnswer(hits, max(_number(fields.get("num_results")), len(hits)))


def _hits(results: list[object]) -> Iterable[ImageHit]:
    for each in results:
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(each, dict) or not isinstance(name, str) or not _is_name(name):
            continue
        description = each.get("description")
        yield ImageHit(
            name=name,
            description=_line(description) if isinstance(description, str) else "",
            stars=_number(each.get("star_count")),
            is_official=_is_true(each.get("is_official")),
            is_automated=_is_true(each.get("is_automated")),
        )


def _is_name(text: str) -> bool:
    return text.isprintable() and " " not in text and 0 < len(text) <= NAME_MAX_CHARS


def _line(text: str) -> str:
    return " ".join(one_line(text).split())[:DESCRIPTION_MAX_CHARS]


def _number(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value[:20].isdecimal():
        value = int(value[:20])
    is_number = isinstance(value, int | float) and 0 < value < STARS_MAX
    return int(value) if is_number and isinstance(value, int | float) else 0


def _is_true(value: object) -> bool:
    return value is True or value == 1 or str(value).lower() == "true"
