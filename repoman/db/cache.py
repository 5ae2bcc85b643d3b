"""A cache of database reads, each valid until something that it was read from changes."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from repoman.caching import BUDGET, CacheBudget, LruCache, size_of
from repoman.db.database import Database
from repoman.db.topics import READER, Dependencies

Value = TypeVar("Value")


class ReadCache(Generic[Value]):
    """Caches reads until a process changes one of their topics; thread safe.

    An entry holds the numbers that its topics had before it was read, so that a write in between
    makes it worthless. Inside a transaction nothing is remembered: it might be rolled back.

    Args:
        repository: the id of the one whose content is read; None if no content is.
        name: caches of one name share what they hold, and have to read the same by the same keys.
    """

    def __init__(
        self,
        database: Database,
        repository: int | None = None,
        *,
        name: str = "",
        budget: CacheBudget = BUDGET,
    ) -> None:
        self._thread = database.thread
        self._topics = database.topics
        self._repository = repository
        entries: LruCache[tuple[dict[str, int], Value]] = LruCache(size_of, budget=budget)
        self._entries = database.caches.setdefault(name, entries) if name else entries

    def get(self, key: Hashable, read: Callable[[], Value]) -> Value:
        """Return what ``read`` returns, from memory if it would be the same."""
        if self._thread.transaction is not None:
            return read()
        entry = self._entries.entries.get(key)
        if entry is not None:
            # In one piece, without a call: several caches are asked for each request.
            numbers, value = entry.value
            now = self._topics.numbers
            for topic, number in numbers.items():
                if now.get(topic, 0) != number:
                    break
            else:
                entry.was_used = True
                reader = READER.get()
                if reader is not None:
                    for topic, number in numbers.items():
                        reader.setdefault(topic, number)
                found: Value = value
                return found
        return self._read(key, read)

    def holds(self, key: Hashable) -> bool:
        """Return whether the read of a key is in memory, and nothing that it saw has changed."""
        entry = self._entries.entries.get(key)
        if entry is None:
            return False
        now = self._topics.numbers
        return all(now.get(topic, 0) == number for topic, number in entry.value[0].items())

    def pass_on(self, read: Callable[[], Value]) -> Value:
        """Return what ``read`` returns, for a response that may be cached; keep nothing here."""
        return self._follow(read)[0]

    def _read(self, key: Hashable, read: Callable[[], Value]) -> Value:
        value, dependencies = self._follow(read)
        if dependencies.is_complete:
            self._entries.save(key, (dict(dependencies), value))
        return value

    def _follow(self, read: Callable[[], Value]) -> tuple[Value, Dependencies]:
        """Return what ``read`` returns, and what it depends on."""
        with self._topics.reading(self._repository) as dependencies:
            value = read()
        self._topics.note_all(dependencies, is_complete=dependencies.is_complete)
        return value, dependencies
