"""What a request tells the audit log."""

from flask import request

from repoman.http.current import ACTOR, CONNECTOR, REPOSITORY, current_environ
from repoman.security.audit import Audit, Event

AUDIT = "repoman.audit"  # key of the WSGI environment


def note_content(kind: str, target: str, **attributes: str) -> None:
    """Report that the request's actor did something to content, once it is done."""
    _note("content", kind, target, attributes)


def note_failed_login(name: str) -> None:
    """Report that the request's credentials are wrong; ``name`` is who they claim to be."""
    _note("login", "failed", "", {}, name=name)


def _note(
    domain: str, kind: str, target: str, attributes: dict[str, str], name: str | None = None
) -> None:
    environ = current_environ()
    audit: Audit = environ[AUDIT]
    actor = environ.get(ACTOR)
    repository = environ.get(REPOSITORY)
    if actor is not None and actor.token:
        attributes = {**attributes, "token": actor.token}
    audit.record(
        Event(
            domain,
            kind,
            name if name is not None else (actor.name if actor else ""),
            target,
            realm=actor.realm if actor else "",
            address=request.remote_addr or "",
            connector=environ.get(CONNECTOR, ""),
            repository=repository.name if repository else "",
            is_success=name is None,
            attributes=attributes,
        )
    )
