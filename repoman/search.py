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

SHIFT = 40
ID_MASK = (1 << SHIFT) - 1
SHORTEST = 3  # characters that the index has of a text
PROBES = 6  # sequences of a word that the index is asked for; more cost more than they tell
LONGEST = 400  # characters of a text that anything could contain
MOST = 1000  # components that one search finds
EXAMINED = 10_000  # components that a search looks at to find them
EXAMINED_FOR_SOME = 100_000  # the same for those who may not see all
EXAMINED_NAMES = 20_000  # names that are looked through where the index is of no help

_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")  # no text in the database has these
_LAST_CHARACTER = "\U0010ffff"
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
        long = [each for each in words if len(each) >= SHORTEST]
        if not long or sum(map(len, words)) > LONGEST or _IMPOSSIBLE.search("".join(words)):
            return set() if any(map(_IMPOSSIBLE.search, words)) else None
        probe = " AND ".join(map(_probe, long))
        # One range of rows from the first to the last: repositories between may be others.
        first, last = min(repositories, default=0), max(repositories, default=0)
        bounds = (first << SHIFT, (last + 1 << SHIFT) - 1)
        found: set[int] = set()
        for index in _INDEXES:
            sql, values = _CANDIDATES.format(index), [probe, *bounds, EXAMINED]
            rows = database_proxy.execute_sql(sql, values).fetchall()
            found |= {row & ID_MASK for (row,) in rows if row >> SHIFT in repositories}
            if len(rows) == EXAMINED or len(found) > limit:
                return None
        return found


def find_components(
    where: Searched, text: str, limit: int = MOST, is_visible: Filter | None = None
) -> list[FoundComponent]:
    """Return at most ``limit`` components that contain every word of ``text``.

    Letters have no case, and no character has a meaning. The first ones are those whose name begins
    with the only word, by name, so that one of exactly this name leads; the others come by age. The
    index does not help with words of less than three characters: where there is no longer one, the
    first is looked for in names only, at the beginning of all and anywhere in ``EXAMINED_NAMES``.
    No words: all components, by name.

    ``is_visible`` is asked about each name. No more than ``EXAMINED`` components are looked at, or
    ``EXAMINED_FOR_SOME`` then; what is beyond is not found.
    """
    if _IMPOSSIBLE.search(text) or len(text) > LONGEST:
        return []
    words = text.lower().split()
    long = [each for each in words if len(each) >= SHORTEST]
    if not long:
        first = words[0] if words else ""
        rows = _beginning(where, first)
        if first:
            rows = chain(rows, _having_part(where, first))
    elif len(words) > 1:
        rows = _containing(where, long)
    else:
        rows = chain(_beginning(where, words[0]), _containing(where, long, but=words[0]))
    most = EXAMINED if is_visible is None else EXAMINED_FOR_SOME
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
    return _rows(_BY_PART, [*_mine(where), *_range(part), EXAMINED_NAMES, part])


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
    last = len(word) - SHORTEST
    if last < PROBES:
        return _quoted(word)
    starts = [number * last // (PROBES - 1) for number in range(PROBES)]
    return " AND ".join(_quoted(word[start : start + SHORTEST]) for start in starts)


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))


def _mine(where: Searched) -> list[Any]:
    return [where.repository, where.kind, where.namespace]


def _range(start: str) -> list[Any]:
    return [start, start + _LAST_CHARACTER]


def _rows(sql: str, values: list[Any]) -> Iterator[_Row]:
    with closing(database_proxy.execute_sql(sql, values)) as cursor:
        yield from cursor
