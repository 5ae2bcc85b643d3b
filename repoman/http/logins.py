"""Who makes a request, by the name and password that it carries; and what the audit log is told."""

from flask import request

from repoman.errors import Unauthenticated
from repoman.http.audit import note_failed_login, note_password
from repoman.http.current import current_security
from repoman.security.actors import ANONYMOUS, Actor, Credentials


def log_in(credentials: Credentials | None) -> Actor:
    """Return who presents a name and a password; no credentials, or empty ones, are anonymous.

    Raises:
        Unauthenticated: they are wrong.
        TooManyRequests: too many were, lately.
        Unavailable: nobody can tell.
    """
    security = current_security()
    try:
        return security.authenticator.authenticate(credentials, request.remote_addr or "")
    except Unauthenticated as error:
        note_failed_login(credentials.name if credentials else "", error.retry_after)
        raise


def actor_of_header() -> Actor:
    """Return who the request's ``Authorization: Basic`` names; without one, anonymous.

    Raises:
        RepomanError: as :func:`log_in`.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return ANONYMOUS
    actor = current_security().authenticator.remembered(header, _log_in_by_header)
    note_password(actor)
    return actor


def _log_in_by_header() -> Actor:
    sent = request.authorization
    if sent is None or sent.type != "basic":
        return ANONYMOUS
    return log_in(Credentials(sent.username or "", sent.password or ""))
