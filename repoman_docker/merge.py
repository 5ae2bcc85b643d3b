"""Merging the lists of several members, and filtering lists.

A request reads a limited number of entries: a page may end before it is full, and states up to
where it is complete, so that the next request continues there.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice, takewhile

from repoman.plugin import LAST_CHARACTER, Span, beginning_with, turn
from repoman_docker.protocol.descriptor import Descriptor

BATCH_NAMES = 500  # names read at a time from a filtered list
TURN_NAMES = 100  # names examined in one turn


@dataclass(slots=True)
class Budget:
    """The number of entries that one request may still read, over all lists."""

    left: int

    def spend(self, count: int) -> None:
        """Count entries that were read; an overdrawn budget is spent."""
        self.left -= count

    @property
    def is_spent(self) -> bool:
        """Whether the request must return what it has."""
        return self.left <= 0


class Names(list[str]):
    """A part of a list of names, in byte order.

    Attributes:
        until: the list is complete up to this name, which need not be in it; None: up to its end.
    """

    def __init__(self, names: Iterable[str] = (), until: str | None = None) -> None:
        super().__init__(names)
        self.until = until

    @classmethod
    def page(cls, names: list[str], limit: int) -> "Names":
        """Return names that were read with a limit; if the limit was reached, there may be more."""
        return cls(names, names[-1] if names and len(names) >= limit else None)


Read = Callable[[str, int], Names]  # the names after a name, with a maximum number


def read_names(
    read: Read,
    after: str,
    limit: int,
    counts: Callable[[str], bool],
    budget: Budget,
    spans: Sequence[Span] = (beginning_with(""),),
) -> Names:
    """Return the first ``limit`` names that ``counts`` accepts, as far as the budget allows.

    At least one batch is read, so that a client that follows the pages reaches the end of the list.
    Names outside ``spans``, which are in order and do not overlap, are not counted, nor looked at
    where that can be avoided.
    """
    found: list[str] = []
    while (span := next((each for each in spans if after < each[1]), None)) is not None:
        after = max(after, _before(span[0]))
        batch = read(after, BATCH_NAMES)
        inside = list(takewhile(span[1].__gt__, batch))
        for start in range(0, len(inside), TURN_NAMES):
            with turn():
                found += filter(counts, inside[start : start + TURN_NAMES])
        budget.spend(len(inside) or 1)
        if len(found) >= limit:
            return Names.page(found[:limit], limit)
        is_passed = len(inside) < len(batch)
        if not is_passed and batch.until is None:
            break
        after = span[1] if is_passed else str(batch.until)
        if budget.is_spent:
            return Names(found, after)
    return Names(found)


def _before(name: str) -> str:
    """Return a text that only names from this one on come after."""
    return f"{name[:-1]}{chr(ord(name[-1]) - 1)}{LAST_CHARACTER}" if name else ""


def merge_pages(pages: Iterable[Names], limit: int) -> Names:
    """Return the first ``limit`` names of several lists, up to where all lists are complete."""
    parts = list(pages)
    until = min((each.until for each in parts if each.until is not None), default=None)
    names = merge_names(parts, limit)
    if until is not None:
        names = list(takewhile(lambda name: name <= until, names))
    return Names(names, names[-1] if names and len(names) >= limit else until)


def merge_names(lists: Iterable[list[str]], limit: int) -> list[str]:
    """Return the first ``limit`` names of sorted lists, without duplicates, in byte order."""
    return list(islice(_unique(merge(*lists)), limit))


def merge_referrers(lists: Iterable[list[Descriptor]], limit: int) -> list[Descriptor]:
    """Return the first ``limit`` referrers; of duplicates, that of the first list."""
    found: dict[str, Descriptor] = {}
    for descriptors in lists:
        for descriptor in descriptors:
            found.setdefault(str(descriptor.digest), descriptor)
    return [found[digest] for digest in sorted(found)[:limit]]


def _unique(names: Iterable[str]) -> Iterable[str]:
    last: str | None = None
    for name in names:
        if name != last:
            yield name
        last = name
