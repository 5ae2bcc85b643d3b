"""How long a client may take for what."""

from repoman.config import ServerSettings
from repoman.server.connection import Connection


def find_overdue(connection: Connection, now: float, settings: ServerSettings) -> str | None:
    """Return what the connection has taken too long for, or None.

    Read from another thread than the connection's, so it may be wrong by one tick. The time an
    application takes for its answer is not limited here.
    """
    silent = now - connection.progress.since
    if not connection.transport.is_ready:
        return _late("TLS handshake", now - connection.opened, settings.handshake_timeout)
    if connection.linger is not None:
        return "refused body" if now > connection.linger.until else None
    if not connection.send_queue.is_empty:
        return _late("response", silent, settings.stall_timeout, connection.send_queue.is_sendable)
    if connection.serving is not None:
        return None
    request = connection.reader.request
    if request is None:
        return _late("idle connection", silent, settings.idle_timeout)
    if not request.headers_finished:
        return _late("header", now - connection.reader.started, settings.header_timeout)
    return _late("request body", silent, settings.stall_timeout)


def _late(what: str, taken: float, allowed: float, counts: bool = True) -> str | None:
    return what if counts and taken > allowed else None
