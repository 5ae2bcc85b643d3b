"""The owner of everything that serves: loops, workers, listeners."""

import logging
import resource
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle
from pathlib import Path
from wsgiref.types import WSGIApplication

from waitress.adjustments import Adjustments

from repoman.config import ServerSettings
from repoman.errors import Conflict, Invalid, NotFound, Unavailable
from repoman.server.connection import Connection
from repoman.server.connection_policy import close_some, find_overdue
from repoman.server.listener import Listener, open_socket
from repoman.server.loop import Loop
from repoman.server.response_cache import FastAnswer
from repoman.server.send_queue import HIGH_WATER_BYTES
from repoman.server.worker_pool import WorkerPool
from repoman.waiting import Worker

log = logging.getLogger("repoman.server")

# The loops receive into buffers of these sizes.
MAIN_BUFFER_BYTES = 1 << 16
BULK_BUFFER_BYTES = 1 << 20

# The main loop has this long to close a listening socket.
REMOVAL_TIMEOUT_S = 5.0

# That there are too many connections is logged once in this time.
WARNING_INTERVAL_S = 60.0

# So many workers may wait while others take their places: for remotes, for the database, and for
# their turn in long computations.
REMOTE_WAITS_MAX = 128
DATABASE_WAITS_MAX = 32
TURN_WAITS_MAX = 16

# Workers have this long to end when all connections are closed.
LAST_WORK_TIMEOUT_S = 5.0


class Server:
    """Serves a WSGI application on any number of listeners, which come and go while it runs.

    Args:
        application: called in worker threads; see :mod:`repoman.http.body` for request bodies.
        settings: limits and times.
        spool: directory for large buffered bodies; must exist when the first one comes.

    Attributes:
        fast: answers requests that need no worker, if set.
    """

    def __init__(
        self,
        application: WSGIApplication,
        settings: ServerSettings,
        spool: Path,
        tick: float = 1.0,
    ) -> None:
        self.application = application
        self.settings = settings
        self.spool = spool
        self.main = Loop("main", MAIN_BUFFER_BYTES, tick, takes_slot=True)
        self.workers = WorkerPool(
            settings.threads, REMOTE_WAITS_MAX, DATABASE_WAITS_MAX, TURN_WAITS_MAX
        )
        self.main.after_turn = self.workers.nudge
        self.main.backlog = self.workers.queue.lines
        self.main.on_tick = self._tick
        self.fast: FastAnswer | None = None
        self.is_paused = False  # no connection is accepted for now
        self._bulk = [
            Loop(f"bulk-{n}", BULK_BUFFER_BYTES, tick=60) for n in range(settings.bulk_threads)
        ]
        self.bulk: Iterator[Loop] = cycle(self._bulk)
        self._lock = threading.Lock()
        self._listeners: dict[str, Listener] = {}
        self._leaving: list[Listener] = []
        self._limit = settings.connection_limit
        self._next_warning = 0.0
        self._is_running = False
        self._is_stopping = False
        self._is_stopped = False
        self.adjustments: Callable[[str], Adjustments] = cache(self._make_adjustments)

    # Listeners: any thread.

    def add_listener(
        self, connector: str, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> Listener:
        """Listen for a connector from now on; port 0 picks a free one. Any thread.

        Raises:
            Conflict: the port is in use, or the connector has a listener.
            Invalid: the address cannot be listened on.
            Unavailable: the server is shutting down.
        """
        listening = open_socket(host, port, self.settings.backlog)
        listener = Listener(self, connector, listening, tls)
        try:
            with self._lock:
                self._check_new(connector)
                self._listeners[connector] = listener
        except BaseException:
            listening.close()
            raise
        self.main.call(self.main.register, listener)
        return listener

    def remove_listener(self, connector: str, drain: float | None = None) -> threading.Event:
        """Stop listening for a connector; the port is free on return. Any thread.

        Running requests may continue for ``drain`` seconds (default: the setting), idle connections
        are closed at once. The event is set when the last connection is closed.

        Raises:
            NotFound: there is no such listener.
        """
        with self._lock:
            listener = self._listeners.pop(connector, None)
            if listener is None:
                raise NotFound(f"The server does not listen on the connector {connector}.")
            self._leaving.append(listener)
            closed = threading.Event()
            if self._is_running:
                self.main.call(self._leave, listener, drain, closed)
            else:
                self._leave(listener, drain, closed)
        closed.wait(REMOVAL_TIMEOUT_S)
        return listener.gone

    def swap_tls(self, connector: str, context: ssl.SSLContext) -> None:
        """Use another TLS context for new connections; existing ones keep theirs. Any thread.

        Raises:
            NotFound: there is no such listener.
            Invalid: the connector speaks plain HTTP.
        """
        with self._lock:
            listener = self._listeners.get(connector)
            if listener is None:
                raise NotFound(f"The server does not listen on the connector {connector}.")
            if listener.tls is None:
                raise Invalid(f"The connector {connector} does not use TLS.")
            listener.tls = context

    def loops(self) -> list[Loop]:
        """Return all loops."""
        return [self.main, *self._bulk]

    # Life: run() blocks the caller, shutdown() is for any thread and for signal handlers.

    def run(self) -> None:
        """Serve until :meth:`shutdown`; the calling thread runs the main loop."""
        with self._lock:
            self._is_running = True
        self._limit = _allow_connections(self.settings.connection_limit)
        sys.setswitchinterval(0.001)  # a busy worker keeps the loops waiting for a fifth as long
        threads = [threading.Thread(target=b.run, name=b.name, daemon=True) for b in self._bulk]
        self.workers.start()
        for thread in threads:
            thread.start()
        self.main.run()
        for loop, thread in zip(self._bulk, threads, strict=True):
            loop.stop()
            thread.join()
        self._end()

    @property
    def is_stopping(self) -> bool:
        """Whether :meth:`shutdown` has been called."""
        return self._is_stopping

    def shutdown(self, drain: float | None = None) -> None:
        """Finish what runs, at most ``drain`` seconds long, then let :meth:`run` return.

        Requests that wait for remotes are answered 503 at once. A second call may shorten the time.
        """
        self.main.call(self._begin_shutdown, drain)

    # For connections and listeners.

    def submit(self, work: Callable[[], object]) -> None:
        """Have a worker do something; any thread."""
        if self._is_stopped:
            work()
        else:
            self.main.call(self.workers.submit, work)

    def make_room(self, newest: Connection) -> bool:
        """Tell whether more connections may be accepted after the newest; main loop.

        Over the limit, expendable connections are closed, a few at a time.
        """
        if self._count() <= self._limit:
            return True
        here = (c for c in self._connections() if c.loop is self.main and c is not newest)
        if close_some(here, max(1, self._limit // 64)):
            return True
        self.pause(f"all {self._limit} are busy")
        return False

    def pause(self, reason: str) -> None:
        """Accept nothing until a connection closes or some time has passed; main loop.

        Clients can cause this often, so the reason is logged only now and then.
        """
        self.is_paused = True
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + WARNING_INTERVAL_S
            log.warning("No more connections can be accepted for now: %s", reason)

    def note_closed(self) -> None:
        """A connection has closed; any thread."""
        if self.is_paused:
            self.main.call(self._resume)
        if self._is_stopping:
            self.main.call(self._stop_if_done)

    # On the main loop.

    def _leave(self, listener: Listener, drain: float | None, closed: threading.Event) -> None:
        listener.handle_close()
        seconds = self.settings.drain_timeout if drain is None else drain
        listener.drain_until = time.monotonic() + seconds
        for connection in list(listener.connections):
            connection.drain()
        closed.set()
        self._cut(listener)
        listener.check_gone()

    def _cut(self, listener: Listener) -> None:
        if listener.drain_until is not None and time.monotonic() >= listener.drain_until:
            for connection in list(listener.connections):
                connection.close_soon()

    def _begin_shutdown(self, drain: float | None) -> None:
        with self._lock:
            self._is_stopping = True
            listeners = list(self._listeners.values())
            self._leaving += listeners
            self._listeners.clear()
        self.workers.refuse_waits()
        for listener in listeners:
            self._leave(listener, drain, threading.Event())
        for listener in self._leaving:  # A second call may give less time than the first.
            if drain is not None and listener.drain_until is not None:
                listener.drain_until = min(listener.drain_until, time.monotonic() + drain)
                self._cut(listener)
        self._end_remote_waits()
        self._stop_if_done()

    def _end_remote_waits(self) -> None:
        """Answer for the workers that wait for remotes: these may be silent for long."""
        for connection in self._connections():
            worker = connection.worker
            if connection.serving is None or not isinstance(worker, Worker):
                continue
            with self.workers.held_wait(worker) as is_waiting:
                connection.is_given_up = is_waiting
            if connection.is_given_up:
                connection.give_up()

    def _stop_if_done(self) -> None:
        if self._is_stopping and self._count() == 0:
            self.main.stop()

    def _resume(self) -> None:
        if self._count() > self._limit:
            return
        self.is_paused = False
        for listener in self._all_listeners():
            listener.refresh()

    def _tick(self) -> None:
        now = time.monotonic()
        if self.is_paused:
            self._resume()
        for connection in self._connections():
            self._close_if_overdue(connection, now)
        for listener in list(self._leaving):
            self._cut(listener)
            if listener.gone.is_set():
                self._leaving.remove(listener)
        if self._is_stopping:
            self._end_remote_waits()
        self._stop_if_done()

    def _close_if_overdue(self, connection: Connection, now: float) -> None:
        try:
            phase = find_overdue(connection, now, self.settings)
        except Exception:  # or no other connection would be looked at any more
            log.exception("Closing a connection of %s after an error", connection.addr[0])
            connection.close_soon()
            return
        if phase is not None:
            name = phase.value
            log.debug("Closing a connection of %s: %s took too long", connection.addr[0], name)
            connection.close_soon()

    def _end(self) -> None:
        with self._lock:
            self._is_running = False
        has_ended = self.workers.stop(LAST_WORK_TIMEOUT_S)
        self._is_stopped = True
        self.main.finish_calls()
        if not has_ended:
            log.warning("Some requests are still running; stopping without them")
        for loop in (self.main, *self._bulk):
            loop.close()

    def _check_new(self, connector: str) -> None:
        if self._is_stopping:
            raise Unavailable("The server is shutting down.")
        if connector in self._listeners:
            raise Conflict(f"The server already listens on the connector {connector}.")

    def _all_listeners(self) -> list[Listener]:
        return [*list(self._listeners.values()), *self._leaving]

    def _connections(self) -> list[Connection]:
        return [connection for one in self._all_listeners() for connection in list(one.connections)]

    def _count(self) -> int:
        return sum(len(listener.connections) for listener in self._all_listeners())

    def connection_numbers(self) -> tuple[int, int]:
        """Return how many connections there are, and how many there can be. Any thread."""
        return self._count(), self._limit

    def _make_adjustments(self, scheme: str) -> Adjustments:
        return Adjustments(
            url_scheme=scheme,
            max_request_header_size=self.settings.header_limit,
            max_request_body_size=1 << 50,  # how much is too much is the application's to say
            outbuf_high_watermark=HIGH_WATER_BYTES,
            clear_untrusted_proxy_headers=False,
        )


def _allow_connections(wanted: int) -> int:
    """Raise the limit of open files for so many connections; return how many there can be."""
    needed = 2 * wanted + 1000  # a connection may have a file, and the rest needs some too
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        target = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
            soft = target
    if soft >= needed:
        return wanted
    possible = max(16, (soft - 1000) // 2 if soft > 2000 else soft // 4)
    log.warning("The limit of %d open files allows only %d connections", soft, possible)
    return min(wanted, possible)
