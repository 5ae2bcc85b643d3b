"""Which connections make room for a new one when there are too many."""

from collections.abc import Iterable

from repoman.server.channel import Channel


def close_some(channels: Iterable[Channel], most: int) -> bool:
    """Close at most so many expendable connections; False if there is none. On their loop.

    First those that have been idle for longest; if there are none, the oldest of those that have
    not asked for anything yet (a slow handshake or header) or have had their response.
    """
    there = list(channels)
    idle = sorted((each for each in there if each.is_idle), key=lambda each: each.pace.since)
    closed = [each for each in idle[:most] if each.close_if_idle()]
    if closed:
        return True
    waste = sorted(filter(_is_dispensable, there), key=_began)[:most]
    for each in waste:
        each.handle_close()
    return bool(waste)


def _is_dispensable(channel: Channel) -> bool:
    if not channel.transport.is_ready or channel.linger is not None:
        return True
    request = channel.intake.request
    return request is not None and not request.headers_finished


def _began(channel: Channel) -> float:
    return channel.opened if channel.intake.request is None else channel.intake.started
