"""The current request: what a route can find out about it, and what it says of it.

That is what the audit log is told, and whether the **response may be cached**. A route that answers
only from caches of the database calls :func:`allow_caching`. The server may then answer the same
bytes, sent to the same connector, with the same response and without asking the application, as
long as :meth:`Validity.is_valid` says so; it calls ``note`` each time. Since the whole request is
compared, with every header, nothing it depends on can be forgotten; and while a request is served,
the topics are collected of all that is read for it (:mod:`repoman.db.topics`), so nothing that the
response was made from can have changed.
"""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import BinaryIO, cast

from flask import Request, request

from repoman.core import Repoman
from repoman.db.topics import SERVED, Dependencies, Topics
from repoman.events.origin import Origin, current_origin
from repoman.http.body import Environ
from repoman.http.hosts import SAFE_METHODS
from repoman.printable import without_secrets
from repoman.repositories.model import Repository
from repoman.security.actors import Actor, RepositoryRef
from repoman.security.audit import Audit, Event
from repoman.security.services import Security
from repoman.security.throttling import network_of

REPOSITORY = "repoman.repository"  # keys of the WSGI environment
ACTOR = "repoman.actor"
SECURITY = "repoman.security"
SOURCE = "repoman.source"
REPOMAN = "repoman.services"
CONNECTOR = "repoman.connector"

MAIN = "*"  # the main port, in place of a repository; no repository can be called so


# The WSGI environment of the request; Flask's stand-in for it takes ten times as long.
ENVIRON: ContextVar[Environ] = ContextVar("environ")


def current_environ() -> Environ:
    """Return the WSGI environment of the request."""
    return ENVIRON.get()


def current_repository() -> Repository:
    """Return the repository that the request came to, by path or by connector."""
    repository: Repository = ENVIRON.get()[REPOSITORY]  # no cast: it is a call
    return repository


def is_on_main_port() -> bool:
    """Return whether the request came by the main port, whose pages have the same origin."""
    connector: str = ENVIRON.get().get(CONNECTOR, MAIN)
    return connector.partition(":")[0] == MAIN


def current_ref() -> RepositoryRef:
    """Return the repository of the request as rights see it."""
    repository: Repository = ENVIRON.get()[REPOSITORY]
    return repository.ref


def current_actor() -> Actor:
    """Return who makes the request; set once it is authenticated."""
    actor: Actor = ENVIRON.get()[ACTOR]
    return actor


def current_security() -> Security:
    """Return the services that decide who may do what."""
    security: Security = ENVIRON.get()[SECURITY]
    return security


def current_repoman() -> Repoman:
    """Return all services of the server; for the pages of the main port."""
    return cast("Repoman", request.environ[REPOMAN])


def bearer_token(request: Request) -> str | None:
    """Return the bearer token of a request; None if it has none (RFC 6750, section 2.1)."""
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


CACHEABLE = "repoman.cacheable"  # the Validity, where the route allows it
RAW_REQUEST = "repoman.raw_request"  # environ: a request without a body, byte for byte
CACHEABLE_METHODS = ("GET", "HEAD")
BEGUN = "repoman.begun"  # the same, as of before the request looked at anything

# What ends by the clock (a token, a remembered password) ends this late, in seconds.
LIFETIME_S = 5.0


class Validity:
    """For how long a response may be repeated.

    Attributes:
        note: to be called, with the client's address, whenever it was.
        note_pull: to be called as well, without anything.
        reopen: returns the body once more, where it is a file (RepomanError: it is not there).
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
        "reopen",
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
        self.reopen: Callable[[], BinaryIO] | None = None

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


def begin_request(environ: Environ, topics: Topics) -> Dependencies | None:
    """Return what collects, as ``READER``, what the response to a request is made from.

    None: nobody has to know, since only the responses to GET and HEAD are cached.
    """
    read = Dependencies()
    read[SERVED] = topics.numbers.get(SERVED, 0)
    environ[BEGUN] = Validity(topics, read)
    return read if environ["REQUEST_METHOD"] in CACHEABLE_METHODS else None


def bind_to_address(address: str) -> None:
    """Let the server repeat the response of the current request to this address only."""
    ENVIRON.get()[BEGUN].address = address


def allow_caching() -> None:
    """Let the server repeat the response of the current request."""
    environ = ENVIRON.get()
    environ[CACHEABLE] = environ[BEGUN]


AUDIT = "repoman.audit"  # key of the WSGI environment


def note_pull(target: str, kind: str = "pull") -> None:
    """Report that the request's actor gets content, if pulls are recorded.

    Call it after the response is made: the server may not repeat that one by itself then.
    """
    environ = ENVIRON.get()
    audit: Audit = environ[AUDIT]
    if audit.pulls and environ["REQUEST_METHOD"] == "GET":
        environ.pop(CACHEABLE, None)
        _note("content", kind, current_origin(), target, {})


def note_refused() -> None:
    """Report a request to change something that its actor is not allowed to change."""
    environ = current_environ()
    if request.method in SAFE_METHODS or AUDIT not in environ:
        return
    method = {"method": request.method}
    target = without_secrets(request.path)
    _note("access", "refused", current_origin(), target, method, is_success=False)


def note_login(actor: Actor) -> None:
    """Report a login, for a while or for one browser session."""
    _note("login", "success", _origin_of(actor), "", {})


def note_password(actor: Actor) -> None:
    """Report that a request has brought a password: once in an hour for the same client."""
    environ = ENVIRON.get()
    audit: Audit = environ[AUDIT]
    address = environ.get("REMOTE_ADDR") or ""
    bind_to_address(address)
    if not actor.is_anonymous and audit.is_new_login(actor.owner, address, actor.token):
        note_login(actor)


def note_failed_login(name: str, wait: int | None = None) -> None:
    """Report that the request's credentials are wrong; ``name`` is who they claim to be.

    ``wait`` is the seconds until the next attempt is accepted, if not at once.
    """
    origin = _origin_of(Actor(name, realm=""))
    attributes = {} if wait is None else {"wait": str(wait)}
    _note("login", "failed", origin, "", attributes, is_success=False)


def note_nameless_login() -> None:
    """Report credentials that name nobody: once in an hour for the same network.

    They guess nothing, so that nothing slows down who sends them.
    """
    environ = current_environ()
    audit: Audit = environ[AUDIT]
    if audit.is_new_login("nameless", network_of(environ.get("REMOTE_ADDR") or "")):
        note_failed_login("")


def note_logout() -> None:
    """Report that the request's actor ends a login."""
    _note("login", "logout", current_origin(), "", {})


def origin_of(environ: Environ) -> Origin:
    """Return who makes a request, as far as that is known, and from where."""
    return _origin(environ, environ.get(ACTOR))


def _origin_of(actor: Actor) -> Origin:
    return _origin(current_environ(), actor)


def _origin(environ: Environ, actor: Actor | None) -> Origin:
    repository = environ.get(REPOSITORY)
    return Origin(
        actor.name if actor else "",
        realm=actor.realm if actor else "",
        address=environ.get("REMOTE_ADDR") or "",
        connector=environ.get(CONNECTOR, ""),
        repository=repository.name if repository else "",
        source="request",
        attributes={"token": actor.token} if actor and actor.token else {},
    )


def _note(
    domain: str,
    kind: str,
    origin: Origin,
    target: str,
    attributes: dict[str, str],
    *,
    is_success: bool = True,
) -> None:
    audit: Audit = current_environ()[AUDIT]
    audit.record(
        Event(
            domain,
            kind,
            origin.actor,
            target,
            realm=origin.realm,
            address=origin.address,
            connector=origin.connector,
            repository=origin.repository,
            is_success=is_success,
            attributes={**origin.attributes, **attributes},
        )
    )
