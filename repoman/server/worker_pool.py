"""The worker threads that run the application."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from repoman.errors import RepomanError, Unavailable, UpstreamBusy
from repoman.threads import Watch
from repoman.waiting import RUN_SLOT, Wait, Worker

# A further worker is woken if work waits and none was taken for this long per worker that is awake,
# counted up to USEFUL_WORKERS.
WAKE_DELAY_S = 0.001
# It is woken after this time instead while a worker waits to run Python.
WAKE_PATIENCE_S = 0.005
# With so many awake, one runs Python while the others wait for the disk.
USEFUL_WORKERS = 3

RETRY_AFTER_S = 10  # What a request is told that is refused because too many wait already.
JOIN_S = 0.05  # How often the end looks whether the rest of the threads only wait for remotes.

Work = Callable[[], object]


class FairQueue:
    """Work that waits, taken in turns from those who want it: who wants much waits for itself.

    Not thread safe, but that any thread may ask whether ``lines`` are empty.

    Attributes:
        lines: the work, by who wants it; the next comes first.
        stalled_since: when work was taken last, or since when there has been any, in seconds of
            the monotonic clock.
    """

    def __init__(self) -> None:
        self.lines: OrderedDict[str, deque[Work]] = OrderedDict()
        self.stalled_since = 0.0

    def __len__(self) -> int:
        """Return how many pieces of work wait."""
        return sum(map(len, self.lines.values()))

    def put(self, work: Work, who: str) -> None:
        """Add work, after all other work of the same ``who``."""
        if not self.lines:
            self.stalled_since = time.monotonic()
        line = self.lines.get(who)
        if line is None:
            line = self.lines[who] = deque()
        line.append(work)

    def take(self) -> Work:
        """Return the next work; there has to be some."""
        who, line = next(iter(self.lines.items()))
        work = line.popleft()
        if line:
            self.lines.move_to_end(who)
        else:
            del self.lines[who]
        self.stalled_since = time.monotonic()
        return work


class WorkerPool:
    """Hands work to threads, waking as few of them as it can.

    Waking a thread per request makes all of them fight for the interpreter's lock, which halves
    the throughput. So one worker is woken at first, and a further one only where it is of use: if
    work waits, and nobody has taken any for some time (``WAKE_DELAY_S``), as on a slow disk. That
    takes longer while one of them waits to run Python (``WAKE_PATIENCE_S``), since another one
    would only make that queue longer. The main loop looks after that with :meth:`nudge`. Where more
    than ``USEFUL_WORKERS`` are awake and wait for each other, the next one that is done becomes
    idle, unless all places are taken. The last to fall idle is the first to be woken: its caches
    are warm.

    Of all threads, ``threads`` work at a time. As many as ``remote_waits`` may wait for remotes,
    and as many as ``database_waits`` for the database; others take their places, so that a slow
    remote or a locked database does not block other requests. So it is with ``turn_waits``, but
    further ones keep their places while they wait for their turn.
    """

    def __init__(
        self, threads: int, remote_waits: int = 0, database_waits: int = 0, turn_waits: int = 0
    ) -> None:
        self._lock = threading.Lock()
        self.queue = FairQueue()
        self._idle: list[threading.Lock] = []
        self._places = threads
        self._bounds = {
            Wait.REMOTE: remote_waits,
            Wait.DATABASE: database_waits,
            Wait.TURN: turn_waits,
        }
        self._waits = dict.fromkeys(Wait, 0)
        self._waiting = 0  # The sum of the waits.
        count = threads + sum(self._bounds.values())
        self._active = count  # with those that wait
        self._is_waking = False
        self._is_stopping = False
        self._is_refusing = False
        self._threads = [
            Worker(self._announce_wait, self._run, f"worker-{number}") for number in range(count)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work, who: str = "") -> None:
        """Have a worker do this soon; ``who`` wants it. For the thread that calls :meth:`nudge`."""
        with self._lock:
            self.queue.put(work, who)
            if self._active - self._waiting == 0:
                self._wake_one()

    def nudge(self) -> bool:
        """Wake a worker if the work does not go on; True if that may be needed again."""
        if not self.queue.lines:
            return False
        with self._lock:
            working = self._active - self._waiting
            if self.queue.lines:
                delay = WAKE_DELAY_S * min(working, USEFUL_WORKERS)
                if RUN_SLOT.is_wanted:
                    delay = WAKE_PATIENCE_S
                if time.monotonic() - self.queue.stalled_since >= delay:
                    self._wake_one()
            free = self._idle and working < self._places
            return bool(self.queue.lines and free)

    def count_waiting(self) -> int:
        """Return how many pieces of work no worker has begun; any thread."""
        with self._lock:
            return len(self.queue)

    def stop(self, timeout: float) -> bool:
        """Finish the queue and end the threads; False if some run on after ``timeout`` seconds.

        Those that wait for remotes are left behind.
        """
        with self._lock:
            self._is_stopping = True
            while self._idle:
                self._idle.pop().release()
        end = time.monotonic() + timeout
        while (working := self._unfinished()) and time.monotonic() < end:
            working[0].join(JOIN_S)
        return not working

    def refuse_waits(self) -> None:
        """Let no further request wait for a remote: the server shuts down."""
        self._is_refusing = True

    @contextmanager
    def held_wait(self, thread: Worker) -> Iterator[bool]:
        """Tell whether a worker waits for a remote, and keep it waiting for now."""
        with self._lock:
            yield thread.awaits is Wait.REMOTE

    def _unfinished(self) -> list[Worker]:
        """Return the threads whose end is worth waiting for; a remote may never answer."""
        return [t for t in self._threads if t.is_alive() and t.awaits is not Wait.REMOTE]

    @contextmanager
    def _announce_wait(self, what: Wait) -> Iterator[None]:
        """Let another thread take the place of the calling one while it waits."""
        leaves = self._leave_place(what)
        try:
            yield
        finally:
            if leaves:
                with self._lock:
                    self._waits[what] -= 1
                    self._waiting -= 1

    def _leave_place(self, what: Wait) -> bool:
        with self._lock:
            if self._is_refusing and what is Wait.REMOTE:
                raise UpstreamBusy("The server is shutting down.", RETRY_AFTER_S)
            if self._waits[what] >= self._bounds[what]:
                if what is Wait.TURN:
                    return False
                raise _refusal(what)
            self._waits[what] += 1
            self._waiting += 1
            if self.queue.lines:
                self._wake_one()
            return True

    def _wake_one(self) -> None:
        if self._idle and not self._is_waking and self._active - self._waiting < self._places:
            self._is_waking = True
            self._active += 1
            self._idle.pop().release()

    def _run(self) -> None:
        wakeup = threading.Lock()  # used as a semaphore: locked while there is nothing to do
        wakeup.acquire()
        watch = Watch("worker")
        RUN_SLOT.take()
        while (work := self._take(wakeup)) is not None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - also what a plugin means to exit by
                watch.note_failure(error)
            else:
                if watch.failure:
                    watch.note_success()
            del work  # or its request, and the password in it, is kept until the next one
            RUN_SLOT.keep()
        RUN_SLOT.release()

    def _take(self, wakeup: threading.Lock) -> Work | None:
        """Return the next work, with the slot; None at the end."""
        was_woken = False
        while True:
            with self._lock:
                working = self._active - self._waiting
                # The others may have enough to do, but whoever was woken is needed. And while all
                # places are taken, or some wait for long, the loop may not come to nudge.
                is_spare = USEFUL_WORKERS < working < self._places and RUN_SLOT.is_wanted
                is_needed = was_woken or self._waiting or not is_spare
                can_work = working <= self._places and is_needed
                if self.queue.lines and (can_work or self._is_stopping):
                    work = self.queue.take()
                    if self._waiting and self.queue.lines:
                        self._wake_one()  # the main loop may not come to nudge
                    return work
                if self._is_stopping:
                    return None
                self._active -= 1
                self._idle.append(wakeup)
            RUN_SLOT.release()
            wakeup.acquire()
            was_woken = True
            with self._lock:
                self._is_waking = False
            RUN_SLOT.take()


def _refusal(what: Wait) -> RepomanError:
    if what is Wait.REMOTE:
        return UpstreamBusy("Too many requests are waiting for remotes. Try again.", RETRY_AFTER_S)
    error = Unavailable("Too many requests are waiting for the database. Try again.")
    error.retry_after = RETRY_AFTER_S
    return error
