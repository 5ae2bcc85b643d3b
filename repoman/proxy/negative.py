"""The not-found cache: what the remote does not have is not asked for again for a while."""

import threading
from collections import OrderedDict
from collections.abc import Callable

CAPACITY = 10_000  # entries; the oldest goes first
FOR_EVER = -1


class NegativeCache:
    """Remembers keys for a time; thread safe, in memory only.

    Args:
        clock: seconds since the epoch.
        time_to_live: minutes that an entry is believed; -1: for ever, 0: not at all.
        capacity: most entries.
    """

    def __init__(
        self, clock: Callable[[], float], time_to_live: int, capacity: int = CAPACITY
    ) -> None:
        self._clock = clock
        self._time_to_live = time_to_live
        self._capacity = capacity
        self._entries: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        """Return whether the remote said lately that it has nothing at ``key``."""
        added_at = self._entries.get(key)
        if added_at is None:
            return False
        if self._is_young(added_at):
            return True
        self.discard(key)
        return False

    def add(self, key: str) -> None:
        """Remember that there is nothing; not to be called while the remote is not asked."""
        with self._lock:
            self._entries[key] = self._clock()
            self._entries.move_to_end(key)
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def discard(self, key: str) -> None:
        """Forget one key: it was found after all."""
        with self._lock:
            self._entries.pop(key, None)

    def clear(self, prefix: str = "") -> None:
        """Forget all keys that begin with ``prefix``."""
        with self._lock:
            for key in [key for key in self._entries if key.startswith(prefix)]:
                del self._entries[key]

    def _is_young(self, added_at: float) -> bool:
        return self._time_to_live == FOR_EVER or self._clock() - added_at < self._time_to_live * 60
