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
from time import monotonic

PATIENCE_S = 0.01  # Who has the slot for longer loses it: it computes, or the system holds it up.
SHARE_S = 0.001  # Who has had the slot for longer gives way to a loop that waits for it.
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


class _Slot:
    """The locks of the slot.

    Attributes:
        run: whoever has it runs.
        worker: the worker that has or gets ``run``; so one worker at a time competes with a loop.
        next: a loop that waits for ``run``.
    """

    __slots__ = ("next", "run", "worker")

    def __init__(self) -> None:
        self.run = threading.Lock()
        self.worker = threading.Lock()
        self.next = threading.Lock()


class RunSlot:
    """The slot of the one thread that runs Python; it speeds up, and guarantees nothing.

    Whoever does not get it in time goes on without: a thread that is held up delays the others once
    and by little.
    """

    def __init__(self) -> None:
        self._slot = _Slot()
        self._mine = _Mine()
        self._waiting: list[None] = []  # One for each worker that waits; its methods are atomic.

    @property
    def is_wanted(self) -> bool:
        """Whether a worker waits for the slot, or is just taking it."""
        return bool(self._waiting)

    def take(self) -> None:
        """Wait for the slot as a worker; take it from a thread that has it for too long."""
        self._waiting.append(None)
        try:
            while True:
                slot = self._slot
                if slot.worker.acquire(timeout=PATIENCE_S):
                    if slot.run.acquire(timeout=PATIENCE_S):
                        break
                    slot.worker.release()
                if slot is self._slot:  # The others that wait for it find the new one.
                    self._slot = _Slot()
        finally:
            self._waiting.pop()
        self._mine.slot = slot
        self._mine.since = monotonic()

    def keep(self) -> None:
        """Go on with the slot, after a worker that has taken it away, or a loop that waits for it.

        A worker gives way after ``SHARE_S``; most wait for something else before that. Without the
        slot, nothing is done.
        """
        mine = self._mine.slot
        if mine is None:
            return
        if mine is not self._slot:
            self.release()
            self.take()
        elif mine.next.locked() and monotonic() - self._mine.since > SHARE_S:
            mine.run.release()
            with mine.next:  # Until the loop has the slot, or this thread would have it again.
                pass
            if not mine.run.acquire(timeout=PATIENCE_S):
                self._mine.slot = None
                mine.worker.release()
                self.take()
            self._mine.since = monotonic()

    def release(self) -> bool:
        """Let go of the slot; return whether the thread had it."""
        mine, self._mine.slot = self._mine.slot, None
        if mine is None:
            return False
        mine.run.release()
        mine.worker.release()
        return True

    def take_at_once(self) -> "threading.Lock | None":
        """Take the slot as a loop if it is free; return what to release then."""
        run = self._slot.run
        return run if run.acquire(blocking=False) else None

    def take_briefly(self) -> "threading.Lock | None":
        """Wait for the slot as a loop, for a moment; return what to release if it was free then."""
        slot = self._slot
        with slot.next:
            return slot.run if slot.run.acquire(timeout=BRIEF_PATIENCE_S) else None


class _Mine(threading.local):
    """The slot that a worker has, or what was the slot when it was taken, and since when."""

    slot: "_Slot | None" = None
    since = 0.0


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
        RUN_SLOT.keep()
