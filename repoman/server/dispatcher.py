"""The worker threads that run the application."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

Work = Callable[[], object]


class Dispatcher:
    """Hands work to threads, waking as few of them as it can.

    Waking a thread per request makes all of them fight for the interpreter's lock, which halves
    the throughput. So one worker is woken, and a further one only when work has waited for ``LAG``
    seconds; the main loop looks after that with :meth:`nudge`. The last to fall idle is the first
    to be woken: its caches are warm.
    """

    LAG = 0.001

    def __init__(self, threads: int) -> None:
        self._lock = threading.Lock()
        self._queue: deque[tuple[float, Work]] = deque()
        self._idle: list[threading.Lock] = []
        self._active = threads
        self._is_waking = False
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work) -> None:
        """Have a worker do this soon. For the thread that calls :meth:`nudge`."""
        with self._lock:
            self._queue.append((time.monotonic(), work))
            if self._active == 0:
                self._wake_one()

    def nudge(self) -> bool:
        """Wake a worker if work has waited too long; True if that may be needed again."""
        if not self._queue:
            return False
        with self._lock:
            if self._queue and time.monotonic() - self._queue[0][0] >= self.LAG:
                self._wake_one()
            return bool(self._queue and self._idle)

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

    def _wake_one(self) -> None:
        if self._idle and not self._is_waking:
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

    def _take(self, wakeup: threading.Lock) -> Work | None:
        while True:
            with self._lock:
                if self._queue:
                    return self._queue.popleft()[1]
                if self._is_stopping:
                    return None
                self._active -= 1
                self._idle.append(wakeup)
            wakeup.acquire()
            with self._lock:
                self._is_waking = False
