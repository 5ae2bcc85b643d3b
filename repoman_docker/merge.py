"""Lists of several members made one: pure functions on values."""

from collections.abc import Callable, Iterable
from heapq import merge
from itertools import islice

from repoman_docker.protocol.descriptor import Descriptor

BATCH = 500  # names read at a time where not all of them count

Read = Callable[[str, int], list[str]]  # what comes after a name, at most so many


def read_names(read: Read, after: str, limit: int, counts: Callable[[str], bool]) -> list[str]:
    """Return the first ``limit`` names after ``after`` that count."""
    found: list[str] = []
    while len(found) < limit and (batch := read(after, BATCH)):
        found += filter(counts, batch)
        after = batch[-1]
    return found[:limit]


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
