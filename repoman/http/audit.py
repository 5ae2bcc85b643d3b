"""The audit events of requests."""

from flask import request

from repoman.events.origin import Origin, current_origin
from repoman.http.body import Environ
from repoman.http.caching import CACHEABLE, bind_to_address
from repoman.http.current import ACTOR, CONNECTOR, REPOSITORY, current_environ
from repoman.http.hosts import SAFE_METHODS
from repoman.security.actors import Actor
from repoman.security.audit import Audit, Event

AUDIT = "repoman.audit"  # key of the WSGI environment


def note_pull(target: str, kind: str = "pull") -> None:
    """Report that the request's actor gets content, if pulls are recorded.

    Call it after the response is made: the server may not repeat that one by itself then.
    """
    environ = current_environ()
    audit: Audit = environ[AUDIT]
    if audit.pulls and request.method == "GET":
        environ.pop(CACHEABLE, None)
        _note("content", kind, current_origin(), target, {})


def note_refused() -> None:
    """Report a request to change something that its actor is not allowed to change."""
    environ = current_environ()
    if request.method in SAFE_METHODS or AUDIT not in environ:
        return
    method = {"method": request.method}
    _note("access", "refused", current_origin(), request.path, method, is_success=False)


def note_login(actor: Actor) -> None:
    """Report a login, for a while or for one browser session."""
    _note("login", "success", _origin_of(actor), "", {})


def note_password(actor: Actor) -> None:
    """Report that a request has brought a password: once in an hour for the same client."""
    audit: Audit = current_environ()[AUDIT]
    address = request.remote_addr or ""
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
