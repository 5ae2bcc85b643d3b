"""Browser sessions for scripts that speak to Sonatype Nexus Repository 3.

They log in with a form at ``/service/rapture/session``, and prove with each change that it is not a
page of another site that makes the browser send it: a header repeats a cookie, which no other site
can read. What they repeat belongs to one login, so that a cookie planted by a neighbour is worth
nothing. A request with ``Authorization`` needs none of this.
"""

import hmac
from base64 import b64decode
from http import HTTPStatus
from typing import cast

from flask import Blueprint, Response, current_app, request
from flask_wtf.csrf import validate_csrf
from werkzeug.exceptions import HTTPException
from wtforms import ValidationError

from repoman.errors import Invalid, Unauthenticated
from repoman.http.current import current_environ, note_failed_login, note_nameless_login
from repoman.http.guard import log_in
from repoman.http.hosts import SAFE_METHODS
from repoman.http.rest_errors import empty
from repoman.http.sessions import begin_session, current_session, end_session
from repoman.security.actors import Actor, Credentials
from repoman.security.session_records import Session

SESSION_PATH = "/service/rapture/session"
MARK_HEADER = "X-CSRFToken"  # Where a script of our pages has the mark against forged requests.
PROOF = "NX-ANTI-CSRF-TOKEN"  # The name of the cookie, of the header, and of a field of forms.
FORM = "multipart/form-data"
IS_UNPROVEN = "repoman.is_unproven"  # environ: a field of the form has yet to prove the request

session_blueprint = Blueprint("repoman_rest_sessions", __name__)


@session_blueprint.post(SESSION_PATH)
def log_in_by_form() -> Response:
    """Begin a browser session for the user of the form."""
    session = begin_session(_log_in(Credentials(_decoded("username"), _decoded("password"))))
    if session is None:
        raise Unauthenticated("The login has ended already.")
    response = empty(HTTPStatus.NO_CONTENT)
    response.set_cookie(
        PROOF,
        proof_of(session),
        path=request.script_root or "/",
        secure=request.is_secure,
        samesite="Lax",
    )
    return response


def _log_in(credentials: Credentials) -> Actor:
    """Return the user; a session has no limits, so a token, which may have some, is refused."""
    actor = log_in(credentials)
    if actor.is_anonymous:
        note_nameless_login()
        raise Unauthenticated("Wrong user name or password.")
    if actor.token or actor.limit is not None:
        note_failed_login(credentials.name)
        raise Unauthenticated("Wrong user name or password.")
    return actor


def proof_of(session: Session) -> str:
    """Return what a script has to send with each change of a session."""
    key = cast("str", current_app.secret_key)
    return hmac.digest(key.encode(), f"{PROOF} {session.id}".encode(), "sha256").hex()


@session_blueprint.delete(SESSION_PATH)
def log_out() -> Response:
    """End the browser session."""
    end_session()
    response = empty(HTTPStatus.NO_CONTENT)
    response.delete_cookie(PROOF, path=request.script_root or "/")
    return response


def _decoded(key: str) -> str:
    try:
        return b64decode(request.form.get(key, ""), validate=True).decode()
    except ValueError as error:
        raise Invalid(f"{key}: must be text in base64.") from error


def protect_session(*, takes_form: bool) -> None:
    """Return if no session vouches for a change, or something proves that our client sent it.

    The field of a form is seen later: see :func:`take_proof`. ``takes_form`` says whether whoever
    answers reads one; everybody else would never look for the proof.

    Raises:
        HTTPException: a page of another site may have sent it.
    """
    if request.method in SAFE_METHODS or current_session() is None:
        return
    given = request.headers.get(PROOF)
    is_form = takes_form and request.mimetype == FORM
    if given is None and is_form and MARK_HEADER not in request.headers:
        current_environ()[IS_UNPROVEN] = True
    elif not (_is_proof(given) or _is_of_our_pages()):
        raise refuse_forged()


def take_proof(fields: dict[str, list[str]]) -> bool:
    """Return whether a form that has arrived may be used, and take the token out of its fields."""
    given = fields.pop(PROOF, [""])
    return not current_environ().pop(IS_UNPROVEN, False) or _is_proof(given[0])


def refuse_forged() -> HTTPException:
    """Return the refusal of a change that a page of another site may have sent."""
    text = "Anti cross-site request forgery token mismatch"
    response = Response(text, HTTPStatus.UNAUTHORIZED, mimetype="text/plain")
    return HTTPException(response=response)


def _is_proof(given: str | None) -> bool:
    session = current_session()
    if session is None or given is None:
        return False
    return hmac.compare_digest(given.encode(), proof_of(session).encode())


def _is_of_our_pages() -> bool:
    mark = request.headers.get(MARK_HEADER)
    if mark is None:
        return False
    try:
        validate_csrf(mark)
    except ValidationError:
        return False
    return True
