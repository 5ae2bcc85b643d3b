"""Positions in lists that clients hand back and cannot read.

A list that is left before its end is left at an entry which may be hidden from the client.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable

from cryptography.fernet import Fernet, InvalidToken


class Cursors:
    """Seals positions; thread safe.

    Args:
        key: returns 32 secret bytes, the same for as long as cursors are to be good.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    def seal(self, position: str) -> str:
        """Return a position as text that may stand in an address."""
        return self._fernet().encrypt(position.encode()).decode("ascii")

    def open(self, cursor: str) -> str | None:
        """Return the position in a cursor; None if the cursor is not valid."""
        try:
            return self._fernet().decrypt(cursor.encode()).decode()
        except InvalidToken:
            return None

    def _fernet(self) -> Fernet:
        return Fernet(urlsafe_b64encode(self._key()))
