"""A connector's listening socket and the connections that came in by it."""

import contextlib
import errno
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Protocol

from waitress.adjustments import Adjustments

from repoman.errors import Conflict, Invalid
from repoman.server.connection import Connection, ConnectionHost
from repoman.server.loop import IN
from repoman.server.transport import PlainTransport, TlsTransport, Transport

log = logging.getLogger("repoman.server")

# So many new connections are accepted in a turn.
ACCEPTS_PER_TURN = 64

# Bytes that a connection takes before it has sent those it has; the system by itself lets four
# megabytes and more queue up, which have left the processor's caches when their turn comes. What
# is on its way, and so the speed over long distances, is not limited by it.
UNSENT_BYTES = 1 << 19

# Congestion control of connections within the machine, which have no distance and no losses. One
# that sends at a speed it has measured, as BBR does, takes delays of the scheduler for a slow
# network, and stays slow. This one is in every Linux, and every user may choose it.
LOCAL_CONGESTION_CONTROL = b"reno"

# What to do about a port that the system keeps for the privileged.
PRIVILEGED_PORT_HINT = (
    " A port below 1024 requires the capability CAP_NET_BIND_SERVICE: grant it to the server, as "
    "the systemd unit in conf/examples shows, or choose a higher port."
)

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ListenerHost(ConnectionHost, Protocol):
    """What a listener needs of the server that it belongs to, besides its connections.

    Attributes:
        adjustments: waitress' settings for a scheme.
        is_paused: no connection is accepted for now.
    """

    adjustments: Callable[[str], Adjustments]
    is_paused: bool

    def make_room(self, newest: Connection) -> bool:
        """Tell whether more connections may be accepted after the newest; main loop."""

    def pause(self, reason: str) -> None:
        """Accept nothing until a connection closes or some time has passed; main loop."""

    def note_closed(self) -> None:
        """Take note that a connection has closed; any thread."""


class Listener:
    """Accepts connections for one connector; a member of the main loop.

    Attributes:
        connector: key of the connector; every request carries it in its environment.
        host: the address listened on.
        port: the real port, also if 0 was asked for.
        tls: context for new connections, or None for plain HTTP.
        connections: the open connections.
        gone: set when the listener is removed and its last connection closed.
    """

    def __init__(
        self,
        host: ListenerHost,
        connector: str,
        listening: socket.socket,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.connector = connector
        self.tls = tls
        self.connections: set[Connection] = set()
        self.gone = threading.Event()
        self.drain_until: float | None = None
        self.fd = listening.fileno()
        self.host, self.port = listening.getsockname()[:2]
        self._host = host
        self._socket = listening
        self.adj = host.adjustments("https" if tls else "http")

    def interest(self) -> int:
        """See :class:`repoman.server.loop.Member`."""
        return 0 if self._host.is_paused else IN

    def handle_read(self) -> None:
        """Accept the connections that wait, but not too many in one turn."""
        for _ in range(ACCEPTS_PER_TURN):
            if not self._accept():
                return

    def handle_write(self) -> None:
        """See :class:`repoman.server.loop.Member`."""

    def handle_close(self) -> None:
        """Stop listening, on the main loop. The connections stay. Safe to call again."""
        if self._host.main.owns(self):
            self._host.main.unregister(self)
        self._socket.close()

    def refresh(self) -> None:
        """See :class:`repoman.server.loop.Member`."""
        if self._host.main.owns(self):
            self._host.main.update(self)

    def forget(self, connection: Connection) -> None:
        """Take note that a connection has closed; any thread."""
        self.connections.discard(connection)
        self.check_gone()
        self._host.note_closed()

    def check_gone(self) -> None:
        """Say so if the listener is being removed and its last connection is closed."""
        if self.drain_until is not None and not self.connections:
            self.gone.set()

    def _accept(self) -> bool:
        try:
            accepted, addr = self._socket.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._host.pause(str(error))
                return False
            return True  # the client left before it was accepted
        try:
            connection = self._open_connection(accepted, addr)
        except OSError:
            accepted.close()
            return True
        except Exception:  # such as a lack of memory; the port stays open in spite of it
            log.exception("A connection from %s could not be accepted", addr[0])
            accepted.close()
            return True
        return self._host.make_room(connection)

    def _open_connection(self, accepted: socket.socket, addr: Any) -> Connection:
        accepted.setblocking(False)
        for option in self.adj.socket_options:
            accepted.setsockopt(*option)
        if accepted.getsockname()[0] == addr[0]:
            _choose_unpaced(accepted)
        transport: Transport = PlainTransport(accepted)
        if self.tls is not None:
            transport = TlsTransport(accepted, self.tls)
        # One of IPv4 is told as such, also by a socket for both kinds.
        host = addr[0].removeprefix("::ffff:")
        connection = Connection(self._host, self, transport, accepted, (host, *addr[1:]))
        self._host.main.register(connection)
        self.connections.add(connection)
        return connection


def _choose_unpaced(accepted: socket.socket) -> None:
    # A route may prescribe its own; then only speed is lost.
    with contextlib.suppress(OSError):
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, LOCAL_CONGESTION_CONTROL)


def open_socket(host: str, port: int, backlog: int) -> socket.socket:
    """Return a listening socket; ``::`` as host means all addresses, ``0.0.0.0`` those of IPv4.

    Raises:
        Conflict: the port is in use.
        Invalid: there is no such address here, or the port may not be used.
    """
    family, address = _resolve(host, port)
    try:
        return _listen(family, address, backlog)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(f"Port {port} at {host} is in use by another program.") from error
        hint = PRIVILEGED_PORT_HINT if error.errno == errno.EACCES else ""
        raise Invalid(f"Cannot listen on {host}:{port}: {error.strerror}.{hint}") from error


def _listen(family: int, address: Any, backlog: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # The connections inherit it.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        listening.setblocking(False)
        listening.bind(address)
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    return listening


def _resolve(host: str, port: int) -> tuple[int, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # a label of more than 63 letters is the latter
        reason = getattr(error, "strerror", None) or "it is not a valid host name"
        raise Invalid(f"Cannot listen on {host}:{port}: {reason}.") from error
    # A name like localhost may stand for both kinds of address; clients try IPv4 in any case.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return found[0][0], found[0][4]
