"""Which connections make room for a new one when there are too many."""

from collections.abc import Iterable

from repoman.server.connection import Connection


def close_some(connections: Iterable[Connection], most: int) -> bool:
    """Close at most so many expendable connections; False if there is none. On their loop.

    First those that have been idle for longest; if there are none, the oldest of those that have
    not asked for anything yet (a slow handshake or header) or have had their response.
    """
    there = list(connections)
    idle = sorted((each for each in there if each.is_idle), key=lambda each: each.progress.since)
    closed = [each for each in idle[:most] if each.close_if_idle()]
    if closed:
        return True
    waste = sorted(filter(_is_dispensable, there), key=_began)[:most]
    for each in waste:
        each.handle_close()
    return bool(waste)


def _is_dispensable(connection: Connection) -> bool:
    if not connection.transport.is_ready or connection.linger is not None:
        return True
    request = connection.reader.request
    return request is not None and not request.headers_finished


def _began(connection: Connection) -> float:
    return connection.opened if connection.reader.request is None else connection.reader.started
