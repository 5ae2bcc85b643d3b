"""Clients in processes of their own, so that what they do costs the servers nothing but a core."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

_fork = multiprocessing.get_context("fork")
PATIENCE = 300.0  # seconds that clients may take
END_TIMEOUT = 5.0


def together(works: Sequence[Callable[[], int]]) -> tuple[int, float]:
    """Do all the work at once, each in a process.

    Returns the sum of what the works return, in bytes, and the time from the first beginning to the
    last end, in seconds.
    """
    barrier = _fork.Barrier(len(works))

    def timed(work: Callable[[], int], say: Connection) -> None:
        barrier.wait(PATIENCE)
        begin = time.monotonic()
        size = work()
        say.send((size, begin, time.monotonic()))

    with _processes([partial(timed, work) for work in works]) as ears:
        done = [_hear(ear) for ear in ears]
    sizes, begins, ends = zip(*done, strict=True)
    return sum(sizes), max(ends) - min(begins)


@contextmanager
def meanwhile(works: Sequence[Callable[[Callable[[], None]], object]]) -> Iterator[None]:
    """Let work go on in processes during the block.

    Each gets a function to call once it is under way.
    """

    def announced(work: Callable[[Callable[[], None]], object], say: Connection) -> None:
        work(lambda: say.send(True))

    with _processes([partial(announced, work) for work in works]) as ears:
        for ear in ears:
            _hear(ear)
        yield


@contextmanager
def _processes(works: Sequence[Callable[[Connection], object]]) -> Iterator[list[Connection]]:
    ears, processes = [], []
    try:
        for work in works:
            ear, say = _fork.Pipe(duplex=False)
            process = _fork.Process(target=_run, args=(work, say), daemon=True)
            process.start()
            say.close()  # so that the end of the process is heard
            ears.append(ear)
            processes.append(process)
        yield ears
    finally:
        for process in processes:
            _end(process)
        for ear in ears:
            ear.close()


def _run(work: Callable[[Connection], object], say: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    work(say)


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join(END_TIMEOUT)
    if process.is_alive():
        process.kill()
        process.join()


def _hear(ear: Connection) -> Any:
    if not wait([ear], PATIENCE):
        raise RuntimeError("A client takes too long.")
    try:
        return ear.recv()
    except EOFError:
        raise RuntimeError("A client has failed.") from None
