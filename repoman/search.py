"""Search: the components whose names, versions or descriptions contain a text.

There are two full-text indexes of all sequences of three characters: ``component_index`` has the
components without a version, with their descriptions, ``version_index`` the others. Triggers keep
them, in the transaction that changes a component. The row of a component in them has the number
``repository << SHIFT | component``, so that one repository is one range of rows.

Source: SQLite FTS5, The Trigram Tokenizer.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice, starmap
from typing import Any, Protocol

from repoman.db.models import database_proxy
from repoman.db.sqlite import LAST_CHARACTER

SHIFT = 40
ID_MASK = (1 << SHIFT) - 1
PROBE_CHARS = 3  # The length of the sequences in the index.
PROBES_MAX = 6  # The index is asked for at most this many sequences of a word.
TEXT_MAX_CHARS = 400  # No component contains a longer text.
FOUND_MAX = 1000  # A search finds at most this many components.
EXAMINED_MAX = 10_000  # A search examines at most this many components.
EXAMINED_MAX_FILTERED = 100_000  # The same for users who may not see all of them.
EXAMINED_MAX_NAMES = 20_000  # The names that are searched if a text is too short for the index.
MERGE_PAGES = 64  # A step of a merge writes about as many pages of an index.

_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")  # no text in the database has these
_COLUMNS = "component.name, component.description"
_MINE = (
    "component.repository_id = ? AND component.kind = ? AND component.namespace = ? "
    "AND component.version = ''"
)
_BEGINS = "component.name >= ? AND component.name < ?"
_BY_NAME = (
    f"SELECT {_COLUMNS} FROM component WHERE {_MINE} AND {_BEGINS} "  # noqa: S608 - constants
    "ORDER BY component.name"
)
_BY_PART = (
    f"SELECT {_COLUMNS} FROM ("  # noqa: S608 - constants
    f"SELECT component.id, component.name FROM component WHERE {_MINE} AND NOT ({_BEGINS}) "
    "ORDER BY component.name LIMIT ?) AS named "
    "CROSS JOIN component ON component.id = named.id WHERE instr(lower(named.name), ?)"
)
_BY_INDEX = (
    f"SELECT {_COLUMNS} FROM component_index CROSS JOIN component "  # noqa: S608 - constants
    f"ON component.id = component_index.rowid & {ID_MASK} "
    "WHERE component_index MATCH ? AND component_index.rowid BETWEEN ? AND ? "
    f"AND {_MINE}"
)

_CANDIDATES = "SELECT rowid FROM {0} WHERE {0} MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?"
_INDEXES = ("component_index", "version_index")
_MERGE = "INSERT INTO {0} ({0}, rank) VALUES ('merge', ?)"
_CHANGES = "SELECT total_changes()"

Filter = Callable[[str], bool]
_Row = tuple[str, str]  # name and description


@dataclass(frozen=True, slots=True)
class FoundComponent:
    """A component as a search shows it."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Searched:
    """Where to search: the components of one kind and namespace of a repository."""

    repository: int
    kind: str
    namespace: str = ""


class SearchIndex(Protocol):
    """Finds components by parts of their texts, in all repositories; thread safe."""

    def find(
        self, repositories: Collection[int], words: Sequence[str], limit: int
    ) -> set[int] | None:
        """Return the ids of components that may have all of the words, in lower case.

        None: the index is of no help, or there are more than ``limit``.
        """


class TrigramIndex:
    """The full-text indexes of the database; implements :class:`SearchIndex`.

    What it finds may lack a word, as it is asked for few sequences of each.
    """

    def find(
        self, repositories: Collection[int], words: Sequence[str], limit: int
    ) -> set[int] | None:
        """See :class:`SearchIndex`; words of less than three characters do not help."""
        long = [each for each in words if len(each) >= PROBE_CHARS]
        if not long or sum(map(len, words)) > TEXT_MAX_CHARS or _IMPOSSIBLE.search("".join(words)):
            return set() if any(map(_IMPOSSIBLE.search, words)) else None
        probe = " AND ".join(map(_probe, long))
        # One range of rows from the first to the last: repositories between may be others.
        first, last = min(repositories, default=0), max(repositories, default=0)
        bounds = (first << SHIFT, (last + 1 << SHIFT) - 1)
        found: set[int] = set()
        for index in _INDEXES:
            sql, values = _CANDIDATES.format(index), [probe, *bounds, EXAMINED_MAX]
            rows = database_proxy.execute_sql(sql, values).fetchall()
            found |= {row & ID_MASK for (row,) in rows if row >> SHIFT in repositories}
            if len(rows) == EXAMINED_MAX or len(found) > limit:
                return None
        return found


def merge_indexes(*, is_first: bool) -> bool:
    """Write some pages of the indexes anew, without what was removed; return whether any are left.

    Within a transaction. The first step says what there is to merge: all of it.
    """
    is_left = False
    for index in _INDEXES:
        [(before,)] = database_proxy.execute_sql(_CHANGES).fetchall()
        pages = -MERGE_PAGES if is_first else MERGE_PAGES
        database_proxy.execute_sql(_MERGE.format(index), [pages])
        [(after,)] = database_proxy.execute_sql(_CHANGES).fetchall()
        is_left |= after - before > 1  # so says FTS5; one is the statement itself
    return is_left


def find_components(
    where: Searched, text: str, limit: int = FOUND_MAX, is_visible: Filter | None = None
) -> list[FoundComponent]:
    """Return at most ``limit`` components that contain every word of ``text``.

    Case does not matter, and no character is special. If there is only one word, components whose
    names begin with it come first, sorted by name, so that an exact match leads; all others are
    sorted by age. The index does not help with words of fewer than three characters. If all words
    are that short, the first one is searched at the beginning of all names, and anywhere in the
    first ``EXAMINED_MAX_NAMES`` names. Without any word, all components are found, sorted by name.

    ``is_visible`` is called with each name. At most ``EXAMINED_MAX`` components are examined
    (``EXAMINED_MAX_FILTERED`` with ``is_visible``); those beyond are not found.
    """
    if _IMPOSSIBLE.search(text) or len(text) > TEXT_MAX_CHARS:
        return []
    words = text.lower().split()
    long = [each for each in words if len(each) >= PROBE_CHARS]
    if not long:
        first = words[0] if words else ""
        rows = _beginning(where, first)
        if first:
            rows = chain(rows, _having_part(where, first))
    elif len(words) > 1:
        rows = _containing(where, long)
    else:
        rows = chain(_beginning(where, words[0]), _containing(where, long, but=words[0]))
    most = EXAMINED_MAX if is_visible is None else EXAMINED_MAX_FILTERED
    found = _having(islice(rows, most), words)
    if is_visible is not None:
        found = (each for each in found if is_visible(each[0]))
    return list(starmap(FoundComponent, islice(found, limit)))


def _having(rows: Iterator[_Row], words: list[str]) -> Iterator[_Row]:
    """Yield the rows with all words; that is asked of thousands, so it is not made of parts."""
    if len(words) == 1:
        [word] = words
        return (row for row in rows if word in row[0].lower() or word in row[1].lower())
    return (row for row in rows if _has_all(f"{row[0]} {row[1]}".lower(), words))


def _has_all(text: str, words: list[str]) -> bool:
    return all(word in text for word in words)


def _beginning(where: Searched, start: str) -> Iterator[_Row]:
    return _rows(_BY_NAME, [*_mine(where), *_range(start)])


def _having_part(where: Searched, part: str) -> Iterator[_Row]:
    """Look through names, all but those that begin with ``part``."""
    return _rows(_BY_PART, [*_mine(where), *_range(part), EXAMINED_MAX_NAMES, part])


def _containing(where: Searched, words: list[str], but: str = "") -> Iterator[_Row]:
    """Find by the index, all but the names that begin with ``but``, if that is given.

    What it finds may lack a word, as it is asked for few sequences of each.
    """
    start = where.repository << SHIFT
    values = [" AND ".join(map(_probe, words)), start, start + (1 << SHIFT) - 1, *_mine(where)]
    if not but:
        return _rows(_BY_INDEX, values)
    return _rows(f"{_BY_INDEX} AND NOT ({_BEGINS})", [*values, *_range(but)])


def _probe(word: str) -> str:
    """Return what to ask the index for: the word, or sequences from its beginning to its end."""
    last = len(word) - PROBE_CHARS
    if last < PROBES_MAX:
        return _quoted(word)
    starts = [number * last // (PROBES_MAX - 1) for number in range(PROBES_MAX)]
    return " AND ".join(_quoted(word[start : start + PROBE_CHARS]) for start in starts)


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))


def _mine(where: Searched) -> list[Any]:
    return [where.repository, where.kind, where.namespace]


def _range(start: str) -> list[Any]:
    return [start, start + LAST_CHARACTER]


def _rows(sql: str, values: list[Any]) -> Iterator[_Row]:
    with closing(database_proxy.execute_sql(sql, values)) as cursor:
        yield from cursor
