"""Lists of several members made one, and lists of which not all entries count.

How far one request looks is bounded: a list may end before the page is full, and says up to where
it is complete, so that the next request goes on from there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import merge
from itertools import islice, takewhile

from repoman_docker.protocol.descriptor import Descriptor

BATCH = 500  # names read at a time where not all of them count


@dataclass(slots=True)
class Budget:
    """How many entries one request may still look through, in all parts of it together."""

    left: int

    def spend(self, count: int) -> None:
        """Count entries that were looked through; who overdraws gets no more."""
        self.left -= count

    @property
    def is_spent(self) -> bool:
        """Whether the request has to end with what it has."""
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
        """Return what was read with a limit: if that was reached, there may be more."""
        return cls(names, names[-1] if names and len(names) >= limit else None)


Read = Callable[[str, int], Names]  # what comes after a name, at most so many


def read_names(
    read: Read, after: str, limit: int, counts: Callable[[str], bool], budget: Budget
) -> Names:
    """Return the first ``limit`` names after ``after`` that count, as far as the budget goes.

    At least one batch is read, so that whoever goes on from its end gets to the end of the list.
    """
    found: list[str] = []
    while True:
        batch = read(after, BATCH)
        found += filter(counts, batch)
        budget.spend(len(batch))
        if len(found) >= limit:
            return Names.page(found[:limit], limit)
        if batch.until is None or budget.is_spent:
            return Names(found, batch.until)
        after = batch.until


def merge_pages(pages: Iterable[Names], limit: int) -> Names:
    """Return the first ``limit`` names of several lists, as far as all of them are complete."""
    parts = list(pages)
    until = min((each.until for each in parts if each.until is not None), default=None)
    names = merge_names(parts, limit)
    if until is not None:
        names = list(takewhile(lambda name: name <= until, names))
    return Names(names, names[-1] if names and len(names) >= limit else until)


def merge_names(lists: Iterable[list[str]], limit: int) -> list[str]:
    """Return the first ``limit`` names of sorted lists, each once, in byte order."""
    return list(islice(_unique(merge(*lists)), limit))


def merge_referrers(lists: Iterable[list[Descriptor]], limit: int) -> list[Descriptor]:
    """Return the first ``limit`` referrers, each digest once; the first list that has it counts."""
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
