"""Caches in memory, all of which share one budget of bytes.

However many repositories there are, all caches of the process together take at most
``server.cache_memory``. The least recently used entry goes first, whichever cache it is in. A hit
takes no lock: it only marks its entry, and a marked entry gets a second chance.
"""

import hashlib
import secrets
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")

DEFAULT_BYTES = 67_108_864
"""The budget until the settings say otherwise."""
ENTRY_BYTES = 400
"""What an entry takes besides its key and value, as measured."""
DEPTH_MAX = 6
"""Nested values below this level are not looked at when a size is estimated."""

_FOREVER = float("inf")
# A tuple, since a union is made anew by each call, for each part of each value.
_WITHOUT_PARTS = (str, bytes, int, float, type(None))


class _Entry:
    __slots__ = ("key", "until", "value", "values", "was_used", "weight")

    def __init__(
        self, values: "dict[Hashable, _Entry]", key: Hashable, value: Any, weight: int, until: float
    ) -> None:
        self.values = values
        self.key = key
        self.value = value
        self.weight = weight
        self.until = until
        self.was_used = False


class CacheBudget:
    """The memory that several caches may take together, in bytes; thread safe."""

    def __init__(self, size: int = DEFAULT_BYTES) -> None:
        self.size = size
        self.used = 0
        self._entries: OrderedDict[_Entry, None] = OrderedDict()  # the next to go comes first
        self._lock = threading.Lock()

    def resize(self, size: int) -> None:
        """Set the number of bytes, and evict what no longer fits."""
        with self._lock:
            self.size = size
            self._shrink()

    def add(self, entry: _Entry) -> None:
        """Store an entry; it replaces the one with the same key."""
        with self._lock:
            former = entry.values.get(entry.key)
            if former is not None:
                self._drop(former)
            if entry.weight <= self.size:
                entry.values[entry.key] = entry
                self._entries[entry] = None
                self.used += entry.weight
                self._shrink()

    def remove(self, entry: _Entry) -> None:
        """Remove an entry, unless it was removed before."""
        with self._lock:
            self._drop(entry)

    def _shrink(self) -> None:
        while self.used > self.size:
            entry, _ = self._entries.popitem(last=False)
            self._entries[entry] = None
            if entry.was_used:
                entry.was_used = False
            else:
                self._drop(entry)

    def _drop(self, entry: _Entry) -> None:
        if entry in self._entries:
            del self._entries[entry]
            del entry.values[entry.key]
            self.used -= entry.weight


BUDGET = CacheBudget()
"""The budget of the process."""


def size_of(value: Any, depth: int = DEPTH_MAX) -> int:
    """Return an estimate of the bytes of memory that a value and its parts take."""
    size = sys.getsizeof(value)
    if depth == 0 or isinstance(value, _WITHOUT_PARTS):
        return size
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    else:
        parts = [getattr(value, name, None) for name in getattr(value, "__slots__", ())]
        parts.append(getattr(value, "__dict__", None))
    for part in parts:
        plain = isinstance(part, _WITHOUT_PARTS)
        size += sys.getsizeof(part) if plain else size_of(part, depth - 1)
    return size


class LruCache(Generic[Value]):
    """Maps keys to recently used values; thread safe.

    Args:
        weigh: returns how many bytes a value takes.
        ttl: seconds after which a value expires; None: never.
        ticks: seconds that never run backwards.

    Attributes:
        entries: by key; public for callers that cannot afford a method call.
    """

    def __init__(
        self,
        weigh: Callable[[Value], int] = size_of,
        ttl: float | None = None,
        ticks: Callable[[], float] = time.monotonic,
        budget: CacheBudget = BUDGET,
    ) -> None:
        self._weigh = weigh
        self._ttl = ttl
        self._ticks = ticks
        self._budget = budget
        self.entries: dict[Hashable, _Entry] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, key: Hashable) -> Value | None:
        """Return the value of a key, or None if there is none or it has expired."""
        entry = self.entries.get(key)
        if entry is None or (entry.until != _FOREVER and entry.until <= self._ticks()):
            return None
        entry.was_used = True
        found: Value = entry.value
        return found

    def find_old(self, key: Hashable) -> Value | None:
        """Return the value of a key even if it has expired, or None if there is none."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def get(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """Return the value of a key; if there is none, ``work`` computes it. None is not cached."""
        value = self.find(key)
        if value is None:
            value = work()
            if value is not None:
                self.save(key, value)
        return value

    def save(self, key: Hashable, value: Value, seconds: float | None = None) -> None:
        """Store a value for ``seconds``, by default the TTL of the cache; 0: do not store it."""
        seconds = self._ttl if seconds is None else seconds
        if seconds == 0:
            return
        until = _FOREVER if seconds is None else self._ticks() + seconds
        weight = self._weigh(value) + size_of(key) + ENTRY_BYTES
        self._budget.add(_Entry(self.entries, key, value, weight, until))

    def discard(self, key: Hashable) -> None:
        """Remove a key."""
        entry = self.entries.get(key)
        if entry is not None:
            self._budget.remove(entry)

    def clear(self) -> None:
        """Remove everything."""
        for entry in list(self.entries.values()):
            self._budget.remove(entry)


DIGEST_BYTES = 16  # The length of a keyed digest.


class KeyedDigest:
    """Digests by a random key that ends with the process; thread safe."""

    __slots__ = ("_begin",)

    def __init__(self) -> None:
        # The key is hashed once; copying that state is faster than hashing it for each digest.
        self._begin = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=DIGEST_BYTES).copy

    def of(self, data: bytes) -> bytes:
        """Return the digest of something that must not be stored in clear."""
        state = self._begin()
        state.update(data)
        return state.digest()
