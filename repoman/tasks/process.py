"""Runs in a process of their own: the server starts a command for each, with the same settings.

The settings go through a pipe, since there may be passwords in them.
"""

import subprocess
import sys

from repoman.config import Settings
from repoman.tasks.model import Run

COMMAND = (sys.executable, "-c", "from repoman.cli import main; main()", "task", "execute")


def launch_process(settings: Settings, run: Run) -> "subprocess.Popen[bytes]":
    """Start the process that executes a run, which is claimed for it, and return it.

    Raises:
        OSError: no process can be started.
    """
    process = subprocess.Popen([*COMMAND, str(run.id)], stdin=subprocess.PIPE)  # noqa: S603
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(settings.model_dump_json().encode())
    return process
