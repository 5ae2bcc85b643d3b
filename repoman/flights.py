"""Work that many threads need at the same time, and one of them does.

Those that wait for it make room for other requests meanwhile, see :mod:`repoman.waiting`.
"""

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Generic, TypeVar

from repoman.errors import RepomanError, Unavailable, UpstreamTimeout
from repoman.waiting import Wait, waiting

WAIT_MAX_S = 300.0  # Nobody waits longer for the work of another thread.

Value = TypeVar("Value")


class SingleFlight(Generic[Value]):
    """Lets one caller work for all that ask for the same thing at the same time; thread safe.

    Args:
        what: what those are announced to wait for that do not work themselves; None: nothing, as
            their caller has done so.
    """

    def __init__(self, what: Wait | None = None) -> None:
        self._what = what
        self._flights: dict[Hashable, Future[Value]] = {}
        self._lock = threading.Lock()

    def run(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """Return what ``work`` returns, ours or that of the caller that works at ``key`` already.

        Raises:
            Exception: what the work raised, for each of the callers.
            UpstreamTimeout, Unavailable: the other one takes too long, with a remote or without.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                mine: Future[Value] = Future()
                self._flights[key] = mine
        if flight is None:
            return self._lead(key, mine, work)
        try:
            with _announced(self._what):
                return flight.result(WAIT_MAX_S)
        except TimeoutError as error:
            raise _late(self._what) from error

    def _lead(self, key: Hashable, flight: "Future[Value]", work: Callable[[], Value]) -> Value:
        try:
            value = work()
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)
            raise
        self._land(key)
        flight.set_result(value)
        return value

    def _land(self, key: Hashable) -> None:
        with self._lock:
            del self._flights[key]


class KeyedLocks:
    """A lock for each key, which is there while somebody has it or waits for it; thread safe.

    It is for work whose result depends on when it began: who waited looks again what there is.
    """

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[threading.Lock, list[None]]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, key: Hashable) -> Iterator[None]:
        """Return a context for one thread at a time (Unavailable: that takes too long)."""
        with self._lock:
            lock, users = self._locks.setdefault(key, (threading.Lock(), []))
            users.append(None)
        try:
            if not lock.acquire(blocking=False):
                with _announced(Wait.TURN):
                    if not lock.acquire(timeout=WAIT_MAX_S):
                        raise _late(Wait.TURN)
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._lock:
                users.pop()
                if not users:
                    del self._locks[key]


def _announced(what: Wait | None) -> AbstractContextManager[None]:
    return nullcontext() if what is None else waiting(what)


def _late(what: Wait | None) -> RepomanError:
    if what is Wait.TURN:
        return Unavailable("The server takes too long to make this. Try again.")
    return UpstreamTimeout("The remote takes too long to answer.")
