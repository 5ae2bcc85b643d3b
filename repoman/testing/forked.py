"""Work in a copy of the process, which a test may kill."""

import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

WAIT_S = 60.0  # A copy that works for longer is killed.
_ENDED = 73  # The exit status of a copy that ended itself.


def ended_by() -> None:
    """End this copy at once, as ``kill -9`` does: nothing is written down or taken back."""
    os._exit(_ENDED)


def forked(work: Callable[[], None]) -> str:
    """Run work in a copy of this process; return how it ended.

    That is nothing if it went well, ``ended`` if :func:`ended_by` was called, else its traceback.
    The copy has this thread alone, so nothing in it may wait for work of others from before.
    """
    with TemporaryDirectory() as directory:
        said = Path(directory) / "said"
        child = os.fork()
        if child == 0:
            _work(work, said)
        status = _wait(child)
        if status == _ENDED:
            return "ended"
        return said.read_text(encoding="utf-8") if said.exists() else f"no answer: {status}"


def _work(work: Callable[[], None], said: Path) -> None:
    try:
        work()
        said.write_text("", encoding="utf-8")
    except BaseException:  # noqa: BLE001 - the copy must never return into the test
        said.write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        os._exit(0)


def _wait(child: int) -> int:
    """Return the exit status of a process; one that does not end is killed."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
