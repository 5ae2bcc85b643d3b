"""Search: the components of a repository whose names or descriptions contain a text.

What can be found are components without a version; versions are found by their names. Triggers keep
the index, a full-text index of all sequences of three characters, in the transaction that changes a
component, whoever changes it. The row of a component in it has the number
``repository << SHIFT | component``, so that one repository is one range of rows.

Source: SQLite FTS5, The Trigram Tokenizer.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from repoman.db.models import database_proxy

SHIFT = 40
SHORTEST = 3  # characters that the index has of a text
LONGEST = 400  # characters of a text that anything could contain
MOST = 1000  # components that one search finds
EXAMINED = 50_000  # components of which a search looks whether they may be seen

_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")  # no text in the database has these
_LAST_CHARACTER = "\U0010ffff"
_COLUMNS = "component.name, component.description"
_MINE = (
    "component.repository_id = ? AND component.kind = ? AND component.namespace = ? "
    "AND component.version = ''"
)
_BEGINS = "component.name >= ? AND component.name < ?"
_CONTAINS = " AND instr(lower(component.name || ' ' || component.description), ?)"
_BY_NAME = f"SELECT {_COLUMNS} FROM component WHERE {_MINE} AND {_BEGINS}"  # noqa: S608
_BY_INDEX = (
    f"SELECT {_COLUMNS} FROM component_index CROSS JOIN component "  # noqa: S608 - constants
    f"ON component.id = component_index.rowid & {(1 << SHIFT) - 1} "
    "WHERE component_index MATCH ? AND component_index.rowid BETWEEN ? AND ? "
    f"AND {_MINE}"
)

Filter = Callable[[str], bool]


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


def find_components(
    where: Searched, text: str, limit: int = MOST, is_visible: Filter | None = None
) -> list[FoundComponent]:
    """Return at most ``limit`` components that contain every word of ``text``.

    Letters have no case, and no character has a meaning. The first ones are those whose name begins
    with a single word, by name, so that one of exactly this name leads; the others come by age. A
    word of less than three characters is looked for at the beginning of names only, unless there is
    a longer one beside it. No words: all components, by name.

    ``is_visible`` is asked about each name, but about no more than ``EXAMINED`` of them.
    """
    if _IMPOSSIBLE.search(text) or len(text) > LONGEST:
        return []
    words = text.lower().split()
    long = [each for each in words if len(each) >= SHORTEST]
    short = [each for each in words if len(each) < SHORTEST]
    first = words[0] if len(words) == 1 else ""
    streams: list[Iterator[FoundComponent]] = []
    if not long:
        streams = [_beginning(where, short[0] if short else "", short[1:])]
    else:
        if first:
            streams = [_beginning(where, first, [])]
        streams.append(_containing(where, long, short, but=first))
    found: Iterator[FoundComponent] = islice(chain(*streams), EXAMINED)
    if is_visible is not None:
        found = (each for each in found if is_visible(each.name))
    return list(islice(found, limit))


def _beginning(where: Searched, start: str, others: list[str]) -> Iterator[FoundComponent]:
    sql = _BY_NAME + _CONTAINS * len(others) + " ORDER BY component.name"
    return _rows(sql, [*_mine(where), *_range(start), *others])


def _containing(
    where: Searched, long: list[str], short: list[str], but: str
) -> Iterator[FoundComponent]:
    """Find by the index, all but the names that begin with ``but``, if that is given."""
    match = " AND ".join('"{}"'.format(each.replace('"', '""')) for each in long)
    start = where.repository << SHIFT
    rows = [start, start + (1 << SHIFT) - 1]
    sql = _BY_INDEX + (f" AND NOT ({_BEGINS})" if but else "") + _CONTAINS * len(short)
    excluded = _range(but) if but else []
    return _rows(sql, [match, *rows, *_mine(where), *excluded, *short])


def _mine(where: Searched) -> list[Any]:
    return [where.repository, where.kind, where.namespace]


def _range(start: str) -> list[Any]:
    return [start, start + _LAST_CHARACTER]


def _rows(sql: str, values: list[Any]) -> Iterator[FoundComponent]:
    with closing(database_proxy.execute_sql(sql, values)) as cursor:
        for name, description in cursor:
            yield FoundComponent(name, description)
