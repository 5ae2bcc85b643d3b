"""Rows of lists that are in memory, by their names."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from repoman.plugin import ListQuery, row_key

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """The rows of one page, and the address of the next one; nothing if this is the last."""

    shown: list[Row]
    older: str


def page_rows(
    found: Iterable[Row],
    query: ListQuery,
    name_of: Callable[[Row], str],
    text_of: Callable[[Row], str],
) -> Rows[Row]:
    """Return the rows behind the key of a page whose text has what the visitor looks for."""
    wanted, key = query.filter.casefold(), query.key(str)
    rows = [each for each in found if wanted in text_of(each).casefold()]
    rows.sort(key=lambda each: _place(name_of(each)))
    if key is not None:
        rows = [each for each in rows if _place(name_of(each)) > _place(key[0])]
    return cut_rows(rows[: query.rows + 1], query, lambda each: row_key(name_of(each)))


def cut_rows(found: list[Row], query: ListQuery, key_of: Callable[[Row], str]) -> Rows[Row]:
    """Return the rows of a page, of which one more than it shows was asked for."""
    shown = found[: query.rows]
    return Rows(shown, query.older(key_of(shown[-1])) if len(found) > query.rows else "")


def _place(name: str) -> tuple[str, str]:
    return name.casefold(), name
