"""A cache of database reads, each valid until something that it was read from changes."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from repoman.caching import BUDGET, CacheBudget, LruCache, size_of
from repoman.db.database import Database

Value = TypeVar("Value")


class ReadCache(Generic[Value]):
    """Caches reads until a process changes one of their topics; thread safe.

    An entry holds the numbers that its topics had before it was read, so that a write in between
    makes it worthless. Inside a transaction nothing is remembered: it might be rolled back.

    Args:
        repository: the id of the one whose content is read; None if no content is.
    """

    def __init__(
        self,
        database: Database,
        repository: int | None = None,
        budget: CacheBudget = BUDGET,
    ) -> None:
        self._database = database
        self._topics = database.topics
        self._repository = repository
        self._entries: LruCache[tuple[dict[str, int], Value]] = LruCache(size_of, budget=budget)

    def get(self, key: Hashable, read: Callable[[], Value]) -> Value:
        """Return what ``read`` returns, from memory if it would be the same."""
        if self._database.in_transaction():
            return read()
        entry = self._entries.find(key)
        if entry is not None and self._topics.are_current(entry[0]):
            self._topics.note_all(entry[0])
            return entry[1]
        with self._topics.reading(self._repository) as dependencies:
            value = read()
        numbers = dict(dependencies.numbers)
        self._topics.note_all(numbers, is_complete=dependencies.is_complete)
        if dependencies.is_complete:
            self._entries.save(key, (numbers, value))
        return value
