"""Threads of the server's own, which survive whatever goes wrong in what they do."""

import logging
import threading
from collections.abc import Callable

from repoman.errors import RepomanError

STOP_TIMEOUT_S = 5.0  # How long the end of the process waits for the work at hand.
FAILURE_PAUSE_S = 0.1  # A loop that fails at once does not take the whole processor.

_log = logging.getLogger(__name__)


class Watch:
    """Runs calls of which none may end its thread, and remembers how the last one went.

    A failure is logged when it begins and when it changes: with its traceback if nobody expected
    it, as a warning if it is one of the core's errors.

    Attributes:
        name: what the thread is called in the log and in the health state.
        problem: why the last call failed; empty if it did not.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.problem = ""

    def run(self, call: Callable[[], object]) -> None:
        """Call ``call``; whatever it raises is noted and goes no further."""
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - also what a plugin means to exit by
            self.note_failure(error)
        else:
            self.problem = ""

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
        text = _describe(error)
        if text == self.problem:
            return
        self.problem = text
        if isinstance(error, RepomanError):
            _log.warning("The thread %r could not do its work: %s", self.name, text)
        else:
            _log.error("The thread %r failed and goes on: %s", self.name, text, exc_info=error)


class Periodic:
    """A thread that does its work again and again, with a pause in between, until it is stopped.

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
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def name(self) -> str:
        """The name of the thread."""
        return self._watch.name

    @property
    def problem(self) -> str:
        """Why the work was not done the last time, or that nobody does it; empty if all is well."""
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
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def is_stopping(self, within: float = 0.0) -> bool:
        """Return whether :meth:`stop` is called, or will have been in ``within`` seconds."""
        return self._stopping.wait(within)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._watch.run(self._work)
            self._stopping.wait(self._interval)


def _describe(error: BaseException) -> str:
    if isinstance(error, RepomanError):
        return str(error)
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error of a plugin may not even be able to say itself
        return type(error).__name__
