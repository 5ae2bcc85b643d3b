"""A real server process for tests: its own data, free ports, and signals when a test wants them."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, ClassVar

from tests.clock import WAIT_S, wait_until
from tests.warm import WarmProcess, WarmProgram

READY = "repoman is ready"
PROGRAM = Path(sys.executable).with_name("repoman")
Tables = Mapping[str, Mapping[str, Any]]
Process = subprocess.Popen[bytes] | WarmProcess


_dice = random.SystemRandom()  # not seeded as the tests' generator is: workers must differ
_given: set[int] = set()


def free_port() -> int:
    """A loopback port nobody listens on, never the same twice.

    It lies below the range that the kernel gives to clients, so that no connection of another test
    takes it before the server does.
    """
    for _ in range(1000):
        port = _dice.randint(10_000, 32_000)
        if port not in _given and not _is_taken(port):
            _given.add(port)
            return port
    raise AssertionError("no free port was found")


def _is_taken(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def is_open(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    with socket.socket() as client:
        client.settimeout(WAIT_S)
        return client.connect_ex(("127.0.0.1", port)) == 0


def to_toml(tables: Tables) -> str:
    """Write tables of plain values as TOML, whose plain values are those of JSON."""
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


# --- Processes ---------------------------------------------------------------------------------


def start_process(
    command: list[str],
    streams: Sequence[IO[Any]],
    environment: Mapping[str, str],
    directory: Path,
) -> Process:
    """Start a command with these standard streams."""
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, cwd=directory
    )


def start_program(
    command: list[str],
    streams: Sequence[IO[Any]],
    environment: Mapping[str, str],
    directory: Path,
) -> Process:
    """Start the ``repoman`` of this Python: without its imports, where that makes no difference."""
    warm = LiveServer.warm
    start = warm.start if warm is not None and warm.fits(environment) else start_process
    return start(command, streams, environment, directory)


def run_process(
    start: Callable[..., Process], command: list[str], given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``start`` takes it and its standard streams."""
    with _text_file() as stdin, _text_file() as stdout, _text_file() as stderr:
        stdin.write(given or "")
        stdin.seek(0)
        process = start(command, stdin, stdout, stderr)
        try:
            status = process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(command, status, stdout.read(), stderr.read())


def run_program(*words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the ``repoman`` of this Python without settings from the environment."""
    environment = program_environment()

    def start(command: list[str], *streams: IO[Any]) -> Process:
        return start_program(command, streams, environment, Path.cwd())

    return run_process(start, [str(PROGRAM), *words], given)


def program_environment() -> dict[str, str]:
    """The environment without settings of the program."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REPOMAN_")}


def _text_file() -> IO[str]:
    return TemporaryFile("w+", encoding="utf-8")


class LiveServer:
    """One data directory and, between ``start`` and ``stop``, the process that serves it.

    Args:
        directory: where data, configuration and logs go.
        program: the ``repoman`` to start; the one of this Python when None.
        settings: tables of the configuration file, beside the ports.
        wrapper: a command that starts the server, such as ``unshare``.

    Attributes:
        warm: starts the program of this Python where nothing else is wanted; None: it is started as
            everybody does, which benchmarks need.
    """

    warm: ClassVar[WarmProgram | None] = None

    def __init__(
        self,
        directory: Path,
        *,
        program: Path | None = None,
        settings: Tables | None = None,
        wrapper: tuple[str, ...] = (),
    ) -> None:
        self.program = program or PROGRAM
        self.data = directory / "data"
        self.config: Path | None = directory / "repoman.toml"
        self.main_port, self.connector_port = free_port(), free_port()
        self.environment = program_environment()
        self._directory = directory
        self._wrapper = wrapper
        self._process: Process | None = None
        self._is_own_program = program is not None
        directory.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self._configuration(settings or {}), encoding="utf-8")

    def _configuration(self, settings: Tables) -> str:
        server = {"port": self.main_port, **settings.get("server", {})}
        docker = f"settings.docker = {{ http_port = {self.connector_port} }}\n"
        return to_toml({**settings, "server": server}) + (
            '[[bootstrap.repositories]]\nname = "docker-hosted"\nrecipe = "docker-hosted"\n'
            + docker
        )

    def use_shipped_configuration(self) -> None:
        """Start without a configuration file; only the ports come from the environment."""
        self.config = None
        repository = {
            "name": "docker-hosted",
            "recipe": "docker-hosted",
            "settings": {"docker": {"http_port": self.connector_port}},
        }
        self.environment["REPOMAN_SERVER__PORT"] = str(self.main_port)
        self.environment["REPOMAN_BOOTSTRAP__REPOSITORIES"] = json.dumps([repository])

    # --- The process ---------------------------------------------------------------------------

    def start(self) -> "LiveServer":
        """Start the server and return when it says that it is ready."""
        self.spawn()
        wait_until(self._is_ready, what="the server's ready line")
        return self

    def spawn(self) -> Process:
        """Start the server and return at once."""
        assert self._process is None, "the server runs already"
        command = [*self._wrapper, *self.command("serve")]
        with (
            Path(os.devnull).open("rb") as stdin,
            self._stdout.open("wb") as stdout,
            self._stderr.open("ab") as stderr,
        ):
            self._process = self._run(command, stdin, stdout, stderr)
        return self._process

    def _run(self, command: list[str], *streams: IO[Any]) -> Process:
        """Start a command with these standard streams."""
        is_plain = not self._wrapper and not self._is_own_program
        start = start_program if is_plain else start_process
        return start(command, streams, self.environment, self._directory)

    def _is_ready(self) -> bool:
        status = self.process.poll()
        if status is not None:
            self._process = None
            raise AssertionError(f"The server ended with {status}:\n{self.output}\n{self.log}")
        return READY in self.output

    @property
    def process(self) -> Process:
        """The running process."""
        assert self._process is not None, "the server does not run"
        return self._process

    def cpu_time(self) -> float:
        """Seconds of the processor that the process has used."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # see clock_getcpuclockid(3)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server; after SIGSTOP, wait until all of its threads stand still."""
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            wait_until(self._stands_still, what="the server to stand still")

    def _stands_still(self) -> bool:
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in threads)

    def wait(self) -> int:
        """Wait for the end of the process and return its exit status."""
        status = self.process.wait(WAIT_S)
        self._process = None
        return status

    def stop(self) -> int:
        """End the server as an administrator does, and return its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End the server as a power cut does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def restart(self) -> None:
        """Stop the server, if it still runs, and start it on the same data."""
        if self._process is not None:
            assert self.stop() == 0, self.log
        self.start()

    def end(self) -> None:
        """Leave no process behind, whatever the test did."""
        if self._process is not None and self.process.poll() is None:
            self.kill()

    # --- What it says --------------------------------------------------------------------------

    @property
    def _stdout(self) -> Path:
        return self._directory / "stdout.log"

    @property
    def _stderr(self) -> Path:
        return self._directory / "stderr.log"

    @property
    def output(self) -> str:
        """What the present process wrote to standard output."""
        return self._stdout.read_text(encoding="utf-8") if self._stdout.exists() else ""

    @property
    def log(self) -> str:
        """What all processes on this data wrote to standard error."""
        return self._stderr.read_text(encoding="utf-8") if self._stderr.exists() else ""

    @property
    def listeners(self) -> dict[str, str]:
        """The URLs that the ready message names, by ``main`` or the repository."""
        return dict(re.findall(r"^(\S+)\s+(https?://\S+)$", self.output, re.MULTILINE))

    @property
    def main_url(self) -> str:
        """URL of the main port, without a slash at its end."""
        return f"http://127.0.0.1:{self.main_port}"

    @property
    def registry(self) -> str:
        """``host:port`` of the connector of ``docker-hosted``, as in an image's name."""
        return f"127.0.0.1:{self.connector_port}"

    @property
    def password(self) -> str:
        """The first password of ``admin``."""
        return (self.data / "admin.password").read_text(encoding="utf-8").strip()

    @property
    def admin(self) -> tuple[str, str]:
        """User and password, as ``requests`` takes them."""
        return "admin", self.password

    # --- The command line ----------------------------------------------------------------------

    def command(self, *words: str) -> list[str]:
        """A ``repoman`` command on this configuration and this data."""
        config = ["--config", str(self.config)] if self.config else []
        return [str(self.program), *words, *config, "--data", str(self.data)]

    def cli(
        self, *words: str, check: bool = True, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a ``repoman`` command and return it with its output.

        ``check`` says that it must succeed, ``given`` what it reads from standard input.
        """
        done = run_process(self._run, self.command(*words), given)
        if check and done.returncode:
            raise AssertionError(f"repoman {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done


@contextmanager
def live_server(directory: Path, **options: Any) -> Iterator[LiveServer]:
    """A started server that is gone at the end, with its data removed."""
    server = LiveServer(directory, **options)
    try:
        yield server.start()
    finally:
        server.end()
        shutil.rmtree(server.data, ignore_errors=True)
