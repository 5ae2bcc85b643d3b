"""How long a client may take for what."""

from repoman.config import ServerSettings
from repoman.server.channel import Channel


def find_overdue(channel: Channel, now: float, settings: ServerSettings) -> str | None:
    """Return what the channel has taken too long for, or None.

    Read from another thread than the channel's, so it may be wrong by one tick. The time an
    application takes for its answer is not limited here.
    """
    silent = now - channel.pace.since
    if not channel.transport.is_ready:
        return _late("TLS handshake", now - channel.opened, settings.handshake_timeout)
    if channel.linger is not None:
        return "refused body" if now > channel.linger.until else None
    if not channel.outbox.is_empty:
        return _late("response", silent, settings.stall_timeout, channel.outbox.is_sendable)
    if channel.serving is not None:
        return None
    request = channel.intake.request
    if request is None:
        return _late("idle connection", silent, settings.idle_timeout)
    if not request.headers_finished:
        return _late("header", now - channel.intake.started, settings.header_timeout)
    return _late("request body", silent, settings.stall_timeout)


def _late(what: str, taken: float, allowed: float, counts: bool = True) -> str | None:
    return what if counts and taken > allowed else None
