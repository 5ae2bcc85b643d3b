"""Work that many ask for at once and that is done once: single flight, and threads to do it in."""

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from repoman.errors import UpstreamTimeout

FETCHERS = 32  # downloads at a time, over all proxies
IDLE = 10.0  # seconds after which a fetcher without work ends
PATIENCE = 300.0  # seconds that a follower waits for the leader

Value = TypeVar("Value")

_log = logging.getLogger(__name__)


class SingleFlight(Generic[Value]):
    """Lets one caller work for all that ask for the same thing meanwhile; thread safe."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Future[Value]] = {}
        self._lock = threading.Lock()

    def run(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """Return what ``work`` returns, ours or that of whoever works at ``key`` already.

        Raises:
            Exception: what the work raised, for each of the callers.
            UpstreamTimeout: the other one takes too long.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                mine: Future[Value] = Future()
                self._flights[key] = mine
        if flight is None:
            return self._lead(key, mine, work)
        try:
            return flight.result(PATIENCE)
        except TimeoutError as error:
            raise UpstreamTimeout("The remote takes too long to answer.") from error

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


class Fetchers:
    """A bounded pool of threads that come when there is work and go when there is none.

    They are daemons: the end of the process does not wait for a remote.
    """

    def __init__(self, limit: int = FETCHERS) -> None:
        self._limit = limit
        self._work: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._pending = 0

    def submit(self, work: Callable[[], object]) -> None:
        """Have ``work`` done soon; its errors are logged."""
        with self._lock:
            self._pending += 1
            self._work.put(work)
            if self._pending > self._count and self._count < self._limit:
                self._count += 1
                threading.Thread(target=self._run, name="fetcher", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=IDLE)
            except Empty:
                with self._lock:
                    if self._work.empty():
                        self._count -= 1
                        return
                continue
            try:
                work()
            except Exception:  # noqa: BLE001 - the thread goes on
                _log.exception("A fetcher failed")
            finally:
                with self._lock:
                    self._pending -= 1
