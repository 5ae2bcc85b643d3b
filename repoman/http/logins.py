"""Who makes a request, by the name and password that it carries; and what the audit log is told."""

from base64 import b64decode

from flask import request

from repoman.errors import Unauthenticated
from repoman.http.audit import note_failed_login, note_password
from repoman.http.current import current_security
from repoman.security.actors import ANONYMOUS, Actor, Credentials

MALFORMED = (
    "The Authorization header is not valid: it must be Basic, with the user name, a colon and the "
    "password in UTF-8, encoded in base64."
)


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
        RepomanError: as :func:`log_in`; a header that names nobody is a wrong login.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return ANONYMOUS

    def ask() -> Actor:
        credentials = parse_basic(header)
        if credentials is None:
            note_failed_login("")
            raise Unauthenticated(MALFORMED)
        return log_in(credentials)

    actor = current_security().authenticator.remembered(header, ask)
    note_password(actor)
    return actor


def parse_basic(header: str) -> Credentials | None:
    """Return the name and password in the value of an ``Authorization`` header (RFC 7617).

    None for every other scheme, and for what is not base64 of UTF-8 with a colon in it.
    """
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return None
    name, colon, password = text.partition(":")
    return Credentials(name, password) if colon else None
