"""The server's own threads, which survive all errors, and the progress of long work."""

import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

from repoman.errors import RepomanError

STOP_TIMEOUT_S = 5.0  # How long the end of the process waits for the work at hand.
FAILURE_PAUSE_S = 0.1  # A loop that fails at once does not take the whole processor.
IDLE_S = 10.0  # How long a thread of a pool waits for another call before it ends.

Kind = tuple[type[BaseException], str]
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Progress(Protocol):
    """Takes the progress of long work, and may end it: the part of a task's context for the core.

    The first two methods may raise an error, between two steps, to have the work end.
    """

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Note how many steps are done, of how many, if that is known."""

    def pause(self, seconds: float) -> None:
        """Wait, so that others can work."""

    def freed(self, size: int) -> None:
        """Note so many bytes that nothing needs any more because of this work."""


class Watch:
    """Runs calls of which none may end its thread, and remembers how the last one went.

    A failure is logged when it begins and when it changes: with its traceback if nobody expected
    it, as a warning if it is one of the core's errors.

    Attributes:
        name: what the thread is called in the log and in the health state.
        failure: why the last call failed; empty if it did not.
        problem: the same, where nobody expected it. (What the core's errors tell of, such as a
            busy database, is not the thread's own state.)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure = self.problem = ""
        self._kind: Kind | None = None

    def run(self, call: Callable[[], object]) -> None:
        """Call ``call``; whatever it raises is noted and goes no further."""
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - also what a plugin means to exit by
            self.note_failure(error)
        else:
            self.note_success()

    def run_forever(self, call: Callable[[], object]) -> None:
        """Call ``call``, and call it again each time it raises something, until it returns."""
        has_returned = threading.Event()

        def attempt() -> None:
            call()
            has_returned.set()

        while not has_returned.is_set():
            self.run(attempt)
            has_returned.wait(FAILURE_PAUSE_S)

    def note_failure(self, error: BaseException) -> None:
        """Remember a failure, and log it unless the last call failed in the same way."""
        kind, text = _kind_of(error), describe(error)
        is_news = kind != self._kind
        self._kind, self.failure = kind, text
        is_expected = isinstance(error, RepomanError)
        self.problem = "" if is_expected else text
        if is_news and is_expected:
            _log.warning("The thread %r could not do its work: %s", self.name, text)
        elif is_news:
            _log.error("The thread %r failed and continues: %s", self.name, text, exc_info=error)

    def note_success(self) -> None:
        """Remember that all is well."""
        self._kind, self.failure, self.problem = None, "", ""


class Periodic:
    """A thread that does its work repeatedly, with a pause in between, until it is stopped.

    Args:
        name: of the thread.
        work: called each time; see :class:`Watch` for what becomes of its errors.
        interval: length of the pause, in seconds.
    """

    def __init__(self, name: str, work: Callable[[], object], interval: float) -> None:
        self._watch = Watch(name)
        self._work = work
        self._interval = interval
        self._stopping = threading.Event()
        self._waking = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def name(self) -> str:
        """The name of the thread."""
        return self._watch.name

    @property
    def failure(self) -> str:
        """Why the work was not done the last time; empty if it was."""
        return self._watch.failure

    @property
    def problem(self) -> str:
        """What is wrong with the thread: its last work failed unexpectedly, or it has ended."""
        was_started = self._thread.ident is not None
        if was_started and not self._thread.is_alive() and not self._stopping.is_set():
            return "The thread has ended."
        return self._watch.problem

    def start(self) -> None:
        """Begin to work, at once."""
        self._thread.start()

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """End the thread after the work at hand, for which ``timeout`` seconds are waited."""
        self._stopping.set()
        self._waking.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def wake(self) -> None:
        """Have the work done now, or once more after the work at hand."""
        self._waking.set()

    def is_stopping(self, within: float = 0.0) -> bool:
        """Return whether :meth:`stop` is called, or will have been in ``within`` seconds."""
        return self._stopping.wait(within)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._waking.clear()
            self._watch.run(self._work)
            if not self._stopping.is_set():
                self._waking.wait(self._interval)


def describe_threads() -> Iterator[str]:
    """Yield a line for each thread of the process, and for each function that it is in."""
    frames = sys._current_frames()
    for thread in threading.enumerate():
        kind = " daemon" if thread.daemon else ""
        yield f'"{thread.name}" id={thread.native_id}{kind}'
        frame = frames.get(thread.ident or 0)
        if frame is not None:
            for each in reversed(traceback.extract_stack(frame)):
                yield f"    at {each.name} ({each.filename}:{each.lineno})"
        yield ""


class DaemonPool:
    """As many threads as are needed, up to a number, for calls whose results are waited for.

    The end of the process waits for none of them: what they ask may never answer. (Those of
    ``concurrent.futures`` are waited for.)
    """

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._limit = threads
        self._changed = threading.Condition()
        self._calls: deque[Callable[[], None]] = deque()
        self._count = 0
        self._idle = 0

    def submit(
        self, function: Callable[..., Result], /, *args: Any, **kwargs: Any
    ) -> Future[Result]:
        """Return the future result of a call, which begins as soon as a thread is free.

        It runs in the context of the caller: who acts, and what is collected of its reads.
        """
        context = copy_context()
        future: Future[Result] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = context.run(function, *args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised again where it is asked for
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._changed:
            if len(self._calls) >= self._idle and self._count < self._limit:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._count += 1
            self._calls.append(run)
            self._changed.notify()
        return future

    def _run(self) -> None:
        watch = Watch(self._name)
        while (call := self._next()) is not None:
            watch.run(call)

    def _next(self) -> Callable[[], None] | None:
        """Return the next call; None after a time without any."""
        with self._changed:
            self._idle += 1
            try:
                if not self._changed.wait_for(lambda: self._calls, IDLE_S):
                    self._count -= 1
                    return None
            finally:
                self._idle -= 1
            return self._calls.popleft()


def _kind_of(error: BaseException) -> Kind:
    """Return what makes an error another one: its type and its place, or the core's words.

    The text of an unexpected error may name another file each time.
    """
    if isinstance(error, RepomanError):
        return type(error), str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(error), "" if trace is None else f"{trace.tb_frame.f_code}:{trace.tb_lineno}"


def describe(error: BaseException) -> str:
    """Return an error in a sentence: the core's words, or the type and text of any other one."""
    if isinstance(error, RepomanError):
        return str(error)
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error of a plugin may not even be able to say itself
        return type(error).__name__
