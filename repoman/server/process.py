"""The server process: starts everything in order and runs until a signal stops it."""

import ctypes
import gc
import ipaddress
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from repoman.config import ServerSettings, Settings
from repoman.core import Repoman
from repoman.doctor.service import LOOK_INTERVAL_S
from repoman.durable import make_directory
from repoman.errors import Unavailable
from repoman.health import Health
from repoman.http.access_log import AccessRing
from repoman.http.current import MAIN
from repoman.http.router import create_application
from repoman.metrics import Metric, gauge
from repoman.repositories.model import Connector, connector_key
from repoman.repositories.repository_records import save_states
from repoman.server.connectors import ConnectorManager
from repoman.server.lock import DataLock
from repoman.server.response_cache import ResponseCache
from repoman.server.server import Server
from repoman.server.tls_contexts import Certificates
from repoman.tasks.model import Run
from repoman.threads import Periodic

SPOOL = "spool"  # below the data directory: bodies that are too large for memory

M_ARENA_MAX = -8  # The parameter of mallopt(3) for the number of heaps.
HEAPS_MAX = 2  # So many heaps serve all threads.

RESERVE_INTERVAL_S = 1.0  # How often is looked whether there is room for the reserve again.

# The collector looks at the young objects when so many were made and not yet freed.
GC_THRESHOLD_OBJECTS = 10_000

# Executes one run of a task; its id follows.
TASK_COMMAND = (sys.executable, "-c", "from repoman.cli import main; main()", "task", "execute")

_log = logging.getLogger(__name__)

Announce = Callable[[list[tuple[str, str]]], None]


def serve(settings: Settings, announce: Announce, *, adopt: bool = False) -> None:
    """Run the server until SIGTERM or SIGINT; SIGHUP reloads certificates and reopens log files.

    ``announce`` is called once when all ports are open, with (name, URL) of the main port and of
    each connector. ``adopt`` takes blob stores that do not belong to the database.

    Raises:
        RepomanError: the server cannot start; what was opened is closed again.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # It would end the process during the start.
    _share_heaps()
    with (
        DataLock(settings.data.absolute()),
        Repoman(settings, adopt=adopt) as repoman,
        repoman.blob_stores.locked_exclusively(),
        AccessRing(sys.stderr) as access,
        _kept_log(repoman.metrics.log),
        _background_work(repoman),
    ):
        responses = ResponseCache(create_application(repoman, access.write))
        server = Server(responses, settings.server, _make_spool(repoman.data))
        server.fast = responses.answer
        main = Connector(MAIN, "http", settings.server.host, settings.server.port)
        server.add_listener(connector_key(MAIN, "http"), main.host, main.port)
        certificates = Certificates(settings.tls, repoman.data)
        connectors = ConnectorManager(
            server, repoman, certificates, partial(save_states, repoman.database)
        )
        connectors.start()
        _watch_health(repoman.health, server, connectors, access)
        repoman.metrics.add(partial(_collect, server))
        _obey_signals(server, connectors)
        _warn_of_address(settings.server)
        entry = ("main", main.url.rstrip("/") + settings.server.context_path + "/")
        announce([entry, *((each.repository, each.url) for each in connectors.open_connectors())])
        calm_collector()
        try:
            server.run()
        finally:
            connectors.stop()


def _launch_task(settings: Settings, run: Run) -> "subprocess.Popen[bytes]":
    """Start the process that executes a run, which is claimed for it, and return it.

    The settings go through a pipe, since there may be passwords in them.

    Raises:
        OSError: no process can be started.
    """
    process = subprocess.Popen([*TASK_COMMAND, str(run.id)], stdin=subprocess.PIPE)  # noqa: S603
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(settings.model_dump_json().encode())
    return process


@contextmanager
def _background_work(repoman: Repoman) -> Iterator[None]:
    """Return a context in which the process does what no request asks for."""
    repoman.sweep()
    # Makes the reserve on the disk again when there is space for it.
    reserve = Periodic("reserve", repoman.database.reserve.keep, RESERVE_INTERVAL_S)
    runner = repoman.make_runner(launch=partial(_launch_task, repoman.settings))
    doctor = Periodic("doctor", repoman.doctor.look, LOOK_INTERVAL_S)
    reserve.start()
    runner.start()
    doctor.start()
    repoman.tasks.on_request(runner.wake)
    for each in repoman.event_followers:
        each.thread.start()
    repoman.health.add("reserve", lambda: reserve.problem)
    repoman.health.add("tasks", lambda: runner.problem)
    repoman.health.add("doctor", lambda: doctor.problem)
    try:
        yield
    finally:
        for each in repoman.event_followers:
            each.thread.stop()
        doctor.stop()
        runner.stop()
        reserve.stop()


@contextmanager
def _kept_log(handler: logging.Handler) -> Iterator[None]:
    """Return a context in which a handler sees what the server logs."""
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _share_heaps() -> None:
    """Have all threads allocate from the same few heaps.

    glibc gives each thread its own, which keeps what it once had: cached responses, created by
    any worker, took many times their size. With Python's lock nobody waits for a
    heap. Other libraries have no such option.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS_MAX)


def calm_collector() -> None:
    """Keep the garbage collector from looking repeatedly at what the start has made.

    That held every request up for tens of milliseconds; requests leave few cycles behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD_OBJECTS, 20, 20)


def _make_spool(data: Path) -> Path:
    spool = data / SPOOL
    try:
        make_directory(spool)
        for left in spool.iterdir():  # by a process that was killed
            if not left.is_dir():  # lost+found, where the directory is a disk of its own
                left.unlink()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"The directory {spool} cannot be used: {reason}.") from error
    return spool


def _watch_health(
    health: Health, server: Server, connectors: ConnectorManager, access: AccessRing
) -> None:
    health.add("connectors", lambda: connectors.problem)
    health.add("changes", lambda: connectors.thread.problem)
    health.add("access log", lambda: access.thread.problem)
    health.add("server", lambda: "; ".join(filter(None, (loop.problem for loop in server.loops()))))


def _collect(server: Server) -> Iterator[Metric]:
    """Yield what the server tells for monitoring."""
    connections, limit = server.connection_numbers()
    yield gauge("repoman_connections", "Open connections.", connections)
    yield gauge("repoman_connections_limit", "How many there can be.", limit)
    waiting = server.workers.count_waiting()
    yield gauge("repoman_waiting_requests", "Requests that no worker has begun.", waiting)


def _obey_signals(server: Server, connectors: ConnectorManager) -> None:
    def end(number: int, _frame: object) -> None:
        name = signal.Signals(number).name
        if server.is_stopping:
            _log.info("%s again: stopping at once.", name)
            server.shutdown(0)
        else:
            _log.info("%s: finishing running requests.", name)
            server.shutdown()

    def reload(_number: int, _frame: object) -> None:
        _log.info("SIGHUP: reloading the certificates and reopening the log files.")
        connectors.reload()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    signal.signal(signal.SIGHUP, reload)


def _warn_of_address(settings: ServerSettings) -> None:
    try:
        is_local = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        is_local = settings.host == "localhost"
    if is_local:
        _log.info(
            "Listening on %s only: other machines cannot connect. Set server.host to change that.",
            settings.host,
        )
