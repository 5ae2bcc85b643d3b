"""Image search: the interface of every type of repository, and its results."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from repoman_docker.index import ImageHit

MOST = 1000  # maximum number of images of one search, over all pages
PATIENCE = 8.0  # maximum seconds of a search

Filter = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Found:
    """The results of a search.

    Attributes:
        hits: at least as many as requested, if there are that many, and all that are known
            without further requests; each name once, the best first.
        total: the total number, as far as known; never over ``MOST``.
        failed: the names of repositories whose results are incomplete.
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

        ``is_visible`` decides whether a name may be shown; None: all may. Results later than
        ``patience`` seconds are ignored. Raises only failures of the repository itself: the result
        reports a remote that fails.
        """


def collect(hits: Iterable[ImageHit], failed: tuple[str, ...] = (), total: int = 0) -> Found:
    """Return hits as a result, each name once; the first hit of a name wins.

    ``total`` is the minimum total number, if known.
    """
    unique: dict[str, ImageHit] = {}
    for each in hits:
        unique.setdefault(each.name, each)
    return Found(tuple(unique.values())[:MOST], min(max(len(unique), total), MOST), failed)
