"""Search for images: what every type of repository offers, and what it finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from repoman_docker.index import ImageHit

MOST = 1000  # images that one search finds, over all pages
PATIENCE = 8.0  # seconds that somebody waits for a search

Filter = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Found:
    """The images that a search found.

    Attributes:
        hits: at least as many as were asked for, if there are so many, and all that are known
            without asking anybody for more; each name once, the best first.
        total: how many there are in all, as far as that is known; never over ``MOST``.
        failed: the names of repositories that could not ask everybody they should have.
    """

    hits: tuple[ImageHit, ...] = ()
    total: int = 0
    failed: tuple[str, ...] = ()


class ImageSearch(Protocol):
    """Searches one repository; thread safe."""

    def find(
        self, term: str, first: int, is_visible: Filter | None, patience: float = PATIENCE
    ) -> Found:
        """Return the ``first`` images whose name or description has every word of ``term``.

        ``is_visible`` says of a name whether it may be shown; None: all may. What comes later than
        ``patience`` seconds is of no use. Raises nothing but what keeps the repository itself from
        working: a remote that fails is told in the result.
        """


def collect(hits: Iterable[ImageHit], failed: tuple[str, ...] = (), total: int = 0) -> Found:
    """Return hits as a result, each name once; the first of a name counts.

    ``total`` is how many there are at least, if that is known.
    """
    unique: dict[str, ImageHit] = {}
    for each in hits:
        unique.setdefault(each.name, each)
    return Found(tuple(unique.values())[:MOST], min(max(len(unique), total), MOST), failed)
