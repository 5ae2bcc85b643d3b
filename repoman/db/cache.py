"""A cache of database reads, valid until the next write."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from repoman.db.database import Database

Value = TypeVar("Value")

CAPACITY = 10_000


class ReadCache(Generic[Value]):
    """Caches reads until the next write of any process; thread safe.

    An entry holds the database's generation of before it was read, so that a write in between
    makes it worthless. Inside a transaction nothing is remembered: it might be rolled back.
    """

    def __init__(self, database: Database, capacity: int = CAPACITY) -> None:
        self._database = database
        self._capacity = capacity
        self._entries: OrderedDict[Hashable, tuple[int, Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], Value]) -> Value:
        """Return what ``read`` returns, from memory if it would be the same."""
        if self._database.in_transaction():
            return read()
        generation = self._database.generation
        entry = self._entries.get(key)
        if entry is not None and entry[0] == generation:
            return entry[1]
        value = read()
        with self._lock:
            self._entries[key] = (generation, value)
            self._entries.move_to_end(key)
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return value
