"""Processes that are measured: started, waited for, read from ``/proc``, and ended by their id."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.clock import wait_until
from tests.live import is_open
from tests.programs import find_program

TICKS = os.sysconf("SC_CLK_TCK")
END_TIMEOUT = 10.0


@contextmanager
def running(name: str, arguments: Sequence[str], port: int, directory: Path) -> Iterator[int]:
    """Run a server until the end of the block; gives its process id once the port is open."""
    with (directory / "output.log").open("wb") as log:
        process = subprocess.Popen(
            [find_program(name), *arguments], stdout=log, stderr=log, cwd=directory
        )
    try:
        wait_until(lambda: is_open(port) or process.poll() is not None, what=f"the port of {name}")
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended:\n{(directory / 'output.log').read_text()}")
        yield process.pid
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, by force if it does not go."""
    process.terminate()
    try:
        process.wait(END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_memory(pid: int) -> int:
    """Return the largest resident size of a process since :func:`forget_peak`, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if "VmHWM" in line)


def forget_peak(pid: int) -> None:
    """Begin anew with the largest resident size."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
