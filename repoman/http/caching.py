"""Responses that may be cached: the contract between the routes and the server's response cache.

A route that answers only from caches of the database calls :func:`allow_caching`. The server may
then answer the same bytes, sent to the same connector, with the same response and without asking
the application, as long as :meth:`Validity.is_valid` says so; it calls ``note`` each time.

Since the whole request is compared, with every header, nothing it depends on can be forgotten; and
since every write moves the database's generation, nothing it was made from can have changed.
"""

import time
from collections.abc import Callable

from flask import request

from repoman.db.database import Database
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

    __slots__ = ("_database", "_generation", "_until", "address", "note", "note_pull")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._generation = database.generation
        self._until = time.monotonic() + LIFETIME_S
        self.address: str | None = None
        self.note: Callable[[str], object] = _note_nothing
        self.note_pull: Callable[[], object] = _note_no_pull

    def is_valid(self, client: str) -> bool:
        """Return whether a client's response would still be the same; cheap, for any thread."""
        return (
            self._generation == self._database.generation
            and time.monotonic() < self._until
            and (self.address is None or self.address == client)
        )


def _note_nothing(_client: str) -> None:
    """Where there is no access log."""


def _note_no_pull() -> None:
    """Where nothing is pulled."""


def begin_request(environ: Environ, database: Database) -> None:
    """Remember what the database is like before the request looks at anything."""
    environ[BEGUN] = Validity(database)


def bind_to_address(address: str) -> None:
    """Let the server repeat the response of the current request to this address only."""
    request.environ[BEGUN].address = address


def allow_caching() -> None:
    """Let the server repeat the response of the current request."""
    environ = request.environ
    environ[CACHEABLE] = environ[BEGUN]
