"""Whether a client keeps moving data."""

import time

ENOUGH = 4096  # bytes that count; a client that moves fewer by the deadline has stalled


class ProgressTimer:
    """When a client's present time to act began; any thread.

    Bytes begin a new time only when there are ``ENOUGH`` of them: a client that moves one now and
    then could otherwise hold its connection, and what belongs to it, forever.

    Attributes:
        since: monotonic seconds.
    """

    __slots__ = ("_moved", "since")

    def __init__(self) -> None:
        self._moved = 0
        self.since = time.monotonic()

    def begin(self) -> None:
        """From now on it is the client's turn."""
        self._moved = 0
        self.since = time.monotonic()

    def move(self, count: int) -> None:
        """Take note of bytes that the client has sent or taken."""
        self._moved += count
        if self._moved >= ENOUGH:
            self.begin()
