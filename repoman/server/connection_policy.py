"""How long a client may take for what, and which connections are closed first when there are many.

A connection is in one :class:`Phase` at a time, which says whom it waits for and since when. Each
phase that waits for the client has a time limit among the settings.
"""

import time
from collections.abc import Iterable
from enum import Enum
from typing import Protocol

from repoman.config import ServerSettings

# The time that a refused client has left to read its answer when the server closes its listener.
DRAIN_LINGER_S = 1.0


class Phase(Enum):
    """What a connection is at; the value names it in the log."""

    HANDSHAKE = "TLS handshake"
    IDLE = "idle connection"
    HEADER = "header"
    BODY = "request body"
    SERVING = "application"
    PREPARING = "rest of a growing file"
    RESPONSE = "response"
    REFUSED = "refused body"


# The setting with the seconds that a client has in a phase. In the others it waits for the server.
_LIMITS = {
    Phase.HANDSHAKE: "handshake_timeout",
    Phase.IDLE: "idle_timeout",
    Phase.HEADER: "header_timeout",
    Phase.BODY: "stall_timeout",
    Phase.RESPONSE: "stall_timeout",
    Phase.REFUSED: "linger_timeout",
}

# Connections in these phases have nothing under way that would be lost.
_EXPENDABLE = frozenset({Phase.HANDSHAKE, Phase.HEADER, Phase.REFUSED})


class Closable(Protocol):
    """A connection, as the policy sees it."""

    def phase(self) -> tuple[Phase, float]:
        """Return the phase and its begin, monotonic seconds; other threads may be a tick late."""

    def close_if_idle(self) -> bool:
        """Close the connection unless a request is under way or has just arrived."""

    def handle_close(self) -> None:
        """Close the connection, on the loop that owns it."""


def find_overdue(connection: Closable, now: float, settings: ServerSettings) -> Phase | None:
    """Return the phase that has taken the client too long, or None.

    The time that an application takes for its answer is not limited here.
    """
    phase, since = connection.phase()
    limit = _LIMITS.get(phase)
    is_overdue = limit is not None and now - since > getattr(settings, limit)
    return phase if is_overdue else None


def close_some(connections: Iterable[Closable], most: int) -> bool:
    """Close at most so many expendable connections; False if there is none. On their loop.

    First those that have been idle for longest; if there are none, the oldest of those that have
    not asked for anything yet (a slow handshake or header) or have had their response.
    """
    there = [(connection, *connection.phase()) for connection in connections]
    there.sort(key=lambda each: each[2])
    idle = [connection for connection, phase, _ in there if phase is Phase.IDLE]
    if any([connection.close_if_idle() for connection in idle[:most]]):
        return True
    expendable = [connection for connection, phase, _ in there if phase in _EXPENDABLE]
    for connection in expendable[:most]:
        connection.handle_close()
    return bool(expendable)


class LingeringClose:
    """Reads on for a while after a refusal, so that the client gets to see it.

    Closing a connection with unread bytes makes the kernel reset it, and the reset may overtake the
    response that says what was wrong.

    Attributes:
        since: when the response had left, monotonic seconds; earlier if there is a hurry.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.since = time.monotonic()
        self._timeout = settings.linger_timeout
        self._remaining = settings.linger_limit

    def hurry(self) -> None:
        """Do not keep the end of the listener waiting."""
        self.since = min(self.since, time.monotonic() + DRAIN_LINGER_S - self._timeout)

    def is_over(self, count: int) -> bool:
        """Count bytes that were read; True if the client is done, or has had enough time."""
        self._remaining -= count
        is_late = time.monotonic() > self.since + self._timeout
        return count == 0 or self._remaining < 0 or is_late
