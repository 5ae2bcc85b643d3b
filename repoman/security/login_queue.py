"""How many logins may wait for somebody else at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from repoman.errors import Unavailable

LATER = 1  # seconds after which a client that found no place may try again


class LoginQueue:
    """Gives places to logins that take their time, and none beyond; thread safe.

    A directory may be slow to answer, and logins must not keep every worker waiting for it; so
    there are fewer places than workers.
    """

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for as long as the block runs.

        Raises:
            Unavailable: all are taken.
        """
        if not self._places.acquire(blocking=False):
            error = Unavailable("Too many logins at the same time. Try again in a moment.")
            error.retry_after = LATER
            raise error
        try:
            yield
        finally:
            self._places.release()
