"""How tests deal with time, so that a busy machine fails none of them.

A test waits for a condition. Only a test that fails waits for long, so there is one limit for all
waits, and a fast machine never sees it. What must be cheap is measured in time of the processor,
which other processes do not lengthen.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# A wait fails after so many seconds.
WAIT_S = 60.0
# What nobody may wait for takes so many seconds: whoever waits for it all the same fails before.
LONG_S = 4 * WAIT_S
# Seconds between two looks at a condition.
POLL_S = 0.01


def wait_until(
    condition: Callable[[], Any], what: str | Callable[[], str] = "the condition"
) -> Any:
    """Return the first true value of ``condition``; fail after ``WAIT_S`` seconds."""
    end = time.monotonic() + WAIT_S
    while not (value := condition()):
        if time.monotonic() > end:
            text = what if isinstance(what, str) else what()
            raise AssertionError(f"{text} did not come true within {WAIT_S} s")
        time.sleep(POLL_S)
    return value


@contextmanager
def cpu_limit(seconds: float, clock: Callable[[], float] = time.thread_time) -> Iterator[None]:
    """Fail if the block takes more seconds of the processor in this thread.

    ``clock`` may be ``time.process_time`` where other threads of this process do the work.
    """
    begin = clock()
    yield
    taken = clock() - begin
    assert taken < seconds, f"took {taken:.2f} s of the processor, more than {seconds} s"
