"""Index strategies: where a proxy searches for images that it does not have.

Registries have no search of their own in version 2 of the API; the index of version 1 is what
``docker search`` asks.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode

from repoman.plugin import Invalid, UpstreamClient, UpstreamUnavailable

HUB = "https://index.docker.io"
TIMEOUT = 5.0  # seconds; a search that takes longer is done without this index
MOST = 100  # results that an index gives at a time
ANSWER_LIMIT = 4 << 20  # bytes


@dataclass(frozen=True, slots=True)
class ImageHit:
    """An image that was found, as the index describes it."""

    name: str
    description: str = ""
    stars: int = 0
    is_official: bool = False
    is_automated: bool = False


class ImageIndex(Protocol):
    """Searches for images; thread safe."""

    def search(self, term: str, limit: int) -> list[ImageHit]:
        """Return at most ``limit`` images, the best first (UpstreamError)."""


@dataclass(frozen=True, slots=True)
class IndexPlace:
    """What a strategy may use.

    Attributes:
        client: asks the proxy's own remote.
        url: the address of a custom index; empty if none is set.
        open_client: returns a client for another address, with a timeout in seconds.
    """

    client: UpstreamClient
    url: str
    open_client: Callable[[str, float], UpstreamClient]


IndexFactory = Callable[[IndexPlace], ImageIndex]


def registry_index(place: IndexPlace) -> ImageIndex:
    """Search the proxy's own remote."""
    return V1Index(place.client)


def hub_index(place: IndexPlace) -> ImageIndex:
    """Search Docker Hub."""
    return V1Index(place.open_client(HUB, TIMEOUT))


def custom_index(place: IndexPlace) -> ImageIndex:
    """Search the index at the address that is set."""
    if not place.url.startswith(("http://", "https://")):
        raise Invalid("docker_proxy.index_url: must be an http or https address.")
    return V1Index(place.open_client(place.url.rstrip("/"), TIMEOUT))


class V1Index:
    """The search of the registry API version 1, at any host that has it."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client

    def search(self, term: str, limit: int) -> list[ImageHit]:
        """See :class:`ImageIndex`; an index without a search finds nothing."""
        query = urlencode({"q": term, "n": min(limit, MOST)})
        with self._client.open("GET", f"v1/search?{query}") as response:
            if response.status != HTTPStatus.OK:
                return []
            body = response.read_all(ANSWER_LIMIT)
        try:
            results = json.loads(body)["results"]
            return [_hit(each) for each in results][:limit]
        except (ValueError, KeyError, TypeError) as error:
            raise UpstreamUnavailable(
                f"The index {self._client.remote} sent no search results."
            ) from error


def _hit(fields: dict[str, object]) -> ImageHit:
    stars = fields.get("star_count")
    return ImageHit(
        name=str(fields["name"]),
        description=str(fields.get("description") or ""),
        stars=stars if isinstance(stars, int) else 0,
        is_official=bool(fields.get("is_official")),
        is_automated=bool(fields.get("is_automated")),
    )
