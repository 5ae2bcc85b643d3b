"""Reading on for a while after a refusal, so that the client gets to see it."""

import time

from repoman.config import ServerSettings

HURRY = 1.0  # seconds that are enough for a client to read its refusal


class LingeringClose:
    """How long to read and discard what a client sends after it was refused.

    Closing a connection with unread bytes makes the kernel reset it, and the reset may overtake the
    response that says what was wrong.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.until = time.monotonic() + settings.linger_timeout
        self._remaining = settings.linger_limit

    def hurry(self) -> None:
        """Do not keep the end of the listener waiting."""
        self.until = min(self.until, time.monotonic() + HURRY)

    def is_over(self, count: int) -> bool:
        """Count bytes that were swallowed; True if the client is done, or has had enough time."""
        self._remaining -= count
        return count == 0 or self._remaining < 0 or time.monotonic() > self.until
