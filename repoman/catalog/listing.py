"""How a page of a list is read: in the order of an index, by key, within a budget of rows."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import chain, islice
from typing import Any, Protocol

from repoman.catalog.model import PageRequest, Range
from repoman.catalog.records import Row, Scan, Values, list_rows, read_rows
from repoman.errors import Invalid
from repoman.patterns import find_pattern

CHUNK = 100
"""Rows that are judged together."""

CANDIDATES_MAX = 1000
"""Where no more rows than this can be meant, all of them are read, and sorted in memory."""


class Sealer(Protocol):
    """Seals texts that clients hand back."""

    def seal(self, position: str) -> str:
        """Return a text that only this server can open."""

    def open(self, cursor: str) -> str | None:
        """Return what was sealed; None if it was not sealed here."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: where its rows come from, and which of them belong to it.

    Attributes:
        question: what was asked, for the key of the next page, which is good for nothing else.
        scans: have the same order.
        judge: returns those of some rows that belong to the list, in their order.
        candidates: the ids of all rows that may belong to it, if they are few; else None.
    """

    question: object
    scans: list[Scan]
    judge: Callable[[list[Row]], list[Row]]
    is_descending: bool = False
    candidates: Iterable[int] | None = None


def read_page(
    listing: Listing, page: PageRequest, budget: int, sealer: Sealer
) -> tuple[list[Row], str | None]:
    """Return the rows of a page, and the key of the next one; None: there is none.

    Raises:
        Invalid: the key of the page is not one of this list.
    """
    keys = _Keys(listing.question, sealer)
    rows = _rows(listing, keys.open(page.after) if page.after else None)
    if not listing.scans:
        return [], None
    key = listing.scans[0].key
    found: list[Row] = []
    examined = 0
    while chunk := list(islice(rows, min(CHUNK, page.size + 1))):
        for row in listing.judge(chunk):
            if len(found) == page.size:
                return found, keys.seal(key(found[-1]))
            found.append(row)
        examined += len(chunk)
        if examined >= budget:
            return found, keys.seal(key(chunk[-1]))
    return found, None


def _rows(listing: Listing, after: Values | None) -> Iterator[Row]:
    """Yield the rows that may belong to a list, in order, behind a key."""
    if not listing.scans:
        return iter(())
    down = listing.is_descending
    key = listing.scans[0].key
    if listing.candidates is not None:
        rows = list_rows(listing.scans[0].table, listing.candidates)
        if after is not None:
            rows = [each for each in rows if (key(each) < after if down else key(each) > after)]
        return iter(sorted(rows, key=key, reverse=down))
    parts = [read_rows(scan, after, is_descending=down) for scan in listing.scans]
    return parts[0] if len(parts) == 1 else merge(*parts, key=key, reverse=down)


def find_few(scans: Iterable[Scan], accepts: Callable[[Row], bool]) -> set[int] | None:
    """Return the ids of all rows of some scans that are accepted; None if too many are read."""
    rows = chain.from_iterable(read_rows(scan, None) for scan in scans)
    found = list(islice(rows, CANDIDATES_MAX + 1))
    if len(found) > CANDIDATES_MAX:
        return None
    return {row[0] for row in found if accepts(row)}


@dataclass(frozen=True, slots=True)
class Wildcards:
    """A text in which ``*`` stands for any characters, and ``?`` for one; empty: everything fits.

    Attributes:
        beginning: how all that fits begins.
        is_exact: whether it has neither, so that only the text itself fits.
    """

    text: str
    beginning: str
    is_exact: bool
    fits: Callable[[str], bool]

    @classmethod
    def parse(cls, text: str) -> "Wildcards":
        """Return a text as it is meant."""
        if not text:
            return cls(text, "", is_exact=False, fits=_always)
        parts = re.split(r"([*?])", text)
        if len(parts) == 1:
            return cls(text, text, is_exact=True, fits=text.__eq__)
        wild = {"*": ".*", "?": "."}
        source = "".join(wild.get(each) or re.escape(each) for each in parts)
        return cls(text, parts[0], is_exact=False, fits=find_pattern(source).matches)


def _always(_: str) -> bool:
    """Return True."""
    return True


def within(span: Range) -> tuple[tuple[str, object], ...]:
    """Return the bounds of times in a range."""
    low, high = span
    bounds = ((">=", low), ("<", high))
    return tuple(each for each in bounds if each[1] is not None)


def is_within(value: float, span: Range) -> bool:
    """Return whether a time is in a range."""
    low, high = span
    return (low is None or value >= low) and (high is None or value < high)


class _Keys:
    """The keys of the pages of one list."""

    def __init__(self, question: object, sealer: Sealer) -> None:
        self._mark = hashlib.sha256(repr(question).encode()).hexdigest()[:16]
        self._sealer = sealer

    def seal(self, key: Values) -> str:
        return self._sealer.seal(json.dumps([self._mark, *key]))

    def open(self, text: str) -> tuple[Any, ...]:
        opened = self._sealer.open(text)
        if opened is not None:
            mark, *key = json.loads(opened)
            if mark == self._mark:
                return tuple(key)
        raise Invalid(
            "The key of the page is not one of this list. Start the list again.", field="after"
        )
