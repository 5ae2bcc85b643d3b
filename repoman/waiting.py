"""Long waits: where threads are few, another one works while this one waits."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum, auto


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
            yield
        finally:
            thread.awaits = None


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
