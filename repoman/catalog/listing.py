"""Reads a page of a list: in the order of an index, by key, within a budget of rows."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import chain, islice
from typing import Any, Protocol

from repoman.catalog.model import Order, PageRequest, Range
from repoman.catalog.records import Row, Scan, Values, list_rows, read_rows
from repoman.errors import Invalid, PageKeyInvalid
from repoman.patterns import PatternError, find_wildcards

PATTERN_MAX_CHARS = 1000
"""A longer search pattern is refused."""

CHUNK_ROWS = 100
"""Rows that are examined together."""

CANDIDATES_MAX = 1000
"""If a filter leaves at most this many candidates, all are read and sorted in memory."""


_WORD = re.compile(r'"([^"]*)"|([^\s"]+)')


class Sealer(Protocol):
    """Encrypts the positions that clients hand back."""

    def seal(self, position: str) -> str:
        """Return a text that only this server can open."""

    def open(self, cursor: str) -> str | None:
        """Return what was sealed; None if it was not sealed here."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: where its rows come from, and which of them belong to it.

    Attributes:
        question: the query; the key of a page is valid only for the same query.
        scans: where the rows come from; all scans have the same order.
        judge: returns the rows that belong to the list, out of some rows, in the same order.
        candidates: the ids of all rows that may belong to it if they are few, otherwise None.
        row_cost: how much of the budget each row takes that ``judge`` examines.
    """

    question: object
    scans: list[Scan]
    judge: Callable[[list[Row]], list[Row]]
    is_descending: bool = False
    candidates: Iterable[int] | None = None
    row_cost: int = 1


def check_order(order: Order, known: Collection[Order]) -> None:
    """Return if a list can be sorted so.

    Raises:
        Invalid: it cannot.
    """
    if order not in known:
        names = ", ".join(known)
        raise Invalid(
            f"order: this list cannot be sorted by {order}; choose one of: {names}.", field="order"
        )


def read_page(
    listing: Listing, page: PageRequest, budget: int, sealer: Sealer
) -> tuple[list[Row], str | None]:
    """Return the rows of a page and the key of the next page, or None on the last page.

    Raises:
        PageKeyInvalid: the key of the page does not belong to this list.
    """
    keys = _Keys(listing.question, sealer)
    rows = _rows(listing, keys.open(page.after) if page.after else None)
    if not listing.scans:
        return [], None
    key = listing.scans[0].key
    found: list[Row] = []
    examined = 0
    while chunk := list(islice(rows, min(CHUNK_ROWS, page.size + 1))):
        for row in listing.judge(chunk):
            if len(found) == page.size:
                return found, keys.seal(key(found[-1]))
            found.append(row)
        examined += len(chunk) * listing.row_cost
        if examined >= budget:
            return found, keys.seal(key(chunk[-1]))
    return found, None


def key_after(listing: Listing, row: Row, sealer: Sealer) -> str:
    """Return the key of the page that begins after a row of a list."""
    return _Keys(listing.question, sealer).seal(listing.scans[0].key(row))


def read_first(listing: Listing, budget: int) -> Iterator[Row]:
    """Yield the rows of a list from its beginning on, as many as the budget allows to examine."""
    rows = _rows(listing, None)
    left = -(-budget // listing.row_cost)
    while chunk := list(islice(rows, min(CHUNK_ROWS, left))):
        yield from listing.judge(chunk)
        left -= len(chunk)


def _rows(listing: Listing, after: Values | None) -> Iterator[Row]:
    """Yield the rows after a key that may belong to a list, in order."""
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
    """Return the ids of the accepted rows of some scans; None if the scans have too many rows."""
    rows = chain.from_iterable(read_rows(scan, None) for scan in scans)
    found = list(islice(rows, CANDIDATES_MAX + 1))
    if len(found) > CANDIDATES_MAX:
        return None
    return {row[0] for row in found if accepts(row)}


@dataclass(frozen=True, slots=True)
class Wildcards:
    """A pattern with ``*`` for any characters and ``?`` for one; None matches all texts.

    Attributes:
        beginning: the prefix of all texts that match.
        is_exact: whether it has no wildcard, so that it matches only itself.
        is_any: whether it matches every text.
    """

    text: str
    beginning: str
    is_exact: bool
    fits: Callable[[str], bool]
    is_any: bool = False

    @classmethod
    def parse(cls, text: str | None) -> "Wildcards":
        """Return the pattern that a text describes (Invalid: it is too long)."""
        if text is None or text == "*":
            return cls("", "", is_exact=False, fits=_always, is_any=True)
        if len(text) > PATTERN_MAX_CHARS:
            raise Invalid(
                f"A search pattern can have at most {PATTERN_MAX_CHARS} characters, and this one "
                f"has {len(text)}."
            )
        beginning = re.split("[*?]", text, maxsplit=1)[0]
        if beginning == text:
            return cls(text, text, is_exact=True, fits=text.__eq__)
        try:
            return cls(text, beginning, is_exact=False, fits=find_wildcards(text))
        except PatternError as error:
            raise Invalid(f"The search pattern {text[:50]!r} is not valid: {error}.") from error


def _always(_: str) -> bool:
    """Return True."""
    return True


@dataclass(frozen=True, slots=True)
class Words:
    """Words that must all be in a text, in any case of letters.

    Attributes:
        pieces: what the text certainly has, in lower case.
        fit: returns whether a text, in lower case, has all of the words.
    """

    pieces: list[str]
    fit: Callable[[str], bool]

    @classmethod
    def parse(cls, text: str) -> "Words":
        """Return the words of a text; in quotes, several are one; they may have wildcards."""
        found = (quoted or plain for quoted, plain in _WORD.findall(text.lower()))
        words = [each for each in found if each.strip("*?")]
        pieces = [piece for each in words for piece in re.split(r"[*?\s]+", each) if piece]
        patterns = [Wildcards.parse(f"*{each}*").fits for each in words if set(each) & {*"*?"}]
        plain = [each for each in words if not set(each) & {*"*?"}]

        def fit(text: str) -> bool:
            return all(each in text for each in plain) and all(fits(text) for fits in patterns)

        return cls(pieces, fit)


def within(span: Range) -> tuple[tuple[str, object], ...]:
    """Return the range as bounds of a scan."""
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
        return self._sealer.seal(self._mark + json.dumps(key))

    def open(self, text: str) -> tuple[Any, ...]:
        opened = self._sealer.open(text)
        # Others seal positions too, which are not JSON.
        if opened is not None and opened.startswith(self._mark):
            return tuple(json.loads(opened.removeprefix(self._mark)))
        raise PageKeyInvalid(
            "The key of the page does not belong to this list. Start the list again.", field="after"
        )
