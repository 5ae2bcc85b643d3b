"""Responses that may be cached: the contract between the routes and the server's response cache.

A route that answers only from caches of the database calls :func:`allow_caching`. The server may
then answer the same bytes, sent to the same connector, with the same response and without asking
the application, as long as :meth:`Validity.is_valid` says so; it calls ``note`` each time.

Since the whole request is compared, with every header, nothing it depends on can be forgotten; and
while a request is served, the topics are collected of all that is read for it
(:mod:`repoman.db.topics`), so nothing that the response was made from can have changed.
"""

import time
from collections.abc import Callable, Mapping

from flask import request

from repoman.db.topics import SERVED, Dependencies, Topics
from repoman.http.body import Environ

CACHEABLE = "repoman.cacheable"  # the Validity, where the route allows it
RAW_REQUEST = "repoman.raw_request"  # environ: a request without a body, byte for byte
BEGUN = "repoman.begun"  # the same, as of before the request looked at anything

# What ends by the clock (a token, a remembered password) ends this late, in seconds.
LIFETIME_S = 5.0


class Validity:
    """For how long a response may be repeated.

    Attributes:
        note: to be called, with the client's address, whenever it was.
        note_pull: to be called as well, without anything.
        address: the only one it may be repeated to, if any: the audit log tells from where
            somebody has logged in.
    """

    __slots__ = (
        "_moves",
        "_numbers",
        "_read",
        "_topics",
        "_until",
        "address",
        "note",
        "note_pull",
    )

    def __init__(self, topics: Topics, read: Dependencies) -> None:
        self._topics = topics
        self._read = read
        self._moves = -1
        self._numbers: Mapping[str, int] = {}
        self._until = time.monotonic() + LIFETIME_S
        self.address: str | None = None
        self.note: Callable[[str], object] = _note_nothing
        self.note_pull: Callable[[], object] = _note_no_pull

    def settle(self) -> bool:
        """Return whether everything is known that the response was made from, once it is made."""
        self._numbers = dict(self._read)
        return self._read.is_complete

    def is_valid(self, client: str) -> bool:
        """Return whether a client's response would still be the same; cheap, for any thread."""
        return (
            time.monotonic() < self._until
            and (self.address is None or self.address == client)
            and (self._moves == self._topics.moves or self._is_current())
        )

    def _is_current(self) -> bool:
        moves = self._topics.moves
        if not self._topics.are_current(self._numbers):
            return False
        self._moves = moves
        return True


def _note_nothing(_client: str) -> None:
    """Where there is no access log."""


def _note_no_pull() -> None:
    """Where nothing is pulled."""


def begin_request(environ: Environ, topics: Topics) -> Dependencies:
    """Return what collects, as ``READER``, what the response to a request is made from."""
    read = Dependencies()
    read[SERVED] = topics.numbers.get(SERVED, 0)
    environ[BEGUN] = Validity(topics, read)
    return read


def bind_to_address(address: str) -> None:
    """Let the server repeat the response of the current request to this address only."""
    request.environ[BEGUN].address = address


def allow_caching() -> None:
    """Let the server repeat the response of the current request."""
    environ = request.environ
    environ[CACHEABLE] = environ[BEGUN]
