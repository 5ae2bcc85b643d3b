"""The worker threads that run the application."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from repoman.errors import UpstreamBusy
from repoman.waiting import Worker

RETRY_AFTER = 10  # seconds, where too many wait

log = logging.getLogger(__name__)

Work = Callable[[], object]


class Dispatcher:
    """Hands work to threads, waking as few of them as it can.

    Waking a thread per request makes all of them fight for the interpreter's lock, which halves
    the throughput. So one worker is woken, and a further one only when work has waited for ``LAG``
    seconds; the main loop looks after that with :meth:`nudge`. The last to fall idle is the first
    to be woken: its caches are warm.

    Of all threads, ``threads`` work at a time. The ``spare`` ones take the places of those that
    wait for a remote, so that a slow one leaves the others to everybody else.
    """

    LAG = 0.001

    def __init__(self, threads: int, spare: int = 0) -> None:
        self._lock = threading.Lock()
        self._queue: deque[tuple[float, Work]] = deque()
        self._idle: list[threading.Lock] = []
        self._places = threads
        self._spare = spare
        self._waiting = 0
        self._active = threads + spare  # with those that wait
        self._is_waking = False
        self._is_stopping = False
        self._threads = [
            Worker(self._announce_wait, self._run, f"worker-{number}")
            for number in range(threads + spare)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work) -> None:
        """Have a worker do this soon. For the thread that calls :meth:`nudge`."""
        with self._lock:
            self._queue.append((time.monotonic(), work))
            if self._working == 0:
                self._wake_one()

    def nudge(self) -> bool:
        """Wake a worker if work has waited too long; True if that may be needed again."""
        if not self._queue:
            return False
        with self._lock:
            if self._queue and time.monotonic() - self._queue[0][0] >= self.LAG:
                self._wake_one()
            return bool(self._queue and self._idle and self._working < self._places)

    def stop(self, timeout: float) -> bool:
        """Finish the queue and end the threads; False if some run on after ``timeout`` seconds."""
        with self._lock:
            self._is_stopping = True
            while self._idle:
                self._idle.pop().release()
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @contextmanager
    def _announce_wait(self) -> Iterator[None]:
        """Let another thread take the calling one's place meanwhile."""
        with self._lock:
            if self._waiting >= self._spare:
                raise UpstreamBusy("Too many requests wait for remotes at present.", RETRY_AFTER)
            self._waiting += 1
            if self._queue:
                self._wake_one()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    @property
    def _working(self) -> int:
        return self._active - self._waiting

    def _wake_one(self) -> None:
        if self._idle and not self._is_waking and self._working < self._places:
            self._is_waking = True
            self._active += 1
            self._idle.pop().release()

    def _run(self) -> None:
        wakeup = threading.Lock()  # used as a semaphore: locked while there is nothing to do
        wakeup.acquire()
        while (work := self._take(wakeup)) is not None:
            try:
                work()
            except BaseException:
                log.exception("A worker's task failed")
            del work  # or its request, and the password in it, is kept until the next one

    def _take(self, wakeup: threading.Lock) -> Work | None:
        while True:
            with self._lock:
                if self._queue and (self._working <= self._places or self._is_stopping):
                    work = self._queue.popleft()[1]
                    if self._waiting and self._queue:
                        self._wake_one()  # the main loop may not come to nudge
                    return work
                if self._is_stopping:
                    return None
                self._active -= 1
                self._idle.append(wakeup)
            wakeup.acquire()
            with self._lock:
                self._is_waking = False
