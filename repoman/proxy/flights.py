"""Work that many ask for at once and that is done once: single flight, and threads to do it in."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

from repoman.errors import UpstreamTimeout
from repoman.threads import Watch

FETCHERS = 96  # downloads at a time, over all proxies
SHARE = 32  # of one proxy
IDLE = 10.0  # seconds after which a fetcher without work ends
PATIENCE = 300.0  # seconds that a follower waits for the leader

Value = TypeVar("Value")
Work = Callable[[], object]


class SingleFlight(Generic[Value]):
    """Lets one caller work for all that ask for the same thing at the same time; thread safe."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Future[Value]] = {}
        self._lock = threading.Lock()

    def run(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """Return what ``work`` returns, ours or that of the caller that works at ``key`` already.

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

    Each owner of work has a share of them, so that a slow remote leaves the others to everybody
    else. They are daemons: the end of the process does not wait for a remote.
    """

    def __init__(self, limit: int = FETCHERS, share: int = SHARE) -> None:
        self._limit = limit
        self._share = share
        self._changed = threading.Condition()
        self._work: dict[Hashable, deque[Work]] = {}  # the owner who was served last is the last
        self._running: Counter[Hashable] = Counter()
        self._count = 0
        self._idle = 0
        self._watch = Watch("fetcher")

    @property
    def problem(self) -> str:
        """Why the last work failed; empty if it did not."""
        return self._watch.problem

    def submit(self, owner: Hashable, work: Work) -> None:
        """Have ``work`` done soon; its errors are logged."""
        with self._changed:
            self._work.setdefault(owner, deque()).append(work)
            self._changed.notify()
            queued = sum(map(len, self._work.values()))
            if queued > self._idle and self._count < self._limit:
                threading.Thread(target=self._run, name="fetcher", daemon=True).start()
                self._count += 1

    def _run(self) -> None:
        while (found := self._wait()) is not None:
            owner, work = found
            self._watch.run(work)
            with self._changed:
                self._running[owner] -= 1
                self._running += Counter()  # drops who has none

    def _wait(self) -> tuple[Hashable, Work] | None:
        """Return the next work and its owner; None after a time without any."""
        with self._changed:
            while (found := self._take()) is None:
                self._idle += 1
                has_changed = self._changed.wait(IDLE)
                self._idle -= 1
                if not has_changed and not self._work:
                    self._count -= 1
                    return None
            return found

    def _take(self) -> tuple[Hashable, Work] | None:
        for owner, queue in self._work.items():
            if self._running[owner] < self._share:
                del self._work[owner]
                work = queue.popleft()
                if queue:
                    self._work[owner] = queue
                self._running[owner] += 1
                return owner, work
        return None
