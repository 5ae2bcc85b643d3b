"""What is remembered for a while."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

CAPACITY = 10_000  # values


class Memory(Generic[Value]):
    """Values by key, each for its time; thread safe. Beyond its capacity the oldest one is dropped.

    Args:
        ticks: seconds that never run backwards.
    """

    def __init__(self, ticks: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._ticks = ticks
        self._capacity = capacity
        self._values: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> Value | None:
        """Return the value, if its time has not passed."""
        with self._lock:
            until, value = self._values.get(key, (float("-inf"), None))
        return value if until > self._ticks() else None

    def find_old(self, key: Hashable) -> Value | None:
        """Return the value, whether or not its time has passed, as far as it is still there."""
        with self._lock:
            return self._values.get(key, (0.0, None))[1]

    def save(self, key: Hashable, value: Value, seconds: float) -> None:
        """Remember a value for so long; nothing if that is 0."""
        if not seconds:
            return
        with self._lock:
            self._values[key] = (self._ticks() + seconds, value)
            self._values.move_to_end(key)
            if len(self._values) > self._capacity:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
