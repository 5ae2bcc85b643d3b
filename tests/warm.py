"""Starts ``repoman`` without its imports: a process that has made them once forks for each start.

What runs is the program all the same, in a process of its own, with the words, the environment, the
directory and the streams that it is given.
"""

import atexit
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[1]
PACKAGES = ("repoman", "repoman_docker", "repoman_web", "repoman_raw")
REQUEST_MAX_BYTES = 1 << 20
NUMBER = struct.Struct("q")


class WarmProgram:
    """The program with its imports made; the first start makes them."""

    def __init__(self) -> None:
        self._environment = dict(os.environ)

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether Python itself would start in the same way with this environment."""
        return all(
            self._environment.get(name) == environment.get(name)
            for name in {*self._environment, *environment}
            if name.startswith(("PYTHON", "LC_", "LANG", "TZ"))
        )

    def start(
        self,
        words: Sequence[str],
        streams: Sequence[IO[Any]],
        environment: Mapping[str, str],
        directory: Path,
    ) -> "WarmProcess":
        """Start the program with the files that are its standard streams."""
        request = json.dumps([words, dict(environment), str(directory)]).encode()
        assert len(request) < REQUEST_MAX_BYTES
        read_end, write_end = os.pipe()
        files = [*(each.fileno() for each in streams), write_end]
        socket.send_fds(self._channel, [request], files)
        os.close(write_end)
        return WarmProcess(words, read_end)

    @cached_property
    def _channel(self) -> socket.socket:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                env=self._environment,
                cwd=ROOT,
            )
        return ours

    def end(self) -> None:
        """Let the process with the imports end."""
        if "_channel" in vars(self):
            self._channel.close()
            self._process.wait()


class WarmProcess:
    """A process of the program, as :class:`subprocess.Popen` shows it."""

    def __init__(self, words: Sequence[str], report: int) -> None:
        self.args = words
        self.returncode: int | None = None
        self._report = report  # First tells the id, then the status.
        self.pid = self._read()

    def _read(self) -> int:
        number: int
        [number] = NUMBER.unpack(os.read(self._report, NUMBER.size))
        return number

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._report], [], [], timeout)[0]:
            self.returncode = self._read()
            os.close(self._report)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


# --- In the process with the imports -----------------------------------------------------------


def import_everything() -> None:
    """Import all modules of the product, and what they need."""
    for name in PACKAGES:
        package = import_module(name)
        for each in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not each.name.startswith("repoman.testing"):
                import_module(each.name)
    gc.collect()
    gc.freeze()  # What is there is shared, and never looked at again.


def fork_at_each_request(channel: socket.socket) -> None:
    """Return in a new process for each request, with sys.argv set; end with the channel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _forget_ended)
    while True:
        request, files, _, _ = socket.recv_fds(channel, REQUEST_MAX_BYTES, 4)
        if not request:
            sys.exit()
        if os.fork() == 0:
            channel.close()
            *streams, report = files
            _fork_watched(streams, report)
            _become(*json.loads(request))
            return
        for each in files:
            os.close(each)


def _forget_ended(*_signal: object) -> None:
    """Wait for those who watch and are done, so that their time is counted as that of this one."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _fork_watched(streams: list[int], report: int) -> None:
    """Return in a child with these streams; this process tells how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if pid := os.fork():
        for each in streams:
            os.close(each)
        os.write(report, NUMBER.pack(pid))
        _, status = os.waitpid(pid, 0)
        os.write(report, NUMBER.pack(os.waitstatus_to_exitcode(status)))
        os._exit(0)
    os.close(report)
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)


def _become(words: list[str], environment: dict[str, str], directory: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv[:] = words


def run_program() -> NoReturn:
    """Run the program and end as it does, without taking all that was imported apart."""
    from repoman.cli import main

    status: object = 1
    try:
        main()
        status = 0
    except SystemExit as ended:
        status = ended.code
    except BaseException:  # noqa: BLE001 - Python would tell it, too.
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    import_everything()
    fork_at_each_request(socket.socket(fileno=int(sys.argv[1])))
    run_program()
