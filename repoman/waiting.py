"""Long waits: where threads are few, another one works while this one waits.

Also which thread runs Python next. All threads share one lock of the interpreter, and each system
call and each statement of SQLite lets go of it for a moment. If other threads wait for that lock,
every such moment wakes one of them, most often for nothing. So threads that serve requests wait for
each other in front of it (:class:`RunSlot`), and let go where they wait for something else.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum, auto

PATIENCE_S = 0.01  # Who has the slot for longer loses it: it computes, or the system holds it up.
BRIEF_PATIENCE_S = 0.002  # The longest wait of a loop for the slot.


class Wait(Enum):
    """What a thread waits for; each kind has a bound of its own."""

    REMOTE = auto()
    DATABASE = auto()
    TURN = auto()


Announce = Callable[[Wait], AbstractContextManager[None]]


class Worker(threading.Thread):
    """A thread of which there are few: its waits are enclosed by what ``announce`` returns.

    Attributes:
        awaits: what it waits for at the moment, if anything.
    """

    def __init__(self, announce: Announce, work: Callable[[], object], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self.announce = announce
        self.awaits: Wait | None = None


def waiting(what: Wait = Wait.REMOTE) -> AbstractContextManager[None]:
    """Return a context for a wait of the calling thread that may be long; waits may nest.

    Raises:
        UpstreamBusy, Unavailable: too many threads wait for a remote or the database already; on
            entering.
    """
    thread = threading.current_thread()
    if not isinstance(thread, Worker) or thread.awaits is not None:
        return nullcontext()
    return _announced(thread, what)


@contextmanager
def _announced(thread: Worker, what: Wait) -> Iterator[None]:
    with thread.announce(what):
        thread.awaits = what
        try:
            with blocking():
                yield
        finally:
            thread.awaits = None


class RunSlot:
    """The slot of the one thread that runs Python; it speeds up, and guarantees nothing.

    Whoever does not get it in time goes on without: a thread that is held up delays the others once
    and by little.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = _Taken()

    def take(self) -> None:
        """Wait for the slot; take it from a thread that has it for too long."""
        lock = self._lock
        while not lock.acquire(timeout=PATIENCE_S):
            if lock is self._lock:  # The others that wait for it find the new one.
                self._lock = threading.Lock()
            lock = self._lock
        self._taken.lock = lock

    def take_briefly(self) -> None:
        """Wait for the slot for a moment, and go on without it if it is not free then."""
        lock = self._lock
        if lock.acquire(timeout=BRIEF_PATIENCE_S):
            self._taken.lock = lock

    def keep(self) -> None:
        """Go on with the slot, or wait for it if another thread has taken it away meanwhile."""
        if self._taken.lock is not self._lock:
            self.release()
            self.take()

    def release(self) -> bool:
        """Let go of the slot; return whether the thread had it."""
        lock, self._taken.lock = self._taken.lock, None
        if lock is None:
            return False
        lock.release()
        return True


class _Taken(threading.local):
    """The lock that the thread holds: the slot, or what was the slot when it was taken."""

    lock: "threading.Lock | None" = None


RUN_SLOT = RunSlot()
"""The slot of the process."""


class blocking:  # noqa: N801 - used as a function; a generator would take twice as long
    """A context for a system call that waits, such as an fsync: others run meanwhile."""

    def __enter__(self) -> None:
        self._had_slot = RUN_SLOT.release()

    def __exit__(self, *_: object) -> None:
        if self._had_slot:
            RUN_SLOT.take()


_turns = threading.Lock()


@contextmanager
def turn() -> Iterator[None]:
    """Return a context for a millisecond or so of a long computation: one thread at a time has it.

    All threads share one lock of the interpreter. Were many in such computations, each short
    request would queue for it behind all of them.
    """
    if not _turns.acquire(blocking=False):
        with waiting(Wait.TURN):
            _turns.acquire()
    try:
        yield
    finally:
        _turns.release()
